"""Rotary positions: complex arithmetic as oracle, and what relative positions promise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lumina_model.rope import axis_angles, image_rotation, join, rotate, text_rotation

AXES = (4, 6, 6)
THETA = 10_000.0


def test_equals_complex_multiplication() -> None:
    lengths, rows, columns = [5, 2], 3, 4
    x = torch.randn(2, rows * columns, 1, 16)
    found = rotate(x, image_rotation(torch.tensor(lengths), rows, columns, AXES, THETA))
    for b, length in enumerate(lengths):
        for r in range(rows):
            for c in range(columns):
                angles = [
                    position * THETA ** (-2 * k / dim)
                    for position, dim in zip((length, r, c), AXES, strict=True)
                    for k in range(dim // 2)
                ]
                turn = torch.polar(
                    torch.ones(8, dtype=torch.float64), torch.tensor(angles, dtype=torch.float64)
                )
                token = x[b, r * columns + c, 0].double()
                expected = torch.view_as_real(torch.view_as_complex(token.view(8, 2)) * turn).flatten()
                torch.testing.assert_close(
                    found[b, r * columns + c, 0].double(), expected, atol=1e-6, rtol=1e-6
                )


@given(shift_row=st.integers(0, 20), shift_column=st.integers(0, 20))
def test_attention_sees_only_differences_of_rows_and_columns(shift_row: int, shift_column: int) -> None:
    size = 24
    rotation = image_rotation(torch.tensor([7]), size, size, AXES, THETA)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0))

    def score(a: tuple[int, int], b: tuple[int, int]) -> torch.Tensor:
        at = [rotation[:, p[0] * size + p[1]][:, None] for p in (a, b)]
        return (rotate(q, at[0]) * rotate(k, at[1])).sum()

    here = score((1, 2), (3, 0))
    there = score((1 + shift_row, 2 + shift_column), (3 + shift_row, shift_column))
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
    assert not torch.isclose(here, score((1, 2), (3, 1)), atol=1e-4)


def test_text_runs_on_the_first_axis_and_images_stand_behind_it() -> None:
    text = text_rotation(6, AXES, THETA, torch.device("cpu"))
    image = image_rotation(torch.tensor([4, 6]), 1, 2, AXES, THETA)
    both = join(text, image)
    assert both.shape == (2, 8, 1, 8, 2)
    assert torch.equal(both[0, :6], both[1, :6])
    assert torch.equal(both[0, 6, 0, :2], text[0, 4, 0, :2])  # image of text length 4 is at (4, 0, 0)
    assert torch.equal(text[:, :, :, 2:, 0], torch.ones(1, 6, 1, 6))  # rows and columns of text are 0


@given(dims=st.sampled_from([4, 6, 10, 16, 24, 32]), seed=st.integers(0, 99))
def test_compiled_code_turns_by_real_numbers_to_the_same_place(dims: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 6, 3, 3 * dims, generator=generator)
    rotation = image_rotation(torch.tensor([9, 1]), 2, 3, (dims, dims, dims), THETA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        real = rotate(x, rotation)
    torch.testing.assert_close(real, rotate(x, rotation), atol=1e-6, rtol=1e-6)


def test_rotation_keeps_length_and_dtype() -> None:
    x = torch.randn(2, 6, 3, 16, dtype=torch.bfloat16)
    turned = rotate(x, image_rotation(torch.tensor([9, 1]), 2, 3, AXES, THETA))
    assert turned.dtype == torch.bfloat16
    torch.testing.assert_close(turned.float().norm(dim=-1), x.float().norm(dim=-1), rtol=1e-2, atol=1e-2)


def test_angles_are_exact_far_out() -> None:
    angles = axis_angles(torch.tensor([511]), 96, THETA)
    assert angles.dtype == torch.float64
    assert abs(angles[0, 1].item() - 511 * THETA ** (-2 / 96)) < 1e-9
