"""Linear layers: torch's numbers by either way, gradients, other dtypes, and no break in a compiled graph."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lumina_model import linear
from lumina_model.linear import Linear, prefers_onednn

needs_onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="torch without oneDNN",
)


def through_onednn(layer: Linear) -> Linear:
    """The layer as it is on a processor that prefers oneDNN, on any processor."""
    layer.onednn = True
    return layer


@needs_onednn
def test_onednn_is_taken_for_float32_without_gradients_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.Size] = []

    def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        taken.append(x.shape)
        return nn.functional.linear(x, weight, bias)

    monkeypatch.setattr(linear, "_onednn", product)
    layer, x = through_onednn(Linear(4, 3)), torch.randn(5, 4)
    layer(x)  # a gradient may be wanted
    with torch.inference_mode():
        layer.to(torch.bfloat16)(x.bfloat16())
        assert not taken
        layer.to(torch.float32)(x)
    assert taken == [x.shape]


@needs_onednn
def test_a_wrong_input_gets_the_message_of_torch() -> None:
    with torch.inference_mode(), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        through_onednn(Linear(4, 3))(torch.randn(5, 6))


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 24), (3, 5, 24), (2, 3, 4, 24)])
def test_both_ways_are_as_near_to_the_exact_product(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = through_onednn(Linear(24, 40, bias=bias))
    x = torch.randn(shape)
    exact = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double() if bias else None)
    with torch.inference_mode():
        found = layer(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, atol=2e-6, rtol=0)


@needs_onednn
def test_a_strided_input_is_read_as_it_is() -> None:
    layer = through_onednn(Linear(6, 7))
    x = torch.randn(6, 5, 4).transpose(0, 2)  # (4, 5, 6), the last axis is not contiguous
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


@needs_onednn
def test_a_weight_that_was_changed_is_taken() -> None:
    layer = through_onednn(Linear(4, 4, bias=False))
    x = torch.randn(3, 4)
    with torch.inference_mode():
        layer(x)
    layer.load_state_dict({"weight": torch.eye(4)})
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), x)


def test_gradients_are_those_of_torch() -> None:
    layer, x = through_onednn(Linear(4, 3)), torch.randn(5, 4, requires_grad=True)
    layer(x).square().sum().backward()
    expected = torch.autograd.grad(nn.functional.linear(x, layer.weight, layer.bias).square().sum(),
                                   [x, layer.weight, layer.bias])  # fmt: skip
    for found, wanted in zip([x.grad, layer.weight.grad, layer.bias.grad], expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_bfloat16_and_autocast_stay_with_torch() -> None:
    layer, x = through_onednn(Linear(4, 3)), torch.randn(5, 4)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with torch.inference_mode():
        assert layer.to(torch.bfloat16)(x.bfloat16()).dtype == torch.bfloat16


@needs_onednn
def test_a_compiled_graph_holds_the_product_without_a_break() -> None:
    layer = through_onednn(Linear(8, 8))
    whole = torch.compile(lambda x: layer(x) * 2, fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 8)
    with torch.inference_mode():
        torch.testing.assert_close(whole(x), layer(x) * 2)


@pytest.mark.parametrize(
    ("capability", "vendor", "expected"),
    [("AVX512", "AuthenticAMD", True), ("AVX512", "GenuineIntel", False), ("AVX2", "AuthenticAMD", False)],
)
@needs_onednn
def test_onednn_is_preferred_with_avx512_beside_intel(
    capability: str, vendor: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    monkeypatch.setattr(linear, "CPUINFO", cpuinfo)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert prefers_onednn.__wrapped__() is expected


def test_where_the_vendor_is_unknown_torch_keeps_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "CPUINFO", Path("/nowhere"))
    assert prefers_onednn.__wrapped__() is False
