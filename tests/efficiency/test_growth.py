"""The program that shows how cost grows: its lines and its plot, and mistakes told before the first image."""

from pathlib import Path

import pytest

from benchmarks.efficiency.growth import main


def test_each_axis_has_its_values_and_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "growth.svg"
    words = ["--model", "embedded:low_res", "--device", "cpu", "--option", "steps=1", "--repeats", "1"]
    main([*words, "--side", "32", "64", "--text", "--batch", "1", "2", "--steps", "--plot", str(plot)])
    out = capsys.readouterr().out
    assert "steps=1" in out
    assert "side: seconds = " in out
    assert "batch: seconds = " in out
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows if row and row[0].isdigit()] == ["32", "64", "1", "2"]
    assert plot.read_text("utf-8").count("<svg") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--option", "stepz=2"], "did you mean steps"),
        (["--side", "100", "--text", "--batch", "--steps"], "multiple of 16"),
        (["--batch", "0"], "values of 1 or more"),
        (["--model", "embedded:nowhere"], "found 'nowhere'"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--device", "cpu", *words])
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
