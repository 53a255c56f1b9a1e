"""A Qwen2-VL of random weights against a plain forward, one question at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_answerers import pictures, qwen, without

from benchmarks.judges.vqa.answering import Answerer
from benchmarks.judges.vqa.vision_language import VisionLanguageAnswerer
from lumina_eval.errors import UserError

QUESTIONS = ["is there a red cat ?", "is the dog blue and the cat not red ?", "tall ?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def answerer(folder: Path) -> VisionLanguageAnswerer:
    return VisionLanguageAnswerer(folder, "cpu", batch_size=4)


def plain(folder: Path, image: Image.Image, question: str) -> tuple[float, str]:
    """P(yes) and the likeliest token, from the sum of probabilities; no padding, no generate."""
    from transformers import Qwen2VLForConditionalGeneration, Qwen2VLProcessor

    processor = Qwen2VLProcessor.from_pretrained(folder)
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder).eval()
    text = (
        "user : <|vision_start|><|image_pad|><|vision_end|>Look at the image and answer the question with "
        f"one word, yes or no.\n{question} assistant : "
    )
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    with torch.no_grad():
        chances = model(**inputs).logits[0, -1].double().softmax(0)
    known = processor.tokenizer.get_vocab()
    yes = sum(float(chances[known[word]]) for word in ("yes", "Yes", "YES"))
    no = sum(float(chances[known[word]]) for word in ("no", "No"))
    return yes / (yes + no), processor.tokenizer.decode([int(chances.argmax())])


def test_decisions_are_those_of_a_plain_forward(folder: Path, answerer: VisionLanguageAnswerer) -> None:
    images = [image for image in pictures() for _ in QUESTIONS]
    found = answerer.answer(images, QUESTIONS * 3)
    for answer, image, question in zip(found, images, QUESTIONS * 3, strict=True):
        expected, said = plain(folder, image, question)
        assert answer.yes_probability == pytest.approx(expected, abs=1e-5)
        assert answer.decision == ("yes" if expected > 0.5 else "no")
        assert answer.text == said
    assert len({answer.decision for answer in found}) == 2, "the weights are chosen so that both are heard"
    assert len({round(math.log(answer.yes_probability or 1), 3) for answer in found}) > 3


def test_it_is_an_answerer_whose_digest_knows_weights_and_prompt(
    answerer: VisionLanguageAnswerer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(answerer, Answerer)
    other = qwen(tmp_path / "other", seed=1)
    digest = VisionLanguageAnswerer(other, "cpu").digest
    assert answerer.digest != digest
    monkeypatch.setattr("benchmarks.judges.vqa.vision_language.PROMPT", "{question} Say yes or no.")
    assert VisionLanguageAnswerer(other, "cpu").digest != digest


def test_a_folder_that_cannot_be_asked_is_told(folder: Path, tmp_path: Path) -> None:
    other = qwen(tmp_path / "other")
    tokens = json.loads((other / "tokenizer.json").read_text())
    words = tokens["model"]["vocab"]
    for word in ("yes", "Yes", "YES"):
        words[f"un{word}"] = words.pop(word)
    (other / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(UserError, match="tokens that say yes and tokens that say no, found"):
        VisionLanguageAnswerer(other, "cpu").answer(pictures(1), ["red ?"])
    for file in other.glob("chat_template*"):
        file.unlink()
    with pytest.raises(UserError, match="expected a chat template, found none"):
        VisionLanguageAnswerer(other, "cpu").answer(pictures(1), ["red ?"])
    (other / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="found what does not load"):
        VisionLanguageAnswerer(other, "cpu").answer(pictures(1), ["red ?"])


def test_a_model_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    halved = without(qwen(tmp_path / "halved"), "visual.merger.")
    with pytest.raises(
        UserError, match=r"all parameters of an image-text-to-text model .*none that fits .*visual\.merger\."
    ):
        VisionLanguageAnswerer(halved, "cpu").answer(pictures(1), ["red ?"])


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    file = qwen(tmp_path / "short") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"short/model\.safetensors, found what does not load"):
        VisionLanguageAnswerer(file.parent, "cpu").answer(pictures(1), ["red ?"])
