"""Full float32 on any device: a score near a threshold must not depend on how a GPU rounds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Compute without gradients and, within the block, without TF32 in convolutions and products.

    torch allows TF32 in convolutions by default: 10 bits of mantissa instead of 23.
    """
    import torch

    backends: Any = torch.backends  # torch's own types do not know of fp32_precision
    convolutions, products = backends.cudnn.conv, backends.cuda.matmul
    before = (convolutions.fp32_precision, products.fp32_precision)
    convolutions.fp32_precision = products.fp32_precision = "ieee"
    try:
        with torch.inference_mode():
            yield
    finally:
        convolutions.fp32_precision, products.fp32_precision = before
