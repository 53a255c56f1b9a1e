"""Linear layers that take the fastest float32 product of this processor.

On a CPU torch multiplies float32 matrices with MKL, which keeps to its AVX2 kernels on processors that are
not Intel's. oneDNN, which torch brings along, takes AVX-512 wherever it is: the same sums in another order in
half to two thirds of the time at this model's shapes on an AMD EPYC (``python -m
benchmarks.efficiency.products``). Products that need a gradient go torch's way. torch's operation counter
does not know oneDNN's operator.
"""

import functools
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

CPUINFO: Final = Path("/proc/cpuinfo")


class Linear(nn.Linear):
    """``nn.Linear`` with the same parameters; where :func:`prefers_onednn`, float32 goes through oneDNN."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: torch.device | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias, device)
        self.onednn = prefers_onednn()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        own = self.onednn and x.dtype == self.weight.dtype == torch.float32 and x.device.type == "cpu"
        if (
            not own
            or x.shape[-1] != self.in_features
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
        ):
            return super().forward(x)
        # The compiler would take the bare operator for its own and ask for a constant weight.
        product = _opaque if torch.compiler.is_compiling() else _onednn
        return product(x, self.weight, self.bias)


@functools.cache
def prefers_onednn() -> bool:
    """Whether float32 products go through oneDNN here: with AVX-512, on a processor that is not Intel's.

    Elsewhere, and with a torch that lacks the operator, torch's own way is kept.
    """
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # the one that torch.compile emits on a CPU
        and CPUINFO.is_file()
        and "GenuineIntel" not in CPUINFO.read_text(encoding="utf-8")
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


_opaque = torch.library.custom_op("lumina_model::linear", _onednn, mutates_args=(), device_types="cpu")
_opaque.register_fake(lambda x, weight, bias: x.new_empty(*x.shape[:-1], weight.shape[0]))
