"""The step cache: what is skipped, what never is, and that no sample disturbs another."""

import pytest
import torch

from lumina_model.branches import row
from lumina_model.next_dit import NextDiT
from lumina_model.step_cache import StepCache

STEPS = 8


def evaluate(model: NextDiT, cache: StepCache | None, lengths: list[int], rows: list[int]) -> list:
    """Velocities over a grid of slowly moving latents, of these samples in one row."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 16, 4, 6, generator=generator)
    drift = torch.randn(4, 16, 4, 6, generator=generator)
    feats = torch.randn(4, max(lengths), model.config.cap_feat_dim, generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    context = model.encode_context(feats[rows], mask[rows])
    velocity = row(model, [context], (len(rows), 16, 4, 6), blocks=cache)
    return [velocity((x + 0.02 * step * drift)[rows], torch.tensor(step / STEPS)) for step in range(STEPS)]


@pytest.fixture
def computed(model: NextDiT, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sequences that went through the joint blocks, call by call."""
    calls: list[int] = []
    original = NextDiT.run_blocks

    def counted(self: NextDiT, tokens: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        calls.append(len(rest[-1]))
        return original(self, tokens, *rest)

    monkeypatch.setattr(NextDiT, "run_blocks", counted)
    return calls


def test_a_tiny_threshold_changes_nothing(model: NextDiT, computed: list[int]) -> None:
    plain = evaluate(model, None, [5, 3, 5, 1], [0, 1, 2, 3])
    cached = evaluate(model, StepCache(1e-9, STEPS), [5, 3, 5, 1], [0, 1, 2, 3])
    assert computed == [4] * (2 * STEPS)
    assert all(torch.equal(one, other) for one, other in zip(plain, cached, strict=True))


def test_a_huge_threshold_computes_the_first_and_the_last(model: NextDiT, computed: list[int]) -> None:
    cache = StepCache(1e9, STEPS)
    velocities = evaluate(model, cache, [5, 3, 5, 1], [0, 1, 2, 3])
    assert computed == [4, 4]
    assert cache.computed == 8
    assert all(torch.isfinite(v).all() for v in velocities)
    plain = evaluate(model, None, [5, 3, 5, 1], [0, 1, 2, 3])
    assert torch.equal(velocities[0], plain[0])
    assert torch.equal(velocities[-1], plain[-1])
    assert not torch.equal(velocities[3], plain[3])


def test_each_sample_has_a_memory_of_its_own(model: NextDiT) -> None:
    lengths, threshold = [5, 3, 5, 1], 0.5
    cache = StepCache(threshold, STEPS)
    together = evaluate(model, cache, lengths, [0, 1, 2, 3])
    assert 8 < cache.computed < 4 * STEPS, "some steps are to be skipped and some not"
    for i in range(4):
        alone = evaluate(model, StepCache(threshold, STEPS), lengths, [i])
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[i], other[0], atol=1e-4, rtol=1e-4)


def test_a_branch_that_ends_leaves_the_other_s_memory(model: NextDiT, computed: list[int]) -> None:
    """As with CFG-Trunc: first both branches, then the conditional ones alone, which stay cached."""
    cache = StepCache(1e9, 4)
    feats, mask = torch.randn(4, 5, model.config.cap_feat_dim), torch.ones(4, 5, dtype=torch.bool)
    contexts = [model.encode_context(feats[:2], mask[:2]), model.encode_context(feats[2:], mask[2:])]
    x = torch.randn(2, 16, 4, 4)
    for branches in (2, 2, 1, 1):
        row(model, contexts[:branches], x.shape, blocks=cache)(x, torch.tensor(0.3))
    assert computed == [4, 2]  # the first, and the last of the two that are left


def test_a_branch_that_begins_later_has_no_memory_yet(model: NextDiT, computed: list[int]) -> None:
    """As with guidance_start: first the conditional branches alone, then both."""
    feats, mask = torch.randn(4, 5, model.config.cap_feat_dim), torch.ones(4, 5, dtype=torch.bool)
    contexts = [model.encode_context(feats[:2], mask[:2]), model.encode_context(feats[2:], mask[2:])]
    x, cache = torch.randn(2, 16, 4, 4), StepCache(1e9, 5)
    for branches in (1, 1, 2, 2, 2):
        row(model, contexts[:branches], x.shape, blocks=cache)(x, torch.tensor(0.3))
    assert computed == [2, 2, 4]  # the first of one branch, the first of the other, the last of both


def test_a_schedule_takes_the_place_of_the_threshold(model: NextDiT, computed: list[int]) -> None:
    cache = StepCache(0, STEPS, skips={0, 2, 3, 5, STEPS - 1})  # the first and the last are computed anyway
    evaluate(model, cache, [5, 3], [0, 1])
    assert computed == [2] * 5  # of evaluations 0, 1, 4, 6 and 7


def test_what_is_not_skipped_goes_through_the_given_blocks(model: NextDiT, computed: list[int]) -> None:
    through: list[int] = []

    def blocks(model: NextDiT, tokens: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        through.append(len(rest[-1]))
        return tokens

    plain = evaluate(model, StepCache(0.5, STEPS), [5, 3, 5, 1], [0, 1, 2, 3])
    found = evaluate(model, StepCache(0.5, STEPS, blocks=blocks), [5, 3, 5, 1], [0, 1, 2, 3])
    assert through == computed
    assert not torch.equal(found[0], plain[0])
