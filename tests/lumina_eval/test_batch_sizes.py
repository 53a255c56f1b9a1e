"""``--batch-size auto``: found once for each model, kept, told, and the same when a run goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_world import Cli, with_model
from test_run import bytes_of, the_run

from lumina_eval.models import open_models
from lumina_eval.models.function import FunctionModel
from lumina_eval.plugins import injected


class Sized:
    """A function of the fake world that looks for its batch size."""

    def __init__(self, model: FunctionModel) -> None:
        self._model = model
        self.asked: list[list[str]] = []
        self.threads = 1
        self.answer: Any = {"batch_size": 3, "images_per_second": {"2": 2.1, "3": 2.345, "4": 2.3}}

    def __getattr__(self, name: str) -> Any:
        if name == "generate_each":
            raise AttributeError(name)
        return getattr(self._model, name)

    def environment(self) -> Mapping[str, Any]:
        return {"threads": self.threads}

    def best_batch(self, prompts: Sequence[str]) -> Mapping[str, Any]:
        self.asked.append(list(prompts))
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: Mapping[str, Any] = self.answer
        return answer


@pytest.fixture
def sized(model_file: Path) -> Iterator[Sized]:
    (model,) = open_models(f"{model_file}:reddish", {})
    assert isinstance(model, FunctionModel)
    made = Sized(model)
    with injected("models", sized=lambda spec, options: [made]):
        yield made


@pytest.fixture
def words(run_words: list[Any], sized: Sized) -> list[Any]:
    return [*with_model(run_words, "sized"), "--batch-size", "auto"]


def kept(out: Path) -> Path:
    (file,) = (out / "batch_sizes").iterdir()
    return file


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((the_run(out) / "manifest.json").read_text())
    return found


def test_the_size_is_found_told_and_recorded(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path
) -> None:
    done = call(*words, "--json")
    out = tmp_path / "out"
    assert done.code == 0
    assert len(done.records) == 1
    told = f"batch size 3: about 2.35 images/s (2: 2.1, 4: 2.3); kept in {kept(out)}"
    assert done.stderr.count(told) == 1
    assert sized.asked == [[f"prompt {number}" for number in range(6) for _ in range(2)]]
    assert (manifest(out)["batch_size"], manifest(out)["batch_size_found"]) == (3, True)
    record = json.loads(kept(out).read_text())
    assert record["batch_size"] == 3
    assert record["depends_on"]["environment"] == {"threads": 1}
    assert record["depends_on"]["components"] == sized.components()


def test_it_is_as_if_the_number_had_been_given(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path
) -> None:
    call(*words)
    call(*words, "--batch-size", 3, "--out", tmp_path / "given")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "given")
    assert manifest(tmp_path / "given")["batch_size_found"] is False
    assert not (tmp_path / "given" / "batch_sizes").exists()


def test_an_interrupted_run_goes_on_in_the_same_batches(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path
) -> None:
    call(*words, "--out", tmp_path / "undisturbed")
    call("generate", *words[1:-4], "--batch-size", "auto")
    images = sorted((tmp_path / "out" / "images").rglob("*.png"))
    for image in images[::2]:
        image.unlink()
    sized.answer = {"batch_size": 5}  # what the busier machine of today would find
    done = call(*words)
    assert f"batch size 3, as found before; kept in {kept(tmp_path / 'out')}" in done.stderr
    assert len(sized.asked) == 2
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("change", ["threads", "texts"])
def test_another_environment_or_longer_texts_are_another_size(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path, change: str
) -> None:
    call(*words)
    if change == "threads":
        sized.threads = 2
        shutil.rmtree(tmp_path / "out" / "images")
        call(*words)
    else:
        call(*words, "--set", "prompts=11")
    assert len(sized.asked) == len(list((tmp_path / "out" / "batch_sizes").iterdir())) == 2


def test_where_all_images_are_there_nothing_is_tried(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path
) -> None:
    call(*words, "--batch-size", 4)
    done = call(*words)
    assert done.code == 0
    assert "no image is to be made" in done.stderr
    assert not sized.asked


def test_what_made_the_images_stays_recorded_where_the_kept_size_is_gone(
    call: Cli, words: list[Any], tmp_path: Path
) -> None:
    call(*words)
    shutil.rmtree(tmp_path / "out" / "batch_sizes")
    assert "no image is to be made" in call(*words).stderr
    assert (manifest(tmp_path / "out")["batch_size"], manifest(tmp_path / "out")["batch_size_found"]) == (
        3,
        True,
    )


def test_a_dry_run_tries_nothing_and_plans_with_what_is_kept(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path
) -> None:
    done = call(*words, "--dry-run", "--json")
    assert "will be found" in done.stderr
    assert (done.records[0]["batch_size"], done.records[0]["batch_size_found"]) == (16, False)
    assert not sized.asked
    assert not (tmp_path / "out").exists()
    call(*words)
    again = call(*words, "--dry-run", "--json")
    assert (again.records[0]["batch_size"], again.records[0]["batch_size_found"]) == (3, True)


def test_each_model_has_its_own_and_one_without_gets_the_default_which_is_said_once(
    call: Cli, words: list[Any], model_file: Path, tmp_path: Path
) -> None:
    done = call(*words, "--model", f"{model_file}:always", "--model", f"{model_file}:gappy")
    assert done.code == 4  # gappy has gaps
    assert done.stderr.count("batch size 16, the default") == 1
    assert "always:hq, gappy: batch size 16" in done.stderr
    found = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("runs/*/manifest.json")]
    sizes = {one["model"]: (one["batch_size"], one["batch_size_found"]) for one in found}
    assert sizes == {"reddish": (3, True), "always": (16, False), "gappy": (16, False)}


def test_a_model_behind_rewritten_texts_is_asked_with_them(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.jsonl"
    pairs = [{"prompt": f"prompt {n}", "rewritten": f"prompt {n}, in oil"} for n in range(6)]
    texts.write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    assert call(*words, "--rewrite", texts).code == 0
    assert sized.asked == [[pair["rewritten"] for pair in pairs for _ in range(2)]]
    assert manifest(tmp_path / "out")["batch_size"] == 3


@pytest.mark.parametrize("size", ["0", "-3", "many", "2.5", ""])
def test_what_is_no_size_is_told_with_what_is(
    call: Cli, run_words: list[Any], tmp_path: Path, size: str
) -> None:
    done = call(*run_words, "--batch-size", size)
    assert done.code == 2
    assert f"expected --batch-size with a number from 1, or auto, found {size!r}" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "answer",
    [None, 3, {}, {"batch_size": 0}, {"batch_size": 2, "colour": "red"}, RuntimeError("driver lost")],
)
def test_a_model_that_finds_no_size_is_told(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path, answer: Any
) -> None:
    sized.answer = answer
    done = call(*words)
    assert done.code == 2
    assert "best_batch of reddish" in done.stderr
    assert "fix: " in done.stderr
    assert call(*words, "--batch-size", 4).code == 0


@pytest.mark.parametrize("spoil", [lambda text: text[:9], lambda text: text.replace(": 3,", ": 0,")])
def test_a_spoilt_file_is_named_with_the_way_out(
    call: Cli, words: list[Any], sized: Sized, tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    call(*words)
    file = kept(tmp_path / "out")
    file.write_text(spoil(file.read_text()))
    done = call(*words)
    assert done.code == 2
    assert f"rm {file}" in done.stderr
    file.unlink()
    assert call(*words).code == 0


def test_the_embedded_model_finds_its_size_and_a_resumed_run_has_the_same_bytes(
    call: Cli, tmp_path: Path
) -> None:
    words = [
        "run", "geneval", "--protocol", "tabletop", "--limit", 1, "--images-per-prompt", 1, "--model",
        "embedded:low_res", "--option", "solver=euler", "--option", "steps=2", "--device", "cpu",
        "--batch-size", "auto", "--out", tmp_path / "out", "--no-mlflow", "--no-report",
    ]  # fmt: skip
    first = call(*words)
    assert first.code == 0, first.stderr
    size = manifest(tmp_path / "out")["batch_size"]
    assert f"batch size {size}: about " in first.stderr
    before = bytes_of(tmp_path / "out")
    for image in sorted((tmp_path / "out" / "images").rglob("*.png"))[::3]:
        image.unlink()
    (the_run(tmp_path / "out") / "verdicts.jsonl").unlink()
    again = call(*words)
    assert f"batch size {size}, as found before" in again.stderr
    assert bytes_of(tmp_path / "out") == before
