"""Attention over sequences that stand one after the other in one row, each by itself: no padding, no mask.

Neighbours of one length are one call, so a batch is as many calls as it has different lengths in a row. The
kernels for attention without a mask are the fastest ones, and the only ones for some formats.
"""

from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional as F

from lumina_model.errors import UserError


def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    """Each token of a row attends to all tokens of its own sequence.

    Args:
        q: queries (1, N, A, d).
        k: keys (1, N, A, d).
        v: values (1, N, A, d).
        lengths: of the sequences, int (Q,), in order, N in all. On the CPU: reading them must not wait.

    Returns:
        (1, N, A, d).

    Raises:
        UserError: more rows than one, or lengths of another sum.
    """
    # Lengths are data: the compiler would compile for each batch anew what it may look into.
    return (_opaque if torch.compiler.is_compiling() else _attend)(q, k, v, lengths)


def _attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    each = lengths.tolist()
    if len(q) != 1 or sum(each) != q.shape[1]:
        raise UserError(
            f"expected one row of as many tokens as its sequences have ({sum(each)}), found "
            f"{tuple(q.shape[:2])}; fix: put the sequences into one row, as branches.row does"
        )
    found, start = [], 0
    for length, alike in groupby(each):
        here = slice(start, start := start + length * len(list(alike)))
        parts = [x[0, here].unflatten(0, (-1, length)).transpose(1, 2) for x in (q, k, v)]  # (n, A, L, d)
        out = F.scaled_dot_product_attention(*parts)  # (n, A, L, d)
        found.append(out.transpose(1, 2).flatten(0, 1))  # (n·L, A, d)
    # Contiguous, as is promised to the compiler; most kernels leave it so, and then nothing is copied.
    return (found[0].contiguous() if len(found) == 1 else torch.cat(found))[None]  # (1, N, A, d)


_opaque = torch.library.custom_op("lumina_model::attend", _attend, mutates_args=())
_opaque.register_fake(lambda q, k, v, lengths: torch.empty_like(q, memory_format=torch.contiguous_format))
