"""CLIP-scores from the command line: each convention's own mean, and a gap only where there is one."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.fidelity.adapter import Fidelity
from lumina_eval import cli
from lumina_eval.digests import digest_of
from lumina_eval.plugins import injected

Judge = Callable[..., tuple[int, dict[str, Any], str]]
CAPTIONS = ("a red cube", "two blue spheres", "a green cone", "a dog")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Judge:
    """Judge images of four captions by one metric; return exit code, record and stderr."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("made").mkdir()
    for place in range(len(CAPTIONS)):
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"made/{place:05d}.png")
    Path("captions.csv").write_text("caption\n" + "".join(f"{caption}\n" for caption in CAPTIONS))

    def run(metric: str, convention: str, *more: str) -> tuple[int, dict[str, Any], str]:
        monkeypatch.setattr(sys, "argv", [
            "lumina-eval", "judge", "fidelity", "--protocol", "coco30k", "--set", "prompts.file=captions.csv",
            "--set", "judge.clip=tabletop", "--set", f'metrics=["{metric}"]',
            "--set", f"judge.convention={convention}", "--json", *more,
        ])  # fmt: skip
        capsys.readouterr()
        with injected("benchmarks", fidelity=Fidelity), pytest.raises(SystemExit) as end:
            cli.main()
        streams = capsys.readouterr()
        return int(end.value.code or 0), json.loads(streams.out or "{}"), streams.err

    return run


def fetched_captions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the captions of the images where those of COCO-30k lie once they are fetched."""
    monkeypatch.setenv("LUMINA_EVAL_DATA", str(folder / "data"))
    captions = folder / "data" / "coco30k-captions" / "MS-COCO_val2014_30k_captions.csv"
    captions.parent.mkdir(parents=True)
    captions.write_bytes(Path("captions.csv").read_bytes())
    return captions


def of_cosines(run_dir: str, cosines: list[float]) -> Path:
    """Write a run's verdicts again with other cosines."""
    path = Path(run_dir) / "verdicts.jsonl"
    verdicts = [json.loads(line) for line in path.read_text().splitlines()]
    for verdict, cosine in zip(verdicts, cosines, strict=True):
        verdict["output"]["cosine"] = cosine
    path.write_text("".join(json.dumps(verdict) + "\n" for verdict in verdicts))
    return path


@pytest.mark.parametrize(
    ("convention", "value"), [("torchmetrics", 0.0), ("hessel", 2.5 * 0.2 / 4), ("cosine", -0.175)]
)
def test_each_conventions_own_mean(judge: Judge, convention: str, value: float) -> None:
    """torchmetrics 1.9.0: ``torch.max(score, zeros)`` of the mean; Hessel et al. clamp each pair."""
    code, record, _ = judge("clip_score", convention, "--images", "made")
    assert code == 0
    file = of_cosines(record["run_dir"], [-0.3, -0.2, -0.4, 0.2])
    code, record, errors = judge("clip_score", convention, "--verdicts", str(file), "--out", "again")
    assert code == 0, errors
    (found,) = record["metrics"]
    assert found["value"] == pytest.approx(value)
    low, high = found["ci_prompts"]
    assert low <= found["value"] <= high


def test_captions_that_are_cut_are_counted(judge: Judge) -> None:
    """The embedded CLIP reads 26 words, of which the prefix takes three."""
    long = " ".join(["red"] * 23)
    Path("captions.csv").write_text(f"caption\n{long}\n{long} cube\n{long} and {long}\na dog\n")
    code, record, _ = judge("clip_score", "cosine", "--images", "made")
    assert code == 0
    (said,) = [text for text in record["warnings"] if "were cut" in text]
    assert "captions of 2 of 4 prompts" in said
    assert "00001, 00002" in said
    Path("captions.csv").write_text(f"caption\n{long}\na cube\na dog\na cat\n")
    _, record, _ = judge("clip_score", "cosine", "--images", "made")
    assert not any("were cut" in text for text in record["warnings"])


def test_the_list_of_captions_is_known_by_its_content(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COCO-30k's file has no published sum: another list of captions in its place is refused."""
    captions = fetched_captions(tmp_path, monkeypatch)
    code, _, errors = judge("clip_score", "cosine", "--images", "made", "--set", "prompts.file=")
    assert code == 2
    assert "expected the prompts of coco30k, of digest 2e93fcb738f5" in errors

    known = digest_of([[f"{place:05d}", caption] for place, caption in enumerate(CAPTIONS)])
    mine = ("--set", "prompts.file=", "--set", f"prompts.digest={known}")
    assert judge("clip_score", "cosine", "--images", "made", *mine)[0] == 0
    other_ends = "caption\r\n" + "".join(f"{caption} \r\n" for caption in CAPTIONS)
    captions.write_bytes(other_ends.encode())  # the same captions
    assert judge("clip_score", "cosine", "--images", "made", *mine)[0] == 0
    captions.write_bytes(captions.read_bytes().replace(CAPTIONS[0].encode(), b"a cat"))
    assert judge("clip_score", "cosine", "--images", "made", *mine)[0] == 2


def test_files_that_nothing_pins_are_named_with_their_sums(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a run says which it was."""
    captions = fetched_captions(tmp_path, monkeypatch)
    loose = ("--set", "prompts.file=", "--set", "prompts.digest=")
    code, record, _ = judge("clip_score", "cosine", "--images", "made", *loose)
    assert code == 0
    (said,) = [text for text in record["warnings"] if "nobody publishes a sum of coco30k-captions" in text]
    assert said.endswith(hashlib.sha256(captions.read_bytes()).hexdigest())
    _, record, _ = judge("clip_score", "cosine", "--images", "made")
    assert not any("nobody publishes" in text for text in record["warnings"])


def test_a_gap_without_wrong_captions_is_told(judge: Judge) -> None:
    code, _, errors = judge("clip_score_gap", "cosine", "--images", "made")
    assert code == 2
    assert "clip_score_gap is not measured: no prompt comes with a wrong caption; fix: --set" in errors
