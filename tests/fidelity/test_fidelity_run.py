"""Fidelity from the command line: folders, features, statistics, the embedded world; and what goes wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from PIL import Image

from benchmarks.fidelity.adapter import Fidelity
from benchmarks.fidelity.metrics.moments import Moments
from benchmarks.fidelity.metrics.statistics_file import write_statistics
from benchmarks.tabletop.extractor.embedder import TabletopEmbedder
from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import sample_scene
from lumina_eval import cli
from lumina_eval.plugins import injected
from lumina_eval.records import Score
from lumina_eval.statistics.comparison import compare
from lumina_eval.statistics.endpoint import Endpoint
from lumina_eval.statistics.gates import comparison_gate
from reports.groups import group_runs
from reports.loading import load_runs
from reports.stage_tables import overview, parts

Call = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extractor in open_clip's form with random weights."""
    import torch

    from benchmarks.tabletop.extractor.architecture import make_model, model_config
    from benchmarks.tabletop.extractor.bundle import write_bundle

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("extractor")
    write_bundle(make_model(model_config()).eval(), folder)
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run ``lumina-eval`` in this process and folder; return exit code, JSON lines and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, list[dict[str, Any]], str]:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", *map(str, words), "--json"])
        capsys.readouterr()
        with injected("benchmarks", fidelity=Fidelity), pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return int(end.value.code or 0), [json.loads(line) for line in streams.out.splitlines()], streams.err

    return run


@pytest.fixture
def judge(call: Call, weights: Path) -> Call:
    """Judge two folders with the random extractor."""

    def run(images: Path, *more: object) -> tuple[int, list[dict[str, Any]], str]:
        return call(
            "judge", "fidelity", "--images", images, "--set", f"judge.fid=tabletop:{weights}", *more
        )  # fmt: skip

    return run


def pictures(folder: Path, count: int, seed: int, side: int = 64) -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for place in range(count):
        Image.fromarray(render(sample_scene(rng), side)).save(folder / f"{place:03d}.png")
    return folder


def values(record: dict[str, Any]) -> dict[str, float | None]:
    return {metric["name"]: metric["value"] for metric in record["metrics"]}


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


def run_tabletop(call: Call, weights: Path, model: str, *more: object) -> dict[str, Any]:
    code, (record,), _ = call(
        "run", "fidelity", "--protocol", "tabletop", "--model", model, "--limit", 3, "--images-per-prompt", 2,
        "--set", f"judge.fid=tabletop:{weights}", "--set", f"judge.clip=tabletop:{weights}",
        "--set", "reference.side=64", "--set", "reference.images_per_prompt=2", "--no-report", "--no-mlflow",
        *more,
    )  # fmt: skip
    assert code == 0
    return record


def test_the_embedded_world_end_to_end(call: Call, weights: Path) -> None:
    record = run_tabletop(call, weights, "tabletop-truth:@64")
    found = values(record)
    assert set(found) == {
        "fid", "fid_infinity", "kid", "cmmd", "precision", "recall", "density", "coverage", "clip_score",
        "clip_score_gap",
    }  # fmt: skip
    assert record["coverage"]["judged"] == 36
    assert {metric["unit"] for metric in record["metrics"][:2]} == {"distance"}
    assert found["fid_infinity"] is None  # too few images, which is said and costs the others nothing
    assert any("fid_infinity is not measured" in text for text in record["warnings"])

    run_dir = Path(record["run_dir"])
    lines = (run_dir / "scores.jsonl").read_text().splitlines()
    assert np.mean([json.loads(line)["value"] for line in lines]) == pytest.approx(found["fid"])
    assert "distance; 36 images of 18 prompts" in (run_dir / "summary.txt").read_text()

    code, (again,), _ = call(
        "judge", "fidelity", "--protocol", "tabletop", "--verdicts", run_dir / "verdicts.jsonl",
        "--set", f"judge.fid=tabletop:{weights}", "--set", f"judge.clip=tabletop:{weights}",
        "--set", "reference.side=64", "--set", "reference.images_per_prompt=2", "--out", "again",
    )  # fmt: skip
    assert code == 0
    assert values(again) == found


def test_a_copied_verdict_file_is_counted_again(call: Call, weights: Path, tmp_path: Path) -> None:
    """Without its folder: the prompts are those of the protocol."""
    record = run_tabletop(call, weights, "tabletop-truth:@64")
    verdicts = Path(record["run_dir"]) / "verdicts.jsonl"
    (copy := tmp_path / "saved.jsonl").write_bytes(verdicts.read_bytes())
    words = (
        "judge", "fidelity", "--protocol", "tabletop", "--set", f"judge.fid=tabletop:{weights}",
        "--set", f"judge.clip=tabletop:{weights}", "--set", "reference.side=64",
        "--set", "reference.images_per_prompt=2", "--out", "again", "--verdicts", copy,
    )  # fmt: skip
    code, (again,), errors = call(*words)
    assert code == 0, errors
    assert values(again) == values(record)
    assert again["against"] == record["against"]
    lines = copy.read_text().splitlines()
    for broken, said in (
        ("", "found none"),
        ("no json", ":37"),
        (lines[0], "twice"),
        (lines[0].replace(json.loads(lines[0])["item_id"], "stranger"), "stranger"),
    ):
        copy.write_text("".join(f"{line}\n" for line in [*(lines if broken else []), broken]))
        code, _, errors = call(*words)
        assert code == 2, broken
        assert said in errors
        assert str(copy) in errors


def test_less_is_better_in_a_comparison(call: Call, weights: Path) -> None:
    """Pictures at half the side that went through a scripted model against truth: the sign decides."""
    truth = run_tabletop(call, weights, "tabletop-truth:@64")
    wrong = run_tabletop(call, weights, "tabletop-scripted:0@64")
    code, (compared,), _ = call("compare", wrong["run_dir"], truth["run_dir"])
    assert code == 0
    assert compared["lower_is_better"]
    assert compared["pairs"] == "groups of prompts"
    difference = values(truth)["fid"] - values(wrong)["fid"]
    assert compared["primary"]["difference"] == pytest.approx(difference)
    assert compared["primary"]["n_prompts"] == 18  # as many groups as prompts, where there are fewer than 20


@pytest.mark.parametrize("margin", [None, 0.05, 2.0])
def test_a_distance_compares_like_the_negative_of_a_score(margin: float | None) -> None:
    def scores(mean: float, sign: int, seed: int) -> list[Score]:
        drawn = np.random.default_rng(seed).normal(mean, 0.2, 20)
        return [Score(item_id=str(i), task="fid", index=0, value=sign * v) for i, v in enumerate(drawn)]

    for mean in (0.5, 1.0, 1.5):
        far = compare(
            scores(1, 1, 1), scores(mean, 1, 2), margin=margin, endpoint=Endpoint("fid", "distance")
        )
        near = compare(
            scores(1, -1, 1), scores(mean, -1, 2), margin=margin, endpoint=Endpoint("fid", "cosine")
        )
        assert far.verdict == near.verdict
        assert comparison_gate(far) == comparison_gate(near)
        assert far.primary.difference == pytest.approx(-near.primary.difference)


def test_each_category_against_its_own_images(call: Call, weights: Path, tmp_path: Path) -> None:
    made, real = pictures(tmp_path / "made", 12, 1), pictures(tmp_path / "real", 12, 2)
    prompts = {f"{i:03d}": {"category": "ab"[i % 2], "prompt": f"picture {i}"} for i in range(12)}
    (tmp_path / "meta.json").write_text(json.dumps(prompts))
    code, (record,), _ = call(
        "judge", "fidelity", "--protocol", "mjhq30k", "--images", made, "--reference", real,
        "--set", "prompts.file=meta.json", "--set", f"judge.fid=tabletop:{weights}",
    )  # fmt: skip
    assert code == 0
    found = values(record)
    (tmp_path / "half").mkdir()
    for name in ("made", "real"):
        (tmp_path / "half" / name).mkdir()
        for i in range(0, 12, 2):
            file = tmp_path / name / f"{i:03d}.png"
            (tmp_path / "half" / name / file.name).write_bytes(file.read_bytes())
    half_made, half_real = tmp_path / "half" / "made", tmp_path / "half" / "real"
    _, (half,), _ = call(
        "judge", "fidelity", "--images", half_made, "--reference", half_real,
        "--set", f"judge.fid=tabletop:{weights}",
    )  # fmt: skip
    assert found["a/fid"] == pytest.approx(values(half)["fid"], rel=1e-6)
    assert found["b/fid"] != pytest.approx(found["a/fid"])
    own = {metric["name"]: metric["ci_prompts"] for metric in record["metrics"]}
    assert own["a/fid"] is not None
    middle = sum(own["a/fid"]) / 2
    assert middle < found["a/fid"]  # without the bias of six images
    assert f"without the bias of N {middle:.6g}" in (Path(record["run_dir"]) / "summary.txt").read_text()
    assert any("fid of a, b is, by the bias" in text for text in record["warnings"])
