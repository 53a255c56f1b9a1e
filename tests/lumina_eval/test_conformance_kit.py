"""The conformance kit finds what breaks promises; the harness names members that are not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_world import FakeBenchmark, RedJudge
from PIL import Image

from lumina_eval import plugins
from lumina_eval.errors import UserError
from lumina_eval.models import open_models
from lumina_eval.models.function import FunctionModel
from lumina_eval.plugins import injected
from lumina_eval.records import Aggregate, Item, Verdict
from lumina_eval.testing import check_judge, check_reporter, check_rules, check_run

ITEMS = [Item(id=f"0000{n}", prompt=f"prompt {n}", task="even") for n in (0, 2)]
OUTPUTS = [{"red": 1.0}, {"red": 0.0}]


class Changed(FakeBenchmark):
    """The fake benchmark with something done to what its rules give."""

    def __init__(self, folder: Path, change: Callable[[Aggregate, Sequence[Verdict]], Aggregate]) -> None:
        super().__init__(folder)
        self._change = change

    def aggregate(self, protocol: Any, items: Any, verdicts: Any) -> Aggregate:
        return self._change(super().aggregate(protocol, items, verdicts), verdicts)


@pytest.fixture
def red_model(model_file: Path) -> FunctionModel:
    (model,) = open_models(f"{model_file}:always", {})
    assert isinstance(model, FunctionModel)
    return model


def test_good_rules_pass(tmp_path: Path) -> None:
    assert [score.value for score in check_rules(FakeBenchmark(tmp_path), ITEMS, OUTPUTS)] == [1, 0]


def drift() -> Callable[[Aggregate, Sequence[Verdict]], Aggregate]:
    calls: list[int] = []

    def change(found: Aggregate, _: Sequence[Verdict]) -> Aggregate:
        calls.append(1)
        return found.model_copy(update={"summary": str(len(calls))})

    return change


def twice(found: Aggregate, _: Sequence[Verdict]) -> Aggregate:
    return found.model_copy(update={"scores": found.scores * 2})


def marked(found: Aggregate, verdicts: Sequence[Verdict]) -> Aggregate:
    for verdict in verdicts:
        verdict.output["seen"] = True
    return found


def beside(found: Aggregate, _: Sequence[Verdict]) -> Aggregate:
    wrong = [metric.model_copy(update={"ci_prompts": (2.0, 3.0)}) for metric in found.metrics]
    return found.model_copy(update={"metrics": wrong})


def remembering() -> Callable[[Aggregate, Sequence[Verdict]], Aggregate]:
    first: list[Aggregate] = []

    def change(found: Aggregate, _: Sequence[Verdict]) -> Aggregate:
        first.append(found)
        return first[0]

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (drift(), "other results"),
        (twice, "scored twice"),
        (marked, "changed a verdict"),
        (beside, "within its interval"),
        (remembering(), "without a verdict"),
    ],
)
def test_bad_rules_are_found(tmp_path: Path, change: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_rules(Changed(tmp_path, change), ITEMS, OUTPUTS)


@pytest.mark.parametrize(("member", "value"), [("kind", "guess"), ("digest", "v1")])
def test_a_judge_says_what_it_is(member: str, value: str) -> None:
    judge = RedJudge()
    setattr(judge, member, value)
    with pytest.raises(AssertionError, match=value):
        check_judge(judge, [Image.new("RGB", (8, 8))], ITEMS[:1])


def test_a_run_is_tried_from_prompt_to_metrics(tmp_path: Path, red_model: FunctionModel) -> None:
    run_dir = check_run(FakeBenchmark(tmp_path), red_model, tmp_path / "out")
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["metrics"][0]["value"] == 1
    assert metrics["coverage"]["judged"] == 4  # a prompt of each task, two images of each


def test_a_run_with_a_judge_that_fails_is_found(tmp_path: Path, red_model: FunctionModel) -> None:
    class Blind(RedJudge):
        def judge(self, images: Sequence[Image.Image], items: Sequence[Item]) -> list[dict[str, Any]]:
            raise ValueError("no light")

    with pytest.raises(AssertionError, match="no light"):
        check_run(FakeBenchmark(tmp_path), red_model, tmp_path / "out", judge=Blind())


def one_line(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    out.mkdir(exist_ok=True)
    (out / "page.txt").write_text(f"{len(run_dirs)} runs")
    return [out / "page.txt"]


def nothing(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    return []


def elsewhere(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    (run_dirs[0] / "page.txt").write_text("here")
    return [run_dirs[0] / "page.txt"]


def meddling(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    (run_dirs[0] / "scores.jsonl").write_text("")
    return one_line(run_dirs, out, store)


def absent(run_dirs: Sequence[Path], out: Path, store: Path) -> list[Path]:
    return [out / "page.txt"]


def test_reporters_are_tried(tmp_path: Path, red_model: FunctionModel) -> None:
    run_dir = check_run(FakeBenchmark(tmp_path), red_model, tmp_path / "out")
    check_reporter(one_line, [run_dir], tmp_path / "report")
    for reporter, told in (
        (nothing, "at least one"),
        (absent, "found none"),
        (elsewhere, "expected files in"),
        (meddling, "changed a run folder"),
    ):
        with pytest.raises(AssertionError, match=told):
            check_reporter(reporter, [run_dir], tmp_path / f"report-{reporter.__name__}")


def test_members_that_are_not_there_are_named(tmp_path: Path) -> None:
    class Half:
        name = "half"

        def items(self, protocol: Any) -> list[Item]:
            return []

    def open_half(spec: str, options: Mapping[str, str]) -> list[Half]:
        return [Half()]

    with injected("benchmarks", half=Half()), pytest.raises(UserError, match="aggregate, judge, protocols"):
        plugins.benchmark("half")
    with injected("models", half=open_half), pytest.raises(UserError, match="final_text, generate"):
        open_models("half", {})
    with injected("judges", red=lambda options: Half()):
        protocol = plugins.ResolvedProtocol("plain", {"judge": {"name": "red"}})
        with pytest.raises(UserError, match="digest, judge, kind, settings"):
            plugins.protocol_judge("fake", protocol, "none")
