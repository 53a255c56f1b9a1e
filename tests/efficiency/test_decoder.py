"""The program that times decoding some at a time: a line a side, a figure a number; mistakes are told."""

import pytest

from benchmarks.efficiency.decoder import main


def test_every_side_has_its_figures_and_what_the_sampler_does(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sides", "16", "128", "--batch", "6", "--repeats", "1"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert next(column for column in lines if "side" in column).count("once") == 4  # 1, 2, 4 and 8 for 6
    rows = {line[0]: line[1:] for line in lines if line and line[0] in ("16", "128")}
    assert {side: row[4] for side, row in rows.items()} == {"16": "6", "128": "4"}
    for row in rows.values():
        assert all(float(figure) > 0 for figure in [*row[:4], row[5].rstrip("x")])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--batch", "0"], "--batch 16"),
        (["--sides", "20"], "--sides 64"),
        (["--repeats", "0"], "--repeats 5"),
    ],
)
def test_mistakes_are_told(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err
