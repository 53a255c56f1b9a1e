"""Fidelity of the embedded world, end to end: a run, its verdicts counted again, comparisons, categories."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_fidelity import pictures, values

from lumina_eval.records import Score
from lumina_eval.statistics.comparison import compare
from lumina_eval.statistics.endpoint import Endpoint
from lumina_eval.statistics.gates import comparison_gate

Call = Callable[..., tuple[int, list[dict[str, Any]], str]]


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
