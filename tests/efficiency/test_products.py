"""The program that sets our linear layers beside torch's: every layer has a line, and mistakes are told."""

import pytest
import torch

from benchmarks.efficiency.products import LAYERS, int8_product, int8_rows, main


def test_every_layer_has_its_rates_and_errors_of_rounding(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--tokens", "8", "--repeats", "1", "--longest", "288"])
    lines = capsys.readouterr().out.splitlines()
    for layer in LAYERS:
        (line,) = [line.split() for line in lines if line.split()[:1] == [layer]]
        assert line[5].endswith("x")
        assert all(0 <= float(error) < 1e-5 for error in line[6:8])
        assert [ratio[-1] for ratio in line[8:]] == ["x", "x"]
    attention = [line.split() for line in lines if "tokens" in line and "x" in line.split()[-1]]
    assert [int(words[0]) for words in attention] == [96, 288]
    assert all(float(ratio.rstrip("x")) > 0 for words in attention for ratio in words[-2:])


def test_the_product_in_int8_is_the_product_but_for_eight_bits() -> None:
    x, weight = torch.randn(2, 17, 64, generator=torch.Generator().manual_seed(0))
    exact = x @ weight.t()
    assert not int8_product(torch.zeros(1, 64), *int8_rows(weight)).any()
    apart = (int8_product(x, *int8_rows(weight)) - exact).norm() / exact.norm()
    assert 0.001 < apart < 0.02


def test_no_tokens_are_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--tokens", "0"])
    assert stopped.value.code == 2
    assert "--tokens 1280" in capsys.readouterr().err
