"""Fidelity of sets that are given: folders, features, statistics; and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from PIL import Image
from tiny_fidelity import pictures, values

from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.statistics_file import write_statistics
from benchmarks.tabletop.extractor.embedder import TabletopEmbedder
from reports.groups import group_runs
from reports.loading import load_runs
from reports.stage_tables import overview, parts

Call = Callable[..., tuple[int, list[dict[str, Any]], str]]


def textbook_fid(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, with the matrix square root of scipy."""
    one, two = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root = scipy.linalg.sqrtm(one @ two).real
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2 * np.trace(root))


def textbook_kid(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate as two loops over pairs."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    within = [
        np.mean([k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (x, y)
    ]
    return float(sum(within) - 2 * np.mean([k(a, b) for a in x for b in y]))


def rows(name: Path, **arrays: np.ndarray) -> Path:
    np.savez(name, **arrays)
    return name


def test_two_folders_give_the_textbook_distance_of_their_features(
    judge: Call, weights: Path, tmp_path: Path
) -> None:
    made, real = pictures(tmp_path / "made", 90, 1), pictures(tmp_path / "real", 80, 2, side=128)
    code, (record,), _ = judge(made, "--reference", real)
    assert code == 0
    x, y = (
        TabletopEmbedder(weights).images([Image.open(f).convert("RGB") for f in sorted(folder.iterdir())])
        for folder in (made, real)
    )
    assert values(record)["fid"] == pytest.approx(textbook_fid(x.astype(float), y.astype(float)), rel=1e-6)
    assert record["coverage"] == {
        "expected": 90, "generated": 90, "judged": 90, "failed": 0, "excluded": 0,
    }  # fmt: skip
    assert record["metrics"][0]["n_images"] == 90
    (against,) = record["against"]
    assert against.startswith("80 images of real (digest ")


def test_every_table_says_the_reference(judge: Call, tmp_path: Path) -> None:
    """Name, number and digest, which is of the pixels: the place and the names of the files do not matter."""
    made, real = pictures(tmp_path / "made", 8, 1), pictures(tmp_path / "real", 8, 2)
    (copy := tmp_path / "elsewhere" / "real").mkdir(parents=True)
    for place, file in enumerate(sorted(real.iterdir(), reverse=True)):
        (copy / f"copy{place}.png").write_bytes(file.read_bytes())
    other = pictures(tmp_path / "other", 9, 3)
    runs = [judge(made, "--reference", folder)[1][0] for folder in (real, copy, other)]
    one, two, three = (run["against"][0] for run in runs)
    assert one == two != three
    for run in runs:
        assert run["against"][0] in (Path(run["run_dir"]) / "summary.txt").read_text()
    groups = group_runs(load_runs([Path(run["run_dir"]) for run in runs]))
    assert [len(group.runs) for group in groups] == [2, 1]  # other references are in no table together
    for group, what in zip(groups, (one, three), strict=True):
        for table in (overview(group), *parts(group)):
            assert f"against {what}" in table.marked_caption


def test_a_folder_against_itself_is_at_no_distance(judge: Call, tmp_path: Path) -> None:
    made = pictures(tmp_path / "made", 20, 1)
    code, (record,), _ = judge(made, "--reference", made)
    assert code == 0
    assert values(record)["fid"] == pytest.approx(0, abs=1e-6)


def test_no_image_is_looked_at_twice(judge: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = pictures(tmp_path / "made", 8, 1), pictures(tmp_path / "real", 8, 2)
    _, (before,), _ = judge(made, "--reference", real)

    def refuse(*_: object) -> None:
        raise AssertionError("an image was looked at again")

    monkeypatch.setattr(TabletopEmbedder, "images", refuse)
    code, (after,), _ = judge(made, "--reference", real, "--set", 'metrics=["fid"]')
    assert code == 0
    assert values(after)["fid"] == values(before)["fid"]
    assert after["run_dir"] != before["run_dir"]


def test_another_reference_is_another_run(judge: Call, tmp_path: Path) -> None:
    made = pictures(tmp_path / "made", 8, 1)
    runs = {
        judge(made, "--reference", pictures(tmp_path / f"real{seed}", 8 + seed, seed))[1][0]["run_dir"]
        for seed in (2, 3)
    }
    assert len(runs) == 2


def test_broken_images_are_named_and_counted(judge: Call, tmp_path: Path) -> None:
    made, real = pictures(tmp_path / "made", 8, 1), pictures(tmp_path / "real", 8, 2)
    (made / "003.png").write_bytes(b"")
    code, (record,), errors = judge(made, "--reference", real)
    assert code == 4
    assert "003.png" in errors
    assert record["coverage"]["failed"] == 1
    assert judge(made, "--reference", real, "--allow-missing")[0] == 0
    (real / "001.png").write_bytes(b"no image")
    code, _, errors = judge(made, "--reference", real, "--set", 'metrics=["kid"]')
    assert code == 2
    assert "001.png" in errors


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "--reference"),
        (["--reference", "nowhere"], "nowhere"),
        (["--reference-features", "nowhere.npz"], "--reference-features FILE.npz"),
        (["--reference", "empty"], "empty"),
        (["--reference", "other.npz"], "extractor"),
        (["--reference", "real", "--set", 'metrics=["fdi"]'], "did you mean fid"),
        (["--reference", "real", "--reference-features", "other.npz"], "both"),
        (["--reference", "real", "--set", "judge.fid=inception:cleen"], "clean"),
        (["--reference", "real", "--set", "judge.fid=inception:clean"], "lumina-eval data fetch"),
    ],
)
def test_a_mistake_is_told_with_its_mending(judge: Call, tmp_path: Path, more: list[str], said: str) -> None:
    made = pictures(tmp_path / "made", 4, 1)
    pictures(tmp_path / "real", 4, 2)
    (tmp_path / "empty").mkdir()
    spread = np.random.default_rng(0).normal(size=(90, 64))
    write_statistics(tmp_path / "other.npz", Moments.of(spread), "0" * 64)
    code, _, errors = judge(made, *more)
    assert code == 2
    assert said in errors
    assert "Traceback" not in errors


def test_one_image_is_no_set(judge: Call, tmp_path: Path) -> None:
    code, _, errors = judge(
        pictures(tmp_path / "made", 1, 1), "--reference", pictures(tmp_path / "real", 4, 2)
    )
    assert code == 2
    assert "at least 2 images" in errors


def test_features_made_elsewhere(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 8)), rng.normal(0.4, 1.3, size=(70, 8))
    rows(tmp_path / "a.npz", pool=x, other=y)
    rows(tmp_path / "b.npz", feats=y)
    words = ("judge", "fidelity", "--features", "a.npz:pool", "--reference-features", "b.npz:feats")
    code, (record,), _ = call(*words)
    assert code == 0
    found = values(record)
    assert found["fid"] == pytest.approx(textbook_fid(x, y), rel=1e-9)
    assert found["kid"] == pytest.approx(textbook_kid(x, y), rel=1e-9)
    low, high = record["metrics"][0]["ci_prompts"]
    assert 0 < (low + high) / 2 < found["fid"]  # without the bias of so few images


@pytest.mark.parametrize(("mean", "spread"), [(1e4, 1.0), (0.0, 1e39)])
def test_features_keep_the_precision_of_their_file(
    call: Call, tmp_path: Path, mean: float, spread: float
) -> None:
    rng = np.random.default_rng(5)
    x, y = mean + spread * rng.normal(size=(60, 8)), mean + spread * rng.normal(0.4, 1.3, size=(70, 8))
    rows(tmp_path / "a.npz", pool=x)
    rows(tmp_path / "b.npz", pool=y)
    words = ("judge", "fidelity", "--set", 'metrics=["fid"]')
    code, (record,), _ = call(*words, "--features", "a.npz", "--reference-features", "b.npz")
    assert code == 0
    expected = textbook_fid((x - mean) / spread, (y - mean) / spread) * spread**2
    assert values(record)["fid"] == pytest.approx(expected, rel=1e-8)
    verdicts = Path(record["run_dir"]) / "verdicts.jsonl"
    code, (again,), _ = call(*words, "--verdicts", verdicts, "--reference-features", "b.npz")
    assert code == 0
    assert values(again) == values(record)


def test_statistics_are_enough_for_fid_alone(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(60, 8)), rng.normal(0.4, 1.3, size=(70, 8))
    rows(tmp_path / "a.npz", x=x)
    rows(tmp_path / "stats.npz", mu=y.mean(axis=0), sigma=np.cov(y, rowvar=False))
    code, (record,), errors = call(
        "judge", "fidelity", "--features", "a.npz", "--reference", "stats.npz"
    )  # fmt: skip
    assert code == 0
    found = values(record)
    assert found["fid"] == pytest.approx(textbook_fid(x, y), rel=1e-9)
    assert found["kid"] is None
    assert "kid is not measured" in errors


def test_features_that_are_no_numbers_are_refused(call: Call, tmp_path: Path) -> None:
    x = np.zeros((9, 4))
    x[3, 2] = np.nan
    rows(tmp_path / "a.npz", x=x)
    rows(tmp_path / "b.npz", x=np.random.default_rng(0).normal(size=(9, 4)))
    code, _, errors = call("judge", "fidelity", "--features", "a.npz", "--reference-features", "b.npz")
    assert code == 2
    assert "NaN or infinity in 1 of 9 rows, the first is row 3 of a.npz:x" in errors
    code, _, errors = call("judge", "fidelity", "--features", "b.npz", "--reference-features", "a.npz:x")
    assert code == 2
    assert "row 3 of a.npz:x" in errors


def test_features_are_of_no_prompts_that_could_be_complete(call: Call, tmp_path: Path) -> None:
    rows(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(9, 4)))
    words = ("judge", "fidelity", "--features", "a.npz", "--reference-features", "a.npz", "--complete")
    code, _, errors = call(*words)
    assert code == 2
    assert "expected --complete with --images" in errors


def test_statistics_are_made_and_both_sides_may_be_statistics(
    call: Call, judge: Call, tmp_path: Path
) -> None:
    made, real = pictures(tmp_path / "made", 90, 1), pictures(tmp_path / "real", 80, 2)
    words = ("--reference", real, "--set", 'metrics=["fid","kid"]')
    code, (whole,), _ = judge(made, *words, "--write-statistics", "made.npz")
    assert code == 0
    assert judge(real, *words, "--write-statistics", "real.npz")[0] == 0
    with np.load("made.npz") as held:
        assert {"mu", "sigma", "n", "extractor"} == {*held.files}
        assert held["n"] == 90
    fid = values(whole)["fid"]
    code, (half,), _ = judge(made, "--reference", "real.npz")
    assert code == 0
    assert values(half)["fid"] == pytest.approx(fid, rel=1e-9)
    pair = ("judge", "fidelity", "--reference", "real.npz", "--features")
    code, (record,), errors = call(*pair, "made.npz")
    assert code == 0
    assert values(record)["fid"] == pytest.approx(fid, rel=1e-9)
    assert values(record)["kid"] is None
    assert record["metrics"][0]["n_images"] == 90
    assert "taken on trust" not in errors
    with np.load("made.npz") as held:
        rows(tmp_path / "other.npz", mu=held["mu"], sigma=held["sigma"], extractor=np.array("0" * 64))
        rows(tmp_path / "untold.npz", mu=held["mu"], sigma=held["sigma"])
    code, _, errors = call(*pair, "other.npz")
    assert code == 2
    assert "expected a reference by the extractor of the images, 000000000000" in errors
    code, (record,), errors = call(*pair, "untold.npz")
    assert code == 0
    assert values(record)["fid"] == pytest.approx(fid, rel=1e-9)
    assert "no extractor is named by the images' features" in errors


def test_statistics_are_written_to_an_npz_or_not_at_all(judge: Call, tmp_path: Path) -> None:
    made = pictures(tmp_path / "made", 4, 1)
    code, _, errors = judge(made, "--reference", made, "--write-statistics", "made.txt")
    assert code == 2
    assert "made.txt.npz" in errors
