"""The program that sets our linear layers beside torch's: every layer has a line, and mistakes are told."""

import pytest

from benchmarks.efficiency.products import LAYERS, main


def test_every_layer_has_its_rates_and_errors_of_rounding(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--tokens", "8", "--repeats", "1"])
    lines = capsys.readouterr().out.splitlines()
    for layer in LAYERS:
        (line,) = [line.split() for line in lines if line.split()[:1] == [layer]]
        assert line[5].endswith("x")
        assert all(0 <= float(error) < 1e-5 for error in line[6:])


def test_no_tokens_are_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--tokens", "0"])
    assert stopped.value.code == 2
    assert "--tokens 1280" in capsys.readouterr().err
