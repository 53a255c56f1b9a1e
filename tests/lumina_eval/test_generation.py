"""Batches that a model begins, and finishes in another thread while the next one is begun."""

import dataclasses
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lumina_eval.errors import UserError
from lumina_eval.generation import Generated, generate, missing
from lumina_eval.models.rewritten import RewrittenModel, outputs_digest
from lumina_eval.plan import Plan, make_plan, select
from lumina_eval.plugins import Model
from lumina_eval.protocol import ResolvedProtocol, Suite
from lumina_eval.records import Item, Rewriting
from lumina_eval.store import ImageStore

PROMPTS = [f"prompt {n}" for n in range(6)]


@dataclasses.dataclass
class Beginner:
    """A model that begins; the second batch ends only when the third was begun."""

    name = checkpoint = "beginner"
    stage = step = None
    device, sampler_version = "cpu", 1
    told: list[str] = dataclasses.field(default_factory=list)
    begin_fails: Exception | None = None
    end_fails: Exception | None = None
    few: bool = False

    def __post_init__(self) -> None:
        self._third = threading.Event()
        self.begun = 0

    def components(self) -> dict[str, str]:
        return {"all": "0" * 64}

    def sampling(self) -> dict[str, Any]:
        return {}

    def environment(self) -> dict[str, Any]:
        return {"begun": self.begun > 0}

    def final_text(self, prompt: str) -> str:
        return prompt

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> Any:
        raise AssertionError("a model that begins is not asked to generate")

    def begin(self, prompts: Sequence[str], seeds: Sequence[int]) -> Callable[[], Sequence[Any]]:
        self.begun += 1
        batch, here = self.begun, threading.get_ident()
        self.told += prompts
        if batch == 2 and self.begin_fails:
            raise self.begin_fails
        if batch == 3:
            self._third.set()

        def finish() -> list[Any]:
            assert threading.get_ident() != here
            if batch == 2:
                assert self._third.wait(20)
                if self.end_fails:
                    raise self.end_fails
            found = [Image.new("RGB", (8, 8), (seed % 256, 0, 0)) for seed in seeds]
            return found[1:] if self.few else found

        return finish


def planned(model: Model) -> Plan:
    items = [Item(id=f"{n:05d}", prompt=prompt, task="t") for n, prompt in enumerate(PROMPTS)]
    return make_plan(
        select(items, Suite("standard", None, 1)), ResolvedProtocol("p", {"base_seed": 0}), model, 2
    )


def run(model: Model, folder: Path, told: list[int] | None = None) -> tuple[Generated, Plan, ImageStore]:
    plan, store = planned(model), ImageStore(folder)
    advance = (lambda count: None) if told is None else told.append
    return generate(plan, model, store, missing(plan, store), advance), plan, store


def test_a_batch_is_finished_while_the_next_is_begun(tmp_path: Path) -> None:
    told: list[int] = []
    made, plan, store = run(Beginner(), tmp_path, told)
    assert (made.made, made.failed, told) == (6, {}, [2, 2, 2])
    assert not missing(plan, store)
    for image in plan.images:
        with Image.open(store.path(image.ref.key)) as found:
            assert found.getpixel((0, 0)) == (image.ref.seed % 256, 0, 0)


def test_images_that_are_there_stay(tmp_path: Path) -> None:
    _, plan, store = run(Beginner(), tmp_path)
    store.path(plan.images[2].ref.key).unlink()
    model = Beginner()
    made = generate(plan, model, store, missing(plan, store), lambda count: None)
    assert (made.made, model.told) == (1, PROMPTS[2:4])


@pytest.mark.parametrize("where", ["begin_fails", "end_fails"])
def test_a_batch_that_fails_is_told_and_the_others_are_made(tmp_path: Path, where: str) -> None:
    made, plan, store = run(Beginner(**{where: ValueError("no such brush")}), tmp_path)
    keys = [image.ref.key for image in plan.images]
    assert made.made == 4
    assert list(made.failed) == keys[2:4]
    assert all("no such brush" in reason for reason in made.failed.values())
    assert missing(plan, store) == set(keys[2:4])


@pytest.mark.parametrize("where", ["begin_fails", "end_fails"])
def test_an_error_for_the_user_ends_it_and_keeps_what_was_made(tmp_path: Path, where: str) -> None:
    model = Beginner(**{where: UserError("expected paint, found none; fix: buy some")})
    with pytest.raises(UserError, match="expected paint"):
        run(model, tmp_path)
    plan = planned(model)
    assert not missing(plan, ImageStore(tmp_path)) & {image.ref.key for image in plan.images[:2]}


def test_too_few_images_are_a_fault_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected 2 images from beginner for 2 prompts, found 1"):
        run(Beginner(few=True), tmp_path)


@pytest.mark.parametrize("returned", [None, ["an image"]])
def test_a_begin_without_a_call_ends_at_the_first_batch(tmp_path: Path, returned: Any) -> None:
    model = Beginner()
    model.begin = lambda prompts, seeds: returned  # type: ignore[method-assign]
    with pytest.raises(UserError, match=f"expected a call .* found {type(returned).__name__}"):
        run(model, tmp_path)


@pytest.mark.parametrize("returned", [None, 3, "five5"])
def test_a_call_without_a_list_of_images_ends_it(tmp_path: Path, returned: Any) -> None:
    model = Beginner()
    model.begin = lambda prompts, seeds: lambda: returned  # type: ignore[method-assign]
    with pytest.raises(UserError, match=f"found {type(returned).__name__}; fix: return a list"):
        run(model, tmp_path)


def test_what_the_model_learnt_while_it_made_them_stands_beside_the_images(tmp_path: Path) -> None:
    _, plan, store = run(Beginner(), tmp_path)
    for image in plan.images:
        record = json.loads(store.path(image.ref.key).with_suffix(".json").read_text())
        assert record["origin"]["made_with"]["begun"] is True


def test_a_rewritten_model_begins_with_the_rewritten_texts(tmp_path: Path) -> None:
    model, texts = Beginner(), {prompt: prompt.upper() for prompt in PROMPTS}
    rewriting = Rewriting(source="file", name="upper", outputs=outputs_digest(texts))
    made, _, _ = run(RewrittenModel(model, texts, rewriting), tmp_path)
    assert made.made == 6
    assert model.told == [prompt.upper() for prompt in PROMPTS]
