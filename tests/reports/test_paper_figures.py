"""Figures by name: what is drawn, what is not and says so, the same bytes again."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from lumina_eval.errors import UserError
from reports.paper import drawing
from reports.paper.loss_curves import figure4
from reports.paper.speed_chain import figure11
from reports.paper.stage_curves import figure10
from reports.paper.training_logs import training_logs

MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def _readable_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text as text, to be read here; else it is drawn as outlines."""
    monkeypatch.setitem(drawing.STYLE, "svg.fonttype", "none")


def text_of(path: Path) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8")))


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A training folder as the trainer leaves it: two stages, one stopped while it wrote, one resumed."""
    folder = tmp_path / "train"
    lines = {
        "hq_tuning": [{"step": step, "loss": 0.5, "lr": 0.1} for step in (25, 50)],
        "low_res": [{"step": step, "loss": 2 - step / 100} for step in (25, 50, 50, 75)],
    }
    for stage, records in lines.items():
        (folder / "training" / stage).mkdir(parents=True)
        (folder / "stages" / stage / "transformer").mkdir(parents=True)
        (folder / "stages" / stage / "transformer" / "config.json").write_text("{}")
        record = {"stage": stage, "step": 75, "recipe": {"levels": {"tag": 0.25, "short": 0.75}}}
        (folder / "stages" / stage / "checkpoint.json").write_text(json.dumps(record))
        text = "".join(f"{json.dumps(one)}\n" for one in records)
        (folder / "training" / stage / "log.jsonl").write_text(f'{text}{{"step": 1')
    return folder


def test_logs_are_read_in_the_order_of_training(training: Path) -> None:
    low, hq = training_logs([training, training])
    assert (low.stage, low.steps, low.losses) == ("low_res", (25, 50, 75), (1.75, 1.5, 1.25))
    assert (hq.stage, hq.captions) == ("hq_tuning", "short 75%, tag 25%")


def test_the_log_of_a_runs_checkpoint_is_found(training: Path, make_run: MakeRun) -> None:
    run = make_run("low_res", 75, checkpoint=str(training / "stages" / "low_res"))
    assert [log.stage for log in training_logs([run])] == ["low_res", "hq_tuning"]


def test_figure_10_says_how_many_runs_it_cannot_draw(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run("low_res", 1000, benchmark="geneval"), make_run("other", None, benchmark="geneval")]
    told = "1 of 2 runs know no training step and are not drawn"
    assert told in text_of(figure10(runs, tmp_path / "both")[0])
    assert "no training step" not in text_of(figure10(runs[:1], tmp_path / "one")[0])


def test_a_log_that_is_broken_in_the_middle_is_an_error(training: Path) -> None:
    (training / "training" / "low_res" / "log.jsonl").write_text('{"step": 1\n{"step": 2, "loss": 1}\n')
    with pytest.raises(UserError, match=r"log.jsonl:1: expected a JSON object"):
        training_logs([training])


def test_figure_4_draws_the_readers_losses_and_says_that_the_papers_are_not_published(
    training: Path, tmp_path: Path
) -> None:
    svg, pdf = figure4([training], tmp_path / "out")
    assert pdf.read_bytes().startswith(b"%PDF")
    text = text_of(svg)
    assert "low_res (short 75%, tag 25%)" in text
    assert "not published" in text
    assert "787.79" in text
    with pytest.raises(UserError, match="not published, so there is nothing else to draw"):
        figure4([], tmp_path)


def test_figure_10_keeps_the_drawn_world_in_panels_of_its_own(
    training: Path, make_run: MakeRun, tmp_path: Path
) -> None:
    def plain(found: list) -> list:  # type: ignore[type-arg]
        return [found[0]]

    runs = [make_run("low_res", 1000, benchmark="geneval", metrics=plain)]
    runs += [make_run("high_res", 2000, 0.7, benchmark="geneval", metrics=plain)]
    text = text_of(figure10([*runs, training], tmp_path)[0])
    assert "as published" in text
    assert "tabletop world:" in text
    assert "not comparable" in text
    assert "thousand steps of the stage" in text
    assert "losses are not published" in text


def test_figure_10_has_the_published_points_without_any_run(tmp_path: Path) -> None:
    text = text_of(figure10([], tmp_path)[0])
    assert "HQ Tuning" in text
    assert "your runs" not in text


def test_figure_11_has_the_seconds_and_ratios_as_printed(tmp_path: Path) -> None:
    text = text_of(figure11([], tmp_path)[0])
    assert "20.8 s (GenEval 0.67, DPG 84.0)" in text
    assert "6.5 s, 1.21×" in text
    assert "step counts are not stated" in text


def measurement(seconds: float, device: str = "cpu (four cores)", **sampling: object) -> str:
    row = {
        "title": "mine:hq",
        "device": device,
        "digest": "d",
        "sampling": sampling,
        "seconds_median": seconds,
    }
    return json.dumps(row)


def test_figure_11_has_own_measurements_on_a_scale_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "measurements.jsonl"
    rows = [
        measurement(77.0, solver="midpoint", cache=None),
        measurement(2.0, solver="midpoint", cache=None),  # measured again
        measurement(1.0, solver="dpm", cache=None),
        measurement(0.5, solver="dpm", cache=0.3),
        measurement(0.1, "cuda", solver="dpm", cache=None),
    ]
    file.write_text("".join(f"{row}\n" for row in rows))
    text = text_of(figure11([file], tmp_path)[0])
    assert text.count("your measurements: not comparable") == 2  # one panel for each device
    assert "mine:hq" in text
    assert "+ solver=dpm" in text
    assert "+ cache=0.3" in text
    assert "2 s " in text
    assert "1 s, 2.00×" in text
    assert "77 s" not in text
    assert "(cpu (four cores))" in text


@pytest.mark.parametrize("line", ["{", "[]", '{"title": "x"}', measurement(float("nan")), measurement(0)])
def test_a_line_that_is_no_measurement_is_an_error_that_names_it(line: str, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(f"{measurement(1.0)}\n{line}\n")
    with pytest.raises(UserError, match=r"m.jsonl:2: expected a measurement"):
        figure11([tmp_path / "m.jsonl"], tmp_path)


def test_the_same_data_give_the_same_bytes(training: Path, tmp_path: Path) -> None:
    for draw in (figure4, figure10, figure11):
        one, other = draw([training], tmp_path / "a"), draw([training], tmp_path / "b")
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_strange_names_are_drawn_as_text(make_run: MakeRun, tmp_path: Path) -> None:
    strange = r"$\frac{a $ 狐 \n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = make_run("low_res", 1000, model=strange, title=strange, benchmark="geneval")
        text = text_of(figure10([run], tmp_path)[0])
    assert r"$\frac{a $ [U+72D0] \n" in text
