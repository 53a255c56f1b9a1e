"""``--rewrite``: the model gets other texts, the judge the original prompts, and every record says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_world import Cli, Done, FakeBenchmark, RedJudge, with_model
from image_endpoint import Endpoint, serving
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lumina_eval.errors import UserError
from lumina_eval.plan import Planned
from lumina_eval.records import ImageRef, Item
from lumina_eval.rewriting import apply, open_rewriter
from lumina_eval.tracking.projection import Projection
from reports.groups import group_runs
from reports.loading import load_runs

Lines = Callable[[Path], list[Any]]

#: Red where the prompt was rewritten, by the model's own account of what it was given.
MODEL = """
from PIL import Image

def careful(prompts, seeds):
    return [Image.new("RGB", (8, 8), (255, seed % 256, 0) if "bright" in p else (0, seed % 256, 0))
            for p, seed in zip(prompts, seeds)]
"""


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("lumina_eval.endpoint.FIRST_PAUSE", 0.001)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving() as server:
        yield server


@pytest.fixture
def words(run_words: list[Any], tmp_path: Path) -> list[Any]:
    (tmp_path / "careful.py").write_text(MODEL)
    return [*with_model(run_words, f"{tmp_path / 'careful.py'}:careful"), "--json"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return table(tmp_path / "texts.jsonl", {f"prompt {n}": f"a bright picture of {n}" for n in range(6)})


def table(path: Path, pairs: dict[str, str]) -> Path:
    lines = [json.dumps({"prompt": prompt, "rewritten": text}) for prompt, text in pairs.items()]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def run_dir(done: Done) -> Path:
    assert done.code == 0, done.stderr
    return Path(done.records[0]["run_dir"])


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_model_gets_the_rewritten_text_and_the_judge_the_original_prompt(
    call: Cli, words: list[Any], texts: Path, world: FakeBenchmark
) -> None:
    seen: list[str] = []

    class Reader(RedJudge):
        def judge(self, images: Any, items: Any) -> Any:
            seen.extend(item.prompt for item in items)
            return super().judge(images, items)

    world.the_judge = Reader()
    done = call(*words, "--rewrite", texts)
    folder = run_dir(done)
    assert done.records[0]["metrics"][0]["value"] == 1
    assert set(seen) == {f"prompt {n}" for n in range(6)}
    assert [item["prompt"] for item in lines_of(folder / "items.jsonl")] == [f"prompt {n}" for n in range(6)]
    sidecar = next(folder.parent.parent.glob("images/*/*.json"))
    assert json.loads(sidecar.read_text())["origin"]["text"].startswith("a bright picture of")


def test_rewritten_and_raw_are_different_runs_with_the_same_seeds(
    call: Cli, words: list[Any], texts: Path
) -> None:
    raw = run_dir(call(*words))
    done = call(*words, "--rewrite", texts)
    rewritten = run_dir(done)
    assert "-rewritten-" in rewritten.name
    assert "-rewritten" not in raw.name
    plans = [lines_of(folder / "plan.jsonl") for folder in (raw, rewritten)]
    assert [one["seed"] for one in plans[0]] == [one["seed"] for one in plans[1]]
    assert not {one["key"] for one in plans[0]} & {one["key"] for one in plans[1]}
    record = done.records[0]["rewriting"]
    written = (rewritten / "rewritten.jsonl").read_bytes()
    assert record["outputs"] == hashlib.sha256(written).hexdigest()
    assert (record["source"], record["name"], record["template"]) == ("file", "texts.jsonl", None)
    assert json.loads((rewritten / "manifest.json").read_text())["rewriting"] == record
    assert json.loads((raw / "manifest.json").read_text())["rewriting"] is None
    assert "REWRITTEN: prompts rewritten from texts.jsonl" in done.stderr


def test_the_texts_name_the_run_and_not_the_file(call: Cli, words: list[Any], texts: Path) -> None:
    first = run_dir(call(*words, "--rewrite", texts))
    moved = texts.rename(texts.with_name("moved.jsonl"))
    assert run_dir(call(*words, "--rewrite", moved)) == first
    assert run_dir(call(*words, "--rewrite", first / "rewritten.jsonl")) == first
    moved.write_text(moved.read_text().replace("picture of 3", "painting of 3"))
    assert run_dir(call(*words, "--rewrite", moved)) != first


def test_texts_that_change_nothing_are_still_another_run_of_the_same_images(
    call: Cli, words: list[Any], tmp_path: Path
) -> None:
    raw = run_dir(call(*words))
    same = table(tmp_path / "same.jsonl", {f"prompt {n}": f"prompt {n}" for n in range(6)})
    rewritten = run_dir(call(*words, "--rewrite", same))
    assert rewritten != raw
    assert (rewritten / "plan.jsonl").read_bytes() == (raw / "plan.jsonl").read_bytes()


def test_tables_never_mix_raw_and_rewritten_runs(call: Cli, words: list[Any], texts: Path) -> None:
    folders = [run_dir(call(*words)), run_dir(call(*words, "--rewrite", texts))]
    raw, rewritten = group_runs(load_runs(folders))
    assert raw.mark == ""
    assert rewritten.mark.startswith("prompts rewritten from texts.jsonl")
    assert ("warn", rewritten.mark) in rewritten.badges
    assert len({Projection.read(folder).variant for folder in folders}) == 2
    pages = folders[0].parent.parent / "pages"
    assert call("report", *folders, "--out", pages).code == 0
    (markdown,) = pages.glob("*.md")
    assert "The judge saw the original prompts." in markdown.read_text()
    compared = call("compare", *folders)
    assert compared.code == 0
    assert "the prompts were rewritten in some runs" in compared.stderr


def test_verdicts_of_a_rewritten_run_scored_again_are_still_marked(
    call: Cli, words: list[Any], texts: Path, tmp_path: Path
) -> None:
    done = call(*words, "--rewrite", texts)
    verdicts = run_dir(done) / "verdicts.jsonl"
    again = call(
        "judge", "fake", "--protocol", "plain", "--verdicts", verdicts, "--out", tmp_path / "again", "--json"
    )
    assert again.records[0]["rewriting"] == done.records[0]["rewriting"]


def test_a_model_that_is_told_the_plan_is_told_it_with_its_texts(texts: Path) -> None:
    class Bound:
        name, checkpoint, stage, step, device, sampler_version = "b", "", None, None, "cpu", 1
        told: Any = None

        def bind(self, images: Any) -> None:
            self.told = [image.item.prompt for image in images]

        def generate_each(self, prompts: Any, seeds: Any) -> Any:
            yield 0, Image.new("RGB", (1, 1))

    model: Any = Bound()
    rewriter = open_rewriter(str(texts), {}, "cpu")
    (behind,) = apply(rewriter, dict(rewriter.rewrite(["prompt 1"])), [model])
    ref = ImageRef(item_id="1", index=0, seed=0, key="0" * 64)
    behind.bind([Planned(Item(id="1", prompt="prompt 1", task="t"), ref)])  # type: ignore[attr-defined]
    assert model.told == ["a bright picture of 1"]
    assert hasattr(behind, "generate_each")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"prompt": "prompt 0", "rewritten": "x"}\n', "rewritten text for prompt 'prompt 1', found none"),
        ('{"prompt": "prompt 0"}\n', "texts.jsonl:1"),
        ('{"prompt": "prompt 0", "rewritten": " "}\n', "texts.jsonl:1"),
        ("no JSON\n", "texts.jsonl:1"),
        ('{"prompt": "p", "rewritten": "a"}\n{"prompt": "p", "rewritten": "b"}\n', "another one, in"),
    ],
)
def test_a_file_that_does_not_answer_is_a_mistake(
    call: Cli, words: list[Any], texts: Path, content: str, message: str, tmp_path: Path
) -> None:
    texts.write_text(content)
    done = call(*words, "--rewrite", texts)
    assert done.code == 2
    assert message in done.stderr
    assert not (tmp_path / "out" / "runs").exists()


def test_options_without_a_rewriter_are_a_mistake(call: Cli, words: list[Any]) -> None:
    done = call(*words, "--rewrite-option", "template=t.txt")
    assert done.code == 2
    assert "expected --rewrite beside --rewrite-option" in done.stderr


def endpoint_words(endpoint: Endpoint, template: Path, *more: str) -> list[Any]:
    options = [f"template={template}", "model=scribe", *more]
    pairs = [word for option in options for word in ("--rewrite-option", option)]
    return ["--rewrite", f"endpoint:{endpoint.url}", *pairs]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.txt"
    path.write_text("Make {prompt} bright. Answer in {JSON}.")
    return path


def test_an_endpoint_is_asked_once_for_each_prompt(
    call: Cli, words: list[Any], endpoint: Endpoint, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-written")
    rewrite = endpoint_words(endpoint, template, "max_tokens=50")
    done = call(*words, *rewrite)
    folder = run_dir(done)
    assert sorted(endpoint.prompts()) == [f"Make prompt {n} bright. Answer in {{JSON}}." for n in range(6)]
    assert endpoint.asked[0].items() >= {"model": "scribe", "temperature": 0, "max_tokens": 50}.items()
    pairs = {line["prompt"]: line["rewritten"] for line in lines_of(folder / "rewritten.jsonl")}
    assert pairs["prompt 2"] == "a picture of Make prompt 2 bright. Answer in {JSON}."
    record = done.records[0]["rewriting"]
    assert record["template"] == hashlib.sha256(template.read_bytes()).hexdigest()
    assert record["name"] == "scribe"
    assert run_dir(call(*words, *rewrite)) == folder
    assert len(endpoint.asked) == 6
    call(*words, *endpoint_words(endpoint, template, "max_tokens=60"))
    assert len(endpoint.asked) == 12
    out = folder.parent.parent
    assert b"sk-never-written" not in b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file())


def test_what_was_rewritten_before_a_failure_is_kept(
    call: Cli, words: list[Any], endpoint: Endpoint, template: Path, tmp_path: Path
) -> None:
    endpoint.script = {"prompt 4": ["status:500", "status:500", "good"]}
    rewrite = endpoint_words(endpoint, template, "retries=1", "concurrency=1")
    done = call(*words, *rewrite)
    assert done.code == 2
    assert "rewritten text for prompt 'prompt 4', found the endpoint says HTTP 500" in done.stderr
    assert not (tmp_path / "out" / "images").exists()
    (cache,) = (tmp_path / "out" / "rewritten").glob("endpoint-*.jsonl")
    with cache.open("a") as stream:
        stream.write('{"prompt": "pro')  # torn by a kill
    asked = len(endpoint.asked)
    assert call(*words, *rewrite).code == 0
    again = [text.split()[2] for text in endpoint.prompts()[asked:]]
    assert again in (["4"], ["4", "5"])  # the next one may have been on its way
    assert sorted(line["prompt"] for line in lines_of(cache)) == [f"prompt {n}" for n in range(6)]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("cut", "was cut off"),
        ("say:", "found none"),
        ("refuse", "refused by the endpoint"),
        ("garbage", "an answer without a choice"),
        ("bytes", "no answer that can be read"),
        ("body:[1, 2]", "an answer without a choice"),
        ('body:{"choices": "x"}', "an answer without a choice"),
        ('body:{"choices": [5]}', "found none"),
        ('body:{"choices": [{"message": {"content": 7}}]}', "found none"),
    ],
)
def test_an_answer_that_is_no_text_is_told_with_its_prompt(
    call: Cli, words: list[Any], endpoint: Endpoint, template: Path, step: str, message: str
) -> None:
    endpoint.script = {"prompt 5": [step]}
    done = call(*words, *endpoint_words(endpoint, template))
    assert done.code == 2
    assert "prompt 5" in done.stderr
    assert message in done.stderr


def test_a_dry_run_asks_no_language_model(
    call: Cli, words: list[Any], endpoint: Endpoint, template: Path, tmp_path: Path
) -> None:
    rewrite = endpoint_words(endpoint, template)
    done = call(*words, *rewrite, "--dry-run")
    assert done.code == 0, done.stderr
    assert done.records[0]["missing"] == 12
    assert not endpoint.asked
    assert not (tmp_path / "out").exists()
    call(*words, *rewrite)
    assert call(*words, *rewrite, "--dry-run").records[0]["missing"] == 0


@pytest.mark.parametrize(
    ("rewrite", "options", "message"),
    [
        ("endpoint:http://127.0.0.1/v1", {"template": "T"}, "model=NAME"),
        ("endpoint:http://127.0.0.1/v1", {"model": "m"}, "template=FILE"),
        ("endpoint:http://127.0.0.1/v1", {"model": "m", "template": "T", "n": "2"}, "no --rewrite-option n"),
        ("endpoint:http://127.0.0.1/v1", {"model": "m", "template": "T", "api_key": "s"}, "no secret"),
        ("endpoint:http://[::1/v1", {"model": "m", "template": "T"}, r"found 'http://\[::1/v1'"),
        ("endpoint:http://localhost:80a/v1", {"model": "m", "template": "T"}, "'http://localhost:80a/v1'"),
        ("transformers:nowhere", {"template": "T"}, "config.json"),
        ("transformers:a/b", {"template": "T"}, "pinned revision"),
        ("transformers:a/b", {"template": "T", "steps": "4"}, "unknown --rewrite-option 'steps'"),
        ("nowhere.jsonl", {}, "cannot read nowhere.jsonl"),
        ("nowhere.jsonl", {"template": "T"}, "no --rewrite-option with a file"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(
    rewrite: str, options: dict[str, str], message: str, template: Path
) -> None:
    given = {name: str(template) if value == "T" else value for name, value in options.items()}
    with pytest.raises(UserError, match=message):
        open_rewriter(rewrite, given, "cpu")


@pytest.mark.parametrize("text", ["no place", "{prompt} and {prompt}"])
def test_a_template_has_one_place_for_the_prompt(template: Path, text: str) -> None:
    template.write_text(text)
    with pytest.raises(UserError, match="once, found it"):
        open_rewriter("endpoint:http://127.0.0.1/v1", {"model": "m", "template": str(template)}, "cpu")


@pytest.fixture
def scribe(tmp_path: Path) -> Path:
    """A language model with random weights, whose greedy answers do end."""
    words = ["<unk>", "prompt", "bright", *map(str, range(6)), *(f"w{n}" for n in range(40))]
    vocabulary = {word: n for n, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, bos_token_id=None, eos_token_id=None, pad_token_id=0,
        initializer_range=0.6,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    folder = tmp_path / "scribe"
    fast.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def greedy(folder: Path, text: str, steps: int) -> list[int]:
    """Argmax after argmax without a cache: what greedy decoding is by definition."""
    model = LlamaForCausalLM.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"]
    start = len(ids)
    for _ in range(steps):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[start:]


def test_a_local_language_model_answers_greedily(
    call: Cli, words: list[Any], scribe: Path, tmp_path: Path
) -> None:
    path = tmp_path / "short.txt"
    path.write_text("bright {prompt}")
    expected = greedy(scribe, "bright prompt 0", 6)
    end = next(token for place, token in enumerate(expected) if place >= 2 and token not in expected[:place])
    config = json.loads((scribe / "generation_config.json").read_text())
    (scribe / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": end}))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(scribe)
    rewrite = ["--rewrite", f"transformers:{scribe}", "--rewrite-option", f"template={path}"]
    done = call(*words, *rewrite, "--set", "prompts=1")
    assert done.code == 0, done.stderr
    (line,) = lines_of(run_dir(done) / "rewritten.jsonl")
    assert line["rewritten"] == tokenizer.decode(expected[: expected.index(end) + 1])
    assert done.records[0]["rewriting"]["settings"]["decoding"] == "greedy"
    short = call(*words, *rewrite, "--rewrite-option", "max_new_tokens=1", "--set", "prompts=1")
    assert short.code == 2
    assert "without an end in 1 tokens" in short.stderr
