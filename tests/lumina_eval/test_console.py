"""The table that people see at the end of a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lumina_eval.console import Output, column_names, stage_tables
from lumina_eval.records import Coverage, Metric, RunResult


def result(model: str, stage: str | None = None, step: int | None = None, title: str = "") -> RunResult:
    intervals = {"ci_seeds": (0.9, 1.0), "ci_prompts": (0.8, 1.0)}
    metrics = [
        Metric(name=name, value=0.95, n_prompts=3, n_images=12, **intervals)
        for name in ("overall", "unseen/overall")
    ]
    return RunResult(
        benchmark="b", protocol="p", model=model, stage=stage, step=step, metrics=metrics,
        title=title or (f"{model}:{stage}" if stage else model),
        coverage=Coverage(expected=2212, generated=2212, judged=2212),
    )  # fmt: skip


FIVE = [
    result("truth", "autoencoder@64", title="ceiling 64 px"),
    result("truth", "autoencoder@128", title="ceiling 128 px"),
    *(result("embedded", stage, step) for stage, step in (("low_res", 1), ("high_res", 2), ("hq_tuning", 3))),
]


def printed(results: list[RunResult], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    for table in stage_tables(results, console.width):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_two_ceilings_and_three_stages_stand_side_by_side_in_a_hundred_characters() -> None:
    text = printed(FIVE, 100)
    (head,) = [line for line in text.splitlines() if "ceiling" in line]
    assert all(word in head for word in ("ceiling 64 px", "ceiling 128 px", "step 1", "step 2", "step 3"))
    assert text.count("overall") == 2
    assert "\u2026" not in text


@pytest.mark.parametrize("width", [50, 72, 80, 100, 200])
def test_nothing_is_cut_off_at_any_width(width: int) -> None:
    text = printed(FIVE, width)
    assert "\u2026" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in ("low_res", "high_res", "hq_tuning", "ceiling 128 px", "0.800 – 1.000", "2212 of 2212"):
        assert word in text


def test_a_column_is_named_by_its_stage_else_by_its_model() -> None:
    assert column_names([result("mine", "low_res", 7), result("other")]) == ["low_res\nstep 7", "other"]
    two = [result("mine", "low_res"), result("yours", "low_res")]
    assert column_names(two) == ["mine\nlow_res", "yours\nlow_res"]
    assert column_names([result("a-model-with-a-very-long-name")]) == ["a-model-with-a-\nvery-long-name"]


def test_names_and_messages_are_shown_as_they_are() -> None:
    """Brackets of a name are no markup, which would vanish or break, and `:x:` is no picture."""
    out = io.StringIO()
    streams = Output(False, out)
    for table in stage_tables([result("ft[ema]"), result("ft[/b]"), result("run:x:1")], 100):
        streams.tables.print(table)
    streams.result("f_b.npz:x: [/b] [red]")
    head = out.getvalue().splitlines()[1]
    assert head.split() == ["ft[ema]", "ft[/b]", "run:x:1"]
    assert out.getvalue().endswith("f_b.npz:x: [/b] [red]\n")
