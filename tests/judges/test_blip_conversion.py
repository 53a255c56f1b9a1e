"""From the official file of BLIP-VQA to transformers' folder: every parameter once, or a clear no."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_answerers import blip, pictures

from benchmarks.judges.vqa import blip_conversion
from benchmarks.judges.vqa.blip import BlipAnswerer
from benchmarks.judges.vqa.blip_conversion import OFFICIAL, Architecture, configuration_of, convert, shapes
from benchmarks.judges.vqa.blip_names import names
from lumina_eval import cli
from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError

#: Digest of names and shapes of the official BLIP_VQA as its own code builds it (789 parameters; the tables
#: of positions are left out).
BLIP_VQA = "72e9a294adea0d4cd7f32f33631ec4b6ae1bf7558d07443721b90623d31aac7c"
#: That of ``tiny_answerers.blip``, for the pictures that the official model sees.
TINY = Architecture(
    width=16, vision_layers=2, vision_heads=2, patch=96, text_layers=2, text_heads=2, intermediate=32,
    positions=64,
)  # fmt: skip
QUESTIONS = ["is there a red cat?", "is it a photo?", "is the dog blue?"]
State = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of transformers with random weights, and its tokenizer."""
    made = blip(tmp_path_factory.mktemp("blip"), image_size=480)
    from transformers import BlipForQuestionAnswering

    torch.manual_seed(3)
    model = BlipForQuestionAnswering(configuration_of(TINY))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    model.save_pretrained(made)
    return made


@pytest.fixture
def state(folder: Path) -> State:
    """The same weights as the official code would save them, with its tables and what it ties."""
    there = load_file(folder / "model.safetensors")
    said = "text_decoder.cls.predictions.decoder"
    there.setdefault(f"{said}.weight", there["text_decoder.bert.embeddings.word_embeddings.weight"])
    there.setdefault(f"{said}.bias", there["text_decoder.cls.predictions.bias"])
    found = {source: there[target] for source, target in names(2, 2).items()}
    found["text_encoder.embeddings.position_ids"] = torch.arange(64)[None]
    return found


@pytest.fixture
def vocabulary(folder: Path) -> Path:
    return folder / "vocab.txt"


def saved(path: Path, state: State) -> Path:
    torch.save({"model": state, "epoch": 9}, path)
    return path


def test_every_parameter_has_one_place_at_full_size() -> None:
    from transformers import BlipForQuestionAnswering

    found = shapes(OFFICIAL)
    assert digest_of({name: list(shape) for name, shape in found.items()}) == BLIP_VQA
    targets = names(OFFICIAL.vision_layers, OFFICIAL.text_layers)
    assert len(set(targets.values())) == len(targets) == 789
    with torch.device("meta"):
        built = BlipForQuestionAnswering(configuration_of(OFFICIAL)).state_dict()
    assert set(targets.values()) == set(built)


def answers(folder: Path) -> list[float | None]:
    answerer = BlipAnswerer(folder, "probability", "cpu")
    return [answer.yes_probability for answer in answerer.answer(pictures(3), QUESTIONS)]


@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back(folder: Path, state: State, vocabulary: Path, tmp_path: Path, tied: bool) -> None:
    if not tied:
        state["text_decoder.cls.predictions.decoder.weight"] = torch.randn(30524, 16)
    done = convert(saved(tmp_path / "x.pth", state), tmp_path / "out", vocabulary, TINY)
    assert (done.official, done.parameters) == (False, len(state) - 1)
    found = answers(tmp_path / "out")
    assert len(set(found)) == 3, "pictures and questions tell"
    assert (found == pytest.approx(answers(folder), abs=1e-6)) is tied
    again = convert(tmp_path / "x.pth", tmp_path / "out", vocabulary, TINY)
    assert again == done


def test_what_is_tied_in_the_file_is_written_twice(state: State, vocabulary: Path, tmp_path: Path) -> None:
    words = state["text_decoder.bert.embeddings.word_embeddings.weight"]
    state["text_decoder.cls.predictions.decoder.weight"] = words
    convert(saved(tmp_path / "x.pth", state), tmp_path / "out", vocabulary, TINY)
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(written["text_decoder.cls.predictions.decoder.weight"], words)


def without(name: str) -> Callable[[State], object]:
    return lambda state: state.pop(name)


def put(name: str, value: torch.Tensor) -> Callable[[State], object]:
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("visual_encoder.norm.bias"), r"1 missing: visual_encoder\.norm\.bias"),
        (put("vision_proj.weight", torch.ones(1)), r"1 unknown: vision_proj\.weight"),
        (put("visual_encoder.pos_embed", torch.ones(1, 17, 16)), r"pos_embed \(\[1, 17, 16\] instead of"),
    ],
)  # fmt: skip
def test_another_architecture_is_told(
    state: State, vocabulary: Path, tmp_path: Path, change: Callable[[State], object], message: str
) -> None:
    change(state)
    with pytest.raises(UserError, match=f"{message}.*in .*x.pth; fix: lumina-eval data fetch blip-vqa"):
        convert(saved(tmp_path / "x.pth", state), tmp_path / "out", vocabulary, TINY)
    assert not (tmp_path / "out").exists()


def test_no_code_of_a_file_runs(vocabulary: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"model": {}, "config": Trap()}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="tensors and plain values, found something else"):
        convert(tmp_path / "x.pth", tmp_path / "out", vocabulary, TINY)
    assert not (tmp_path / "touched").exists()


def test_another_vocabulary_is_told(state: State, vocabulary: Path, tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", state)
    words = vocabulary.read_text().splitlines()
    words[2748], words[2053] = words[2053], words[2748]
    for content in ("\n".join(words).encode(), b"yes\nno\n", b"\xff\xfe"):
        (tmp_path / "vocab.txt").write_bytes(content)
        with pytest.raises(UserError, match=r"expected the 30522 words of .*--vocabulary FILE"):
            convert(source, tmp_path / "out", tmp_path / "vocab.txt", TINY)
    with pytest.raises(UserError, match=r"found no file .*nowhere.txt"):
        convert(source, tmp_path / "out", tmp_path / "nowhere.txt", TINY)
    assert not (tmp_path / "out").exists()
    (tmp_path / "vocab.txt").write_bytes(vocabulary.read_bytes().replace(b"\n", b"\r\n"))
    convert(source, tmp_path / "out", tmp_path / "vocab.txt", TINY)
    assert None not in answers(tmp_path / "out")


def test_official_are_both_files_or_it_is_not(
    state: State, vocabulary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = saved(tmp_path / "x.pth", state)
    sums = (sha256_file(source), sha256_file(vocabulary))
    for ours, words, official in ((sums[0], sums[1], True), (sums[0], "0", False), ("0", sums[1], False)):
        monkeypatch.setattr(blip_conversion, "OFFICIAL_SHA256", ours)
        monkeypatch.setattr(blip_conversion, "OFFICIAL_VOCABULARY", words)
        done = convert(source, tmp_path / "out", vocabulary, TINY)
        assert done.official is official
        assert done.vocabulary_sha256 == sums[1]
        assert json.loads((tmp_path / "out" / "conversion.json").read_text())["official"] is official


def test_the_command(
    state: State,
    vocabulary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lumina-eval", "assets", "convert", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        return int(end.value.code or 0), told.out + told.err

    monkeypatch.setattr(blip_conversion, "OFFICIAL", TINY)
    source = saved(tmp_path / "some.pth", state)
    code, told = run("blip-vqa", source, tmp_path / "out", "--vocabulary", vocabulary)
    assert code == 0
    assert f"{len(state) - 1} parameters of some.pth" in told
    assert "not the file that T2I-CompBench names" in told
    assert "not the words of bert-base-uncased, byte for byte" in told
    assert f"--set judge.vqa={tmp_path / 'out'}" in told
    for words, message in [
        (("blip-vqa",), "fix: lumina-eval data fetch blip-vqa"),
        (("blip-vqa", source, tmp_path / "x"), "fix: lumina-eval data fetch bert-vocabulary"),
        (("mask2former", source, tmp_path / "x", "--vocabulary", vocabulary), "expected no --vocabulary"),
        (("blip-vqa", tmp_path / "no.pth", tmp_path / "x", "--vocabulary", vocabulary), "found no file"),
        (("blip-vqa", source), "expected the folder to write"),
    ]:
        code, told = run(*words)
        assert code == 2
        assert message in told.replace("\n", " ")
    assert not (tmp_path / "x").exists()
