"""The joint blocks' matrix products in float8 (e4m3); all else stays in bfloat16.

A row of activations (a token) and a row of weights (an output) are each divided by a scale of their own that
brings the largest value to the format's largest, rounded to float8, multiplied, and scaled back: as torchao's
`Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())`, whose kernel is torch's own. Scales are of
the values at hand, so nothing is calibrated, and a token does not depend on its neighbours.

Where a device has no products in float8 the rounded values are multiplied in bfloat16, which holds each of
them exactly: the same numbers up to rounding, and no faster.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lumina_model.linear import Linear
from lumina_model.next_dit import NextDiT

FLOAT8: Final = torch.float8_e4m3fn
#: The first NVIDIA generation with float8 in its tensor cores (Ada; Hopper is 9.0).
LEAST_CAPABILITY: Final = (8, 9)
#: Largest value of a row below which it counts as zero: a scale that is no denormal number.
SMALLEST: Final = 1e-30
#: torch's kernel takes inner and outer dimensions that are multiples of this.
MULTIPLE: Final = 16


class Float8Linear(nn.Module):
    """A linear layer without bias whose weight is kept in float8, with a scale for each output."""

    weight: Tensor  # (out, in) float8
    scale: Tensor  # (out, 1) float32

    def __init__(self, linear: nn.Linear, native: bool) -> None:
        super().__init__()
        self.native = native
        weight, scale = rounded(linear.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out) in the dtype of x."""
        rows = x.flatten(0, -2)  # (M, in)
        values, scale = rounded(rows)  # (M, in), (M, 1)
        if self.native:
            out = scaled_product(values, scale, self.weight, self.scale, x.dtype)  # (M, out)
        else:
            product = F.linear(values.to(x.dtype), self.weight.to(x.dtype))  # (M, out)
            out = (product.float() * scale * self.scale.t()).to(x.dtype)
        return out.unflatten(0, x.shape[:-1])


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (M, K) to float8 and their scales (M, 1) in float32: values · scale is about the rows."""
    largest = rows.float().abs().amax(dim=1, keepdim=True)
    scale = largest.clamp_min(SMALLEST) / torch.finfo(FLOAT8).max
    return (rows.float() / scale).to(FLOAT8), scale


def scaled_product(x: Tensor, x_scale: Tensor, w: Tensor, w_scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows (M, K) times rows (N, K) as they come from :func:`rounded` -> (M, N), by torch's float8 kernel."""
    return torch._scaled_mm(x, w.t(), scale_a=x_scale, scale_b=w_scale.t(), out_dtype=dtype)


def stored_dtype(dtype: torch.dtype) -> torch.dtype:
    """In what the weights are read for a dtype: float8 is made of bfloat16 by :func:`to_float8`."""
    return torch.bfloat16 if dtype == FLOAT8 else dtype


def has_float8(device: torch.device) -> bool:
    """Whether a device multiplies in float8."""
    cuda = device.type == "cuda" and torch.version.hip is None  # AMD's format is another
    return cuda and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def to_float8(model: NextDiT) -> NextDiT:
    """Put float8 layers in the place of the joint blocks' attention and feed-forward; returns the same model.

    Refiners, embeddings, modulation and the last layer stay as they are: few operations, and the first and
    the last are what rounding hurts most. Call it last: the layers know the device, take no adapters and are
    neither cast nor saved.
    """
    native = has_float8(next(model.parameters()).device)
    for layer in model.layers:
        for name, module in [*layer.named_modules()]:
            if isinstance(module, Linear) and not name.startswith("norm1") and _fits(module):
                parent, _, own = name.rpartition(".")
                setattr(layer.get_submodule(parent), own, Float8Linear(module, native))
    return model


def _fits(linear: nn.Linear) -> bool:
    """No bias, and dimensions that the kernel takes; another layer stays in bfloat16."""
    return linear.bias is None and not (linear.in_features % MULTIPLE or linear.out_features % MULTIPLE)
