"""Attention over a row of sequences: each is what it is by itself, masked attention as oracle."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from lumina_model.errors import UserError
from lumina_model.packed_attention import attend


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=7), seed=st.integers(0, 99))
def test_a_row_is_attention_with_a_mask_of_blocks(lengths: list[int], seed: int) -> None:
    n = sum(lengths)
    q, k, v = torch.randn(3, 1, n, 2, 8, generator=torch.Generator().manual_seed(seed))
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    mask = owner[:, None] == owner[None]  # (N, N)
    heads = [x.transpose(1, 2) for x in (q, k, v)]
    expected = F.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2)
    torch.testing.assert_close(attend(q, k, v, torch.tensor(lengths)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("rows", "lengths"), [(2, [4]), (1, [3]), (1, [4, 1])])
def test_what_is_no_row_of_these_sequences_is_refused(rows: int, lengths: list[int]) -> None:
    x = torch.randn(rows, 4, 2, 8)
    with pytest.raises(UserError, match="one row of as many tokens as its sequences have"):
        attend(x, x, x, torch.tensor(lengths))
