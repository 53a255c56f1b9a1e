"""Where the variance of a paired difference comes from: prompts, and images within a prompt.

With n prompts and k images of each, in the proportions of tasks that were seen, the squared standard error of
a difference is (prompts + images / k) / n. These two numbers are all that a plan needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lumina_eval.records import Score
from lumina_eval.statistics.clusters import Clusters
from lumina_eval.statistics.endpoint import Endpoint
from lumina_eval.statistics.means import Weights, moments
from lumina_eval.statistics.pairing import pair_runs

SUCCESS: Final = 0.6
"""Assumed where there is no run: the share of right images. Nothing varies more than 0.5, and little less."""
AGREEMENT: Final = 0.3
"""Assumed: the share of the variance of an image's score that is between prompts."""
CORRELATION: Final = 0.5
"""Assumed of two checkpoints: how far the difficulty of a prompt is the same for both (0 to 1)."""


@dataclass(frozen=True)
class Components:
    """Variances in squared units of the score, for a single prompt and a single image of it."""

    prompts: float
    """What no number of images takes away: how much the true difference varies between prompts."""
    images: float
    """What one image of each model adds."""
    df_ratio: float
    """Degrees of freedom of the standard error over the number of prompts less one."""
    source: str
    """In words, with what was assumed."""
    runs: int
    """Runs that they were taken from."""

    def of_prompt(self, images_per_prompt: float) -> float:
        """Variance of a prompt's difference with so many images of each model."""
        return self.prompts + self.images / images_per_prompt


def of_pair(baseline: Sequence[Score], candidate: Sequence[Score], endpoint: Endpoint) -> Components:
    """From two runs on the same prompts; UserError if they are not.

    Images of one index share their noise, so where both runs have the same ones the difference is taken image
    by image. From a single image per prompt the two parts cannot be told apart; all is then taken to be
    between prompts, which is too careful for more images.
    """
    pair_runs(baseline, candidate, ("the first run", "the second run"))
    before = {(s.task, s.item_id, s.index): s for s in baseline}
    after = {(s.task, s.item_id, s.index): s for s in candidate}
    if before.keys() == after.keys():
        both = [s.model_copy(update={"value": after[key].value - s.value}) for key, s in before.items()]
        total, images = _parts(both, endpoint.weights)
        if np.isnan(images):
            return Components(total, 0.0, _df_ratio(both, endpoint.weights), f"two runs{_ALL_PROMPTS}", 2)
        prompts, images = _apart(total, images, len({key[:2] for key in before}), len(both))
        return Components(prompts, images, _df_ratio(both, endpoint.weights), "two runs, image by image", 2)
    means = [
        Score(item_id=item, task=task, index=0, value=value)
        for (task, item), value in _prompt_differences(before, after).items()
    ]
    total, _ = _parts(means, endpoint.weights)
    (_, one), (_, other) = (_parts(scores, endpoint.weights) for scores in (baseline, candidate))
    count = len(means)
    if np.isnan(one + other):
        return Components(total, 0.0, _df_ratio(means, endpoint.weights), f"two runs{_ALL_PROMPTS}", 2)
    within = one * count / len(baseline) + other * count / len(candidate)
    return Components(
        max(0.0, total - within), one + other, _df_ratio(means, endpoint.weights), "two runs", 2
    )


def of_run(scores: Sequence[Score], endpoint: Endpoint, correlation: float = CORRELATION) -> Components:
    """From one run, taking a second one to vary as much, and prompts to be alike for it by `correlation`."""
    total, images = _parts(scores, endpoint.weights)
    words = f"one run; assumed: another one varies as much, and prompts are alike for both by {correlation:g}"
    ratio = _df_ratio(scores, endpoint.weights)
    if np.isnan(images):
        return Components(2 * total * (1 - correlation), 0.0, ratio, f"{words}{_ALL_PROMPTS}", 1)
    prompts, images = _apart(total, images, len({(s.task, s.item_id) for s in scores}), len(scores))
    return Components(2 * prompts * (1 - correlation), 2 * images, ratio, words, 1)


def assumed(correlation: float = CORRELATION) -> Components:
    """Without any run, for scores between 0 and 1; the source says what was assumed."""
    variance = SUCCESS * (1 - SUCCESS)
    return Components(
        2 * AGREEMENT * variance * (1 - correlation),
        2 * (1 - AGREEMENT) * variance,
        1.0,
        f"no run; assumed: {SUCCESS:.0%} of images right, {AGREEMENT:.0%} of their variance between prompts, "
        f"prompts alike for both models by {correlation:g}",
        0,
    )


_ALL_PROMPTS: Final = ", with one image per prompt: all variance is taken to be between prompts"


def _parts(scores: Sequence[Score], weights: Weights) -> tuple[float, float]:
    """Variance of a prompt's value as it was seen, and the part of a single image; NaN if unknown."""
    clusters = Clusters.of_scores(scores)
    found = moments(clusters, weights)
    return (
        float(found.var_prompts) * found.n_prompts,
        float(found.var_seeds) * found.n_images,
    )


def _apart(total: float, images: float, n_prompts: int, n_images: int) -> tuple[float, float]:
    """Part of the prompts and part of an image.

    Where prompts vary less than their images alone would make them, they do not vary, and both figures tell
    of the images: they are pooled by their degrees of freedom.
    """
    per_prompt = n_images / n_prompts
    if total >= images / per_prompt:
        return total - images / per_prompt, images
    pooled = (n_prompts - 1) * total * per_prompt + (n_images - n_prompts) * images
    return 0.0, pooled / (n_images - 1)


def _df_ratio(scores: Sequence[Score], weights: Weights) -> float:
    found = moments(Clusters.of_scores(scores), weights)
    return float(found.df_prompts) / max(found.n_prompts - 1, 1)


def _prompt_differences(
    before: dict[tuple[str, str, int], Score], after: dict[tuple[str, str, int], Score]
) -> dict[tuple[str, str], float]:
    means: list[dict[tuple[str, str], list[float]]] = [{}, {}]
    for place, run in enumerate((before, after)):
        for (task, item, _), score in run.items():
            means[place].setdefault((task, item), []).append(score.value)
    return {key: float(np.mean(means[1][key]) - np.mean(means[0][key])) for key in means[0]}
