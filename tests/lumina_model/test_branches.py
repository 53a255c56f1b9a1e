"""Both branches of guidance in one row: the same function as the padded transformer, in fewer tokens."""

import pytest
import torch
from tiny_lumina import contexts

from lumina_model.branches import branches
from lumina_model.errors import UserError
from lumina_model.mixed_sizes import crop, pad
from lumina_model.next_dit import Context, NextDiT


@pytest.fixture
def rows(model: NextDiT) -> dict[str, list[tuple[int, ...]]]:
    """Of each call of the first refiner and of the first joint block: samples and tokens."""
    seen: dict[str, list[tuple[int, ...]]] = {"images": [], "joint": []}
    for name, block in (("images", model.noise_refiner[0]), ("joint", model.layers[0])):
        block.register_forward_hook(
            lambda module, args, out, name=name: seen[name].append(tuple(out.shape[:2]))
        )
    return seen


@pytest.mark.parametrize(("longest", "side"), [(5, 16), (20, 4), (40, 4), (3, 4)])
def test_branches_equal_the_padded_model_and_compute_nothing_twice(
    model: NextDiT, rows: dict[str, list[tuple[int, ...]]], longest: int, side: int
) -> None:
    cond, uncond = contexts(model, longest)
    x, t, area = torch.randn(2, 16, side, side), torch.tensor(0.3), side * side // 4
    expected = [model(x, t.expand(2), context) for context in (cond, uncond)]
    assert rows == {"images": [(2, area)] * 2, "joint": [(2, 44 + area)] * 2}
    for calls in rows.values():
        calls.clear()
    conditional, both = branches(model, cond, uncond, x.shape)
    found = both(x, t)
    assert rows == {"images": [(1, 2 * area)], "joint": [(1, longest + 3 + 1 + 1 + 4 * area)]}
    torch.testing.assert_close(list(found), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(conditional(x, t), expected[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("longest", [5, 40])
def test_images_of_several_sizes_give_what_each_gives_alone(model: NextDiT, longest: int) -> None:
    cond, uncond = contexts(model, longest)
    sizes = [(4, 8), (12, 4)]
    each, t = [torch.randn(16, *size) for size in sizes], torch.tensor(0.6)
    state = pad(each)
    found = branches(model, cond, uncond, state.shape, sizes)[1](state, t)
    for v, context in zip(found, (cond, uncond), strict=True):
        for i, (x, velocity) in enumerate(zip(each, crop(v, sizes), strict=True)):
            alone = Context(context.tokens[i : i + 1], context.mask[i : i + 1])
            expected = model(x[None], t.expand(1), alone)[0]
            torch.testing.assert_close(velocity, expected, atol=1e-5, rtol=1e-4)
        assert not v[0, :, 4:].any()
        assert not v[1, :, :, 4:].any()


def test_another_number_of_texts_or_sizes_is_refused(model: NextDiT) -> None:
    cond, uncond = contexts(model, 5)
    one = Context(cond.tokens[:1], cond.mask[:1])
    with pytest.raises(UserError, match="texts for each of 2 latents, found 1"):
        branches(model, cond, one, (2, 16, 4, 4))
    with pytest.raises(UserError, match="sizes for each of 2 latents, found 1"):
        branches(model, cond, uncond, (2, 16, 4, 4), [(4, 4)])


def test_bfloat16_differs_from_the_padded_model_by_its_rounding(model: NextDiT) -> None:
    half = model.to(torch.bfloat16)
    cond, uncond = contexts(half, 7)
    x, t = torch.randn(2, 16, 4, 6), torch.tensor(0.3)
    for found, context in zip(branches(half, cond, uncond, x.shape)[1](x, t), (cond, uncond), strict=True):
        expected = half(x.bfloat16(), t.expand(2), context)
        assert (found - expected).float().norm() < 0.03 * expected.float().norm()


def test_without_guidance_there_is_one_branch(model: NextDiT, rows: dict[str, list[tuple[int, ...]]]) -> None:
    cond, _ = contexts(model, 5)
    x, t = torch.randn(2, 16, 4, 4), torch.tensor(0.3)
    conditional, both = branches(model, cond, None, x.shape)
    torch.testing.assert_close(conditional(x, t), model(x, t.expand(2), cond), atol=1e-5, rtol=1e-4)
    assert rows["joint"][0] == (1, 5 + 3 + 2 * 4)
    assert all(torch.equal(v, conditional(x, t)) for v in both(x, t))


def test_images_that_the_model_does_not_take_are_refused_before_the_first_step(model: NextDiT) -> None:
    cond, uncond = contexts(model, 5)
    with pytest.raises(UserError, match="divisible by 2"):
        branches(model, cond, uncond, (2, 16, 5, 4))
    with pytest.raises(UserError, match="image tokens"):
        branches(model, cond, uncond, (2, 16, 4, 260), [(4, 4), (4, 260)])
