"""BLIP of random weights against a plain computation by transformers' own forward."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_answerers import blip, pictures, without
from torchvision import transforms

from benchmarks.judges.vqa.answering import Answerer
from benchmarks.judges.vqa.blip import BlipAnswerer
from lumina_eval.errors import UserError

QUESTIONS = ["is there a red cat?", "is the dog blue and the cat not red?", "is it a photo?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blip(tmp_path_factory.mktemp("blip"))


def plain(folder: Path, image: Image.Image, question: str) -> torch.Tensor:
    """Logits of the first answer token, one question at a time: the whole model's own forward, hooked."""
    from transformers import BertTokenizer, BlipForQuestionAnswering

    model = BlipForQuestionAnswering.from_pretrained(folder).eval()
    for module in model.vision_model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-6
    see = transforms.Compose([
        transforms.Resize((480, 480), interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.ToTensor(),
        transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ])  # fmt: skip
    tokens = BertTokenizer.from_pretrained(folder)(
        question, return_tensors="pt", max_length=35, truncation=True
    )
    ids = torch.cat([torch.tensor([[30523]]), tokens.input_ids[:, 1:]], dim=1)
    kept = []
    model.text_decoder.register_forward_hook(lambda module, given, made: kept.append(made.logits[0, 0]))
    with torch.no_grad():
        model(
            input_ids=ids,
            pixel_values=see(image)[None],
            attention_mask=tokens.attention_mask,
            decoder_input_ids=torch.tensor([[30522]]),
            interpolate_pos_encoding=True,
        )
    return kept[0]


def test_the_probability_is_that_of_a_plain_computation(folder: Path) -> None:
    answerer = BlipAnswerer(folder, "probability", "cpu", batch_size=4)
    images = [image for image in pictures() for _ in QUESTIONS]
    found = answerer.answer(images, QUESTIONS * 3)
    for answer, image, question in zip(found, images, QUESTIONS * 3, strict=True):
        chances = plain(folder, image, question).softmax(0)
        expected = float(chances[2748] / (chances[2748] + chances[2053]))
        assert answer.yes_probability == pytest.approx(expected, abs=2e-6)
        assert answer.text == answer.decision == ("yes" if expected > 0.5 else "no")
    assert len({round(answer.yes_probability or 0, 3) for answer in found}) > 3, "pictures and questions tell"


def test_words_begin_as_the_plain_computation_says_and_depend_on_no_neighbour(folder: Path) -> None:
    answerer = BlipAnswerer(folder, "words", "cpu", batch_size=9)
    images = [image for image in pictures() for _ in QUESTIONS]
    together = answerer.answer(images, QUESTIONS * 3)
    alone = [answerer.answer([i], [q])[0] for i, q in zip(images, QUESTIONS * 3, strict=True)]
    assert together == alone
    assert all(answer.decision is None and answer.yes_probability is None for answer in together)
    assert len({answer.text for answer in together}) > 1


def test_a_long_question_loses_its_end(folder: Path) -> None:
    answerer = BlipAnswerer(folder, "probability", "cpu")
    image = pictures(1)[0]
    long, longer = " ".join(["red"] * 33), " ".join(["red"] * 33 + ["dog"])
    one, other, short = answerer.answer([image] * 3, [long, longer, "red"])
    assert one.yes_probability == other.yes_probability != short.yes_probability


def test_it_is_an_answerer_whose_digest_knows_the_weights(folder: Path, tmp_path: Path) -> None:
    answerer = BlipAnswerer(folder, "probability", "cpu")
    assert isinstance(answerer, Answerer)
    assert answerer.digest == BlipAnswerer(folder, "words", "cpu").digest
    assert answerer.settings != BlipAnswerer(folder, "words", "cpu").settings
    assert answerer.digest != BlipAnswerer(blip(tmp_path / "other", seed=1), device="cpu").digest
    with pytest.raises(ValueError, match="one question to each image"):
        answerer.answer(pictures(2), ["is it a photo?"])


def test_foreign_ids_and_weights_that_are_not_there_are_told(folder: Path, tmp_path: Path) -> None:
    other = blip(tmp_path / "other")
    tokens = json.loads((other / "tokenizer.json").read_text())
    words = tokens["model"]["vocab"]
    words["yes"], words["red"] = words["red"], words["yes"]
    (other / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(UserError, match=r"expected the token ids .*'yes': 2748.*found .*'yes': 30.*fix:"):
        BlipAnswerer(other, device="cpu").answer(pictures(1), ["red?"])
    with pytest.raises(UserError, match=r"found no folder 'nowhere'; fix: --set judge.weights=DIR"):
        BlipAnswerer("nowhere")
    with pytest.raises(UserError, match="expected a pinned revision of owner/name"):
        BlipAnswerer("owner/name")
    (other / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="found what does not load"):
        BlipAnswerer(other, device="cpu").answer(pictures(1), ["red?"])
    (other / "config.json").unlink()
    with pytest.raises(UserError, match=r"expected config.json of BLIP"):
        BlipAnswerer(other)


def test_a_model_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    halved = without(blip(tmp_path / "halved"), "text_encoder.")
    with pytest.raises(
        UserError, match=r"all parameters of BLIP .*halved, found none that fits text_encoder\..* more; fix:"
    ):
        BlipAnswerer(halved, device="cpu").answer(pictures(1), ["red?"])


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    file = blip(tmp_path / "short") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(
        UserError, match=r"expected BLIP .*short/model\.safetensors, found what does not load"
    ):
        BlipAnswerer(file.parent, device="cpu").answer(pictures(1), ["red?"])
