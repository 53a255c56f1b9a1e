"""Attention over sequences that stand one after the other in one row, each by itself: no padding, no mask.

Neighbours of one length are one call, so a batch is as many calls as it has different lengths in a row. The
kernels for attention without a mask are the fastest ones, and the only ones for some formats.
"""

from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    """Each token of a row attends to all tokens of its own sequence.

    Args:
        q: queries (1, N, A, d).
        k: keys (1, N, A, d).
        v: values (1, N, A, d).
        lengths: of the sequences, int (S,), in order, N in all. On the CPU: reading them must not wait.

    Returns:
        (1, N, A, d).
    """
    # Lengths are data: the compiler would compile for each batch anew what it may look into.
    return (_opaque if torch.compiler.is_compiling() else _attend)(q, k, v, lengths)


def _attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    found, start = [], 0
    for length, alike in groupby(lengths.tolist()):
        here = slice(start, start := start + length * len(list(alike)))
        of_these = [
            x[0, here].unflatten(0, (-1, length)).transpose(1, 2) for x in (q, k, v)
        ]  # (n, A, length, d)
        out = F.scaled_dot_product_attention(*of_these)  # (n, A, length, d)
        found.append(out.transpose(1, 2).flatten(0, 1))  # (n·length, A, d)
    return torch.cat(found)[None]  # (1, N, A, d)


_opaque = torch.library.custom_op("lumina_model::attend", _attend, mutates_args=())
_opaque.register_fake(lambda q, k, v, lengths: torch.empty_like(q, memory_format=torch.contiguous_format))
