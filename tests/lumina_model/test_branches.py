"""Both branches of guidance: the same function as the padded transformer, in fewer tokens."""

import pytest
import torch

from lumina_model.branches import branches
from lumina_model.mixed_sizes import crop, pad
from lumina_model.next_dit import Context, NextDiT


def contexts(model: NextDiT, longest: int, padded: int = 44) -> tuple[Context, Context]:
    """Two prompts, of `longest` tokens and of 3, and an unconditional text of one; all padded alike."""
    feats = torch.randn(4, padded, model.config.cap_feat_dim, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(padded) < torch.tensor([[longest], [3], [1], [1]])).long()
    both = model.encode_context(feats, mask)
    assert both.mask is not None
    return Context(both.tokens[:2], both.mask[:2]), Context(both.tokens[2:], both.mask[2:])


@pytest.fixture
def lengths(model: NextDiT) -> list[tuple[int, ...]]:
    """Of each call of the joint blocks: samples and tokens."""
    seen: list[tuple[int, ...]] = []
    model.layers[0].register_forward_hook(lambda module, args, out: seen.append(tuple(out.shape[:2])))
    return seen


@pytest.mark.parametrize(
    ("longest", "side", "calls"),
    [(5, 16, [(4, 69)]), (20, 4, [(4, 24)]), (40, 4, [(2, 44), (2, 5)])],
    ids=["short texts beside a large image", "little work", "long texts beside a small image"],
)
def test_branches_equal_the_padded_model_and_compute_no_padding(
    model: NextDiT, lengths: list[tuple[int, ...]], longest: int, side: int, calls: list[tuple[int, int]]
) -> None:
    cond, uncond = contexts(model, longest)
    x, t = torch.randn(2, 16, side, side), torch.tensor(0.3)
    expected = [model(x, t.expand(2), context) for context in (cond, uncond)]
    assert lengths == [(2, 44 + side * side // 4)] * 2
    lengths.clear()
    conditional, both = branches(model, cond, uncond, x.shape)
    found = both(x, t)
    assert lengths == calls
    torch.testing.assert_close(list(found), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(conditional(x, t), expected[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("longest", [5, 40])
@pytest.mark.parametrize("together", [False, True])
def test_images_of_several_sizes_give_what_each_gives_alone(
    model: NextDiT, longest: int, together: bool
) -> None:
    cond, uncond = contexts(model, longest)
    sizes = [(4, 8), (12, 4)]
    each, t = [torch.randn(16, *size) for size in sizes], torch.tensor(0.6)
    found = branches(model, cond, uncond, (16, 12, 8), sizes, together=together)[1](pad(each), t)
    for v, context in zip(found, (cond, uncond), strict=True):
        assert context.mask is not None
        for i, (x, velocity) in enumerate(zip(each, crop(v, sizes), strict=True)):
            alone = Context(context.tokens[i : i + 1], context.mask[i : i + 1])
            expected = model(x[None], t.expand(1), alone)[0]
            torch.testing.assert_close(velocity, expected, atol=1e-5, rtol=1e-4)
        assert not v[0, :, 4:].any()
        assert not v[1, :, :, 4:].any()


def test_without_guidance_there_is_one_branch(model: NextDiT, lengths: list[tuple[int, ...]]) -> None:
    cond, _ = contexts(model, 5)
    x, t = torch.randn(2, 16, 4, 4), torch.tensor(0.3)
    conditional, _ = branches(model, cond, None, x.shape)
    torch.testing.assert_close(conditional(x, t), model(x, t.expand(2), cond), atol=1e-5, rtol=1e-4)
    assert lengths[0] == (2, 9)


def test_texts_of_one_length_need_no_mask(model: NextDiT) -> None:
    cond, uncond = contexts(model, 3)
    assert cond.trimmed().mask is None
    assert uncond.trimmed().tokens.shape[1] == 1
    joined = cond.trimmed() + uncond.trimmed()
    assert joined.mask is not None
    assert joined.mask.tolist() == [[True] * 3] * 2 + [[True, False, False]] * 2
