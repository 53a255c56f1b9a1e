"""Intervals as they were printed once: other ones for the same scores want another ``INTERVALS_VERSION``.

The numbers here were made by the code of their version and prove nothing about it; what does are the closed
forms and simulations in ``test_statistics.py``, ``test_ratios.py`` and ``test_jackknife.py``.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.fidelity.metrics.jackknife import Jackknife
from lumina_eval.records import Interval, Metric, Score
from lumina_eval.statistics.means import INTERVALS_VERSION, Weights, metric
from lumina_eval.statistics.ratios import Part, pooled_ratio

#: Task to prompts to the scores of their images; the sixth prompt of ``two`` lost two images.
NEAR_AN_END = {
    "one": [[1.0, 1.0, 1.0, 0.0], *[[1.0] * 4] * 11],
    "two": [[1.0, 0.0, 0.0, 1.0], *[[1.0] * 4] * 4, [1.0, 0.0]],
}
IN_THE_MIDDLE = {"one": [[0.1, 0.9], [0.4, 0.6], [0.8, 0.7]], "two": [[0.5, 0.2], [0.3, 0.3]]}
PERFECT = {"one": [[1.0] * 4] * 5, "two": [[1.0] * 4] * 3}
#: For each prompt: how much is asked, and the hits of its images.
NEARLY_ALL = [(3, [3, 3, 2, 3]), (2, [2, 2, 2, 2]), (5, [5, 4, 5, 5]), (1, [1, 1, 1, 1]), (4, [4, 4, 4, 4])]

#: Version to what its intervals of the scores above are: ``ci_seeds``, then ``ci_prompts``.
PRINTED: dict[int, dict[str, tuple[Interval | None, Interval | None]]] = {
    1: {
        "near an end": ((0.7626966657, 0.9771472471), (0.7108882263, 0.9824222121)),
        "near an end, by images": ((0.8414469179, 0.9808794758), (0.8081986572, 0.9847584786)),
        "near an end, by prompts": ((0.6951472037, 0.9874600292), (0.7842510283, 0.9801576682)),
        "in the middle": ((0.165468846, 0.7773670632), (0.3032484035, 0.6140047955)),
        "perfect": ((0.882523023, 1.0), (0.5719442361, 1.0)),
        "similarity": ((0.020079369, 0.744184311), (0.2779081428, 0.6008401172)),
        "without bounds": ((0.06735304042, 0.8409802929), (0.2906954836, 0.6176378497)),
        "ratio": ((85.28442475, 99.31559381), (68.54219716, 99.74158964)),
        "ratio of the last images": ((70.77528553, 100.0), (39.34328992, 100.0)),
        "jackknife": (None, (1.883552835, 5.566447165)),
    },
    2: {
        "near an end": ((0.7934370625, 0.9728094272), (0.6924122222, 0.9838835329)),
        "near an end, by images": ((0.8553577126, 0.9787405422), (0.7960823742, 0.9858631713)),
        "near an end, by prompts": ((0.7831698441, 0.9802813393), (0.775675834, 0.9811065709)),
        "in the middle": ((0.2472876351, 0.678182566), (0.1619160358, 0.7818263763)),
        "perfect": ((0.882523023, 1.0), (0.5719442361, 1.0)),
        "similarity": ((0.1911274839, 0.6563462859), (0.2779081428, 0.6008401172)),
        "without bounds": ((0.2154194024, 0.6929139309), (0.2906954836, 0.6176378497)),
        "ratio": ((86.23421493, 99.26063366), (68.54219716, 99.74158964)),
        "ratio of the last images": ((73.16708232, 100.0), (39.34328992, 100.0)),
        "jackknife": (None, (1.883552835, 5.566447165)),
    },
    3: {
        "near an end": ((0.7923392645, 0.972985698), (0.6906961992, 0.9840106028)),
        "near an end, by images": ((0.852562461, 0.9792019549), (0.7910741029, 0.9862830183)),
        "near an end, by prompts": ((0.7776985648, 0.9808891776), (0.7705341343, 0.9816423336)),
        "in the middle": ((0.2296057167, 0.6990630145), (0.1581576544, 0.7865580332)),
        "perfect": ((0.882523023, 1.0), (0.5719442361, 1.0)),
        "similarity": ((0.1911274839, 0.6563462859), (0.2779081428, 0.6008401172)),
        "without bounds": ((0.2154194024, 0.6929139309), (0.2906954836, 0.6176378497)),
        "ratio": ((86.23421493, 99.26063366), (68.54219716, 99.74158964)),
        "ratio of the last images": ((73.16708232, 100.0), (39.34328992, 100.0)),
        "jackknife": (None, (1.883552835, 5.566447165)),
    },
}


def of_scores(tasks: dict[str, list[list[float]]], unit: str, weights: Weights = "equal") -> Metric:
    scores = [
        Score(item_id=f"{task}-{place}", task=task, index=index, value=value)
        for task, prompts in tasks.items()
        for place, values in enumerate(prompts)
        for index, value in enumerate(values)
    ]
    return metric("overall", scores, unit, weights)


def of_ratio(last_only: bool) -> Metric:
    parts = [
        Part(f"{place}", index, hits, asked, counted=not last_only or index == 3)
        for place, (asked, images) in enumerate(NEARLY_ALL)
        for index, hits in enumerate(images)
    ]
    return pooled_ratio("category", parts, "percent")


def of_groups() -> Interval:
    pseudo = np.array([3.0, 4.5, 2.5, 5.0])
    return Jackknife(4.0, pseudo, np.array([0.25, 0.3, 0.25, 0.2]), "digest").interval()


def made() -> dict[str, tuple[Interval | None, Interval | None]]:
    metrics = {
        "near an end": of_scores(NEAR_AN_END, "fraction"),
        "near an end, by images": of_scores(NEAR_AN_END, "fraction", "images"),
        "near an end, by prompts": of_scores(NEAR_AN_END, "fraction", "prompts"),
        "in the middle": of_scores(IN_THE_MIDDLE, "fraction"),
        "perfect": of_scores(PERFECT, "fraction"),
        "similarity": of_scores(IN_THE_MIDDLE, "signed_fraction"),
        "without bounds": of_scores(IN_THE_MIDDLE, "points"),
        "ratio": of_ratio(last_only=False),
        "ratio of the last images": of_ratio(last_only=True),
    }
    return {name: (one.ci_seeds, one.ci_prompts) for name, one in metrics.items()} | {
        "jackknife": (None, of_groups())
    }


def test_the_same_scores_have_the_intervals_of_their_version() -> None:
    """If this fails and the intervals shall be others: raise the version, and lay down its numbers here."""
    found, printed = made(), PRINTED[INTERVALS_VERSION]
    assert list(found) == list(printed)
    for name, intervals in found.items():
        for here, there in zip(intervals, printed[name], strict=True):
            assert (here is None) == (there is None), name
            assert here is None or here == pytest.approx(there, rel=1e-8), name


def test_another_version_is_for_other_intervals() -> None:
    versions = list(PRINTED)
    assert versions == list(range(1, INTERVALS_VERSION + 1))
    for before, after in itertools.pairwise(versions):
        assert PRINTED[before] != PRINTED[after]
