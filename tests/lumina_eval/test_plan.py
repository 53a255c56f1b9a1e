"""Plans: which prompts, which keys, which batches; from the question and the model alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_eval.plan import Shard, make_plan, select
from lumina_eval.protocol import ResolvedProtocol, Suite
from lumina_eval.records import Item

ALL = Suite("standard", None, 2)


class PlainModel:
    def __init__(self, **changes: Any) -> None:
        self.name, self.checkpoint, self.stage, self.step = "plain", "here", "low", 1
        self.device, self.sampler_version = "cpu", 1
        self.weights, self.steps, self.prefix = "a" * 64, 10, ""
        for name, value in changes.items():
            setattr(self, name, value)

    def components(self) -> dict[str, str]:
        return {"transformer": self.weights}

    def sampling(self) -> dict[str, Any]:
        return {"steps": self.steps, "shift": 6.0}

    def final_text(self, prompt: str) -> str:
        return self.prefix + prompt

    def generate(self, prompts: Any, seeds: Any) -> Any:
        raise AssertionError("a plan makes no image")


def items(count: int, tasks: int = 3) -> list[Item]:
    return [Item(id=f"{n:05d}", prompt=f"prompt {n}", task=f"t{n % tasks}") for n in range(count)]


def keys(
    model: PlainModel, base_seed: int = 0, question: list[Item] | None = None, batch: int = 4
) -> list[str]:
    protocol = ResolvedProtocol("p", {"base_seed": base_seed})
    plan = make_plan(select(question or items(6), ALL), protocol, model, batch)
    return [image.ref.key for image in plan.images]


@given(count=st.integers(1, 20), batch=st.integers(1, 7), parts=st.integers(1, 6))
def test_the_parts_of_a_plan_are_the_plan(count: int, batch: int, parts: int) -> None:
    protocol = ResolvedProtocol("p", {"base_seed": 0})
    plan = make_plan(select(items(count), ALL), protocol, PlainModel(), batch)
    found = [Shard(index, parts).of(plan) for index in range(parts)]
    assert Counter(one for part in found for one in part.batches) == Counter(plan.batches)
    assert Counter(image.ref.key for part in found for image in part.images) == Counter(
        image.ref.key for image in plan.images
    )


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 8), st.integers(1, 8))
def test_a_subset_is_stratified_nested_and_in_official_order(
    n: int, tasks: int, small: int, more: int
) -> None:
    whole = items(n, tasks)
    few, many = select(whole, ALL, small), select(whole, ALL, small + more)
    assert set(few.items) <= set(many.items)
    assert [item.id for item in few.items] == sorted(item.id for item in few.items)
    sizes, there = Counter(i.task for i in few.items), Counter(i.task for i in whole)
    assert sizes == {task: min(small, count) for task, count in there.items()}
    assert (few.subset is None) == (len(few.items) == n)


def test_a_subset_is_not_the_first_prompts() -> None:
    chosen = select(items(300), ALL, 10).items
    assert max(int(item.id) for item in chosen) > 150


def test_a_subset_of_one_task_does_not_hear_of_the_others() -> None:
    whole = items(60)
    without = [item for item in whole if item.task != "t2"]
    some = [item for item in select(whole, ALL, 5).items if item.task != "t2"]
    assert list(select(without, ALL, 5).items) == some


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "b" * 64},
        {"steps": 11},
        {"sampler_version": 2},
        {"device": "cuda"},
        {"prefix": "You are an assistant. "},
    ],
)
def test_whatever_changes_a_pixel_changes_every_key(change: dict[str, Any]) -> None:
    assert not set(keys(PlainModel())) & set(keys(PlainModel(**change)))


@pytest.mark.parametrize("change", [{"name": "x"}, {"stage": "hq"}, {"step": 7}, {"checkpoint": "there"}])
def test_what_changes_no_pixel_shares_the_images(change: dict[str, Any]) -> None:
    assert keys(PlainModel()) == keys(PlainModel(**change))


def test_another_device_of_the_same_kind_shares_the_images() -> None:
    assert keys(PlainModel(device="cuda:0")) == keys(PlainModel(device="cuda:1"))


def test_keys_follow_the_base_seed_but_neither_batch_size_nor_company() -> None:
    assert not set(keys(PlainModel())) & set(keys(PlainModel(), base_seed=1))
    assert keys(PlainModel(), batch=1) == keys(PlainModel(), batch=16)
    assert set(keys(PlainModel(), question=items(3))) < set(keys(PlainModel(), question=items(6)))


def test_prompts_with_one_text_share_their_images_and_batches_hold_each_once() -> None:
    twins = [*items(3), Item(id="x", prompt="prompt 1", task="t0")]
    plan = make_plan(select(twins, ALL), ResolvedProtocol("p", {}), PlainModel(), 4)
    batched = [image.ref.key for batch in plan.batches for image in batch]
    assert len(plan.images) == 8
    assert len(batched) == len(set(batched)) == 6
    assert [len(batch) for batch in plan.batches] == [4, 2]
