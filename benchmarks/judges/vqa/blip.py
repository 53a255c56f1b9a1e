"""BLIP's model for visual questions: its own words, or the probability of yes.

The probability is that of T2I-CompBench's BLIP-VQA; line numbers are those of Karine-Huang/T2I-CompBench at
1b709499, folder BLIPvqa_eval. The weights are those of ``model_base_vqa_capfilt_large.pth`` in the form of
transformers. Questions are asked as they are: what a benchmark does to their text before is its own business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from PIL import Image

from benchmarks.judges.loading import does_not_load, load_model
from benchmarks.judges.precision import full_float32
from benchmarks.judges.vqa.answering import Answer, check_aligned
from benchmarks.judges.weights import device_of, find_weights, weights_digest
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError

Reply = Literal["words", "probability"]

#: Whose weights they are, in messages.
WHAT: Final = "BLIP for visual questions"
#: Raised whenever the same weights and settings give other answers.
VERSION: Final = 1
#: Side of the picture that the model sees, in pixels; the shape is not kept (configs/vqa.yaml 22,
#: data/__init__.py 23 to 27).
IMAGE_SIZE: Final = 480
#: CLIP's normalisation (data/__init__.py, 13).
MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)
#: Tokens of a question at most (models/blip_vqa.py, 44).
MAX_QUESTION: Final = 35
#: Beams and tokens of a generated answer (models/blip_vqa.py, 93 to 106).
BEAMS: Final = 3
MAX_ANSWER: Final = 10
#: The official ids (models/blip_vqa.py, 46 and 136 to 146; models/blip.py, 186 to 191).
OFFICIAL_IDS: Final = {"pad": 0, "end": 102, "start": 30522, "encode": 30523, "yes": 2748, "no": 2053}
#: The official vision tower is built with this constant (models/vit.py, 142); transformers' default is 1e-5.
VISION_EPS: Final = 1e-6


class BlipAnswerer:
    """Answers in words (``reply="words"``), or with P(yes) among yes and no (``"probability"``), float32."""

    name = "blip"

    def __init__(
        self, weights: str | Path, reply: Reply = "words", device: str = "auto", batch_size: int = 32
    ) -> None:
        """Find the weights; they are loaded when the first question is asked.

        Raises UserError if they are not there.
        """
        self._folder = find_weights(str(weights), WHAT)
        self._reply = reply
        self._device = device_of(device)
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights, tokenizer and configuration, and of the version of this file's procedure."""
        return digest_of({"answerer": self.name, "version": VERSION, "weights": weights_digest(self._folder)})

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the picture and the question become, and how the answer is found."""
        words = {"beams": BEAMS, "max_answer": MAX_ANSWER} if self._reply == "words" else {}
        return {
            "reply": self._reply,
            "image_size": IMAGE_SIZE,
            "max_question": MAX_QUESTION,
            "dtype": "float32",
            "device": self._device.partition(":")[0],
            **words,
        }

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Return the answers; with ``"probability"`` the text is the likelier of yes and no."""
        check_aligned(images, questions)
        found: dict[int, Answer] = {}
        for places in _by_images(images, self._batch_size):
            found |= self._answer_about({place: images[place] for place in places}, questions)
        return [found[place] for place in range(len(questions))]

    def _answer_about(self, images: Mapping[int, Image.Image], questions: Sequence[str]) -> dict[int, Answer]:
        """Answer the questions at the places of ``images``; each different image is looked at once.

        Questions of one length go together. So there is no padding, which transformers' decoder would read:
        it takes the mask of its cross attention and does not pass it on. The official code masks it.
        """
        import torch

        model, tokenizer, ids = self._loaded
        different = {id(image): image for image in images.values()}
        rows = {key: row for row, key in enumerate(different)}
        found: dict[int, Answer] = {}
        with full_float32():
            pixels = torch.stack([pixels_of(image) for image in different.values()]).to(self._device)
            # Where the checkpoint is for another size, its positions are interpolated as the official
            # loader does (models/vit.py, 281 to 305).
            seen = model.vision_model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state
            tokens = {
                place: tokenizer(questions[place], truncation=True, max_length=MAX_QUESTION).input_ids
                for place in images
            }
            for batch in _by_length(tokens, self._batch_size):
                asked = torch.tensor([tokens[place] for place in batch], device=self._device)
                asked[:, 0] = ids["encode"]
                states = model.text_encoder(
                    input_ids=asked,
                    encoder_hidden_states=seen[[rows[id(images[place])] for place in batch]],
                    is_decoder=False,
                ).last_hidden_state
                found |= dict(zip(batch, self._decode(states), strict=True))
        return found

    def _decode(self, states: Any) -> list[Answer]:
        """Read the answers off encoded questions [batch, tokens, width]."""
        import torch

        model, tokenizer, ids = self._loaded
        start = torch.full((len(states), 1), ids["start"], dtype=torch.long, device=states.device)
        if self._reply == "probability":
            logits = model.text_decoder(start, encoder_hidden_states=states, is_decoder=True).logits[:, 0]
            chances = torch.softmax(logits, dim=1)
            yes, no = chances[:, ids["yes"]], chances[:, ids["no"]]
            return [_likelier(p) for p in (yes / (yes + no)).tolist()]
        told = model.text_decoder.generate(
            input_ids=start, encoder_hidden_states=states, num_beams=BEAMS, do_sample=False, min_length=1,
            max_length=MAX_ANSWER, eos_token_id=ids["end"], pad_token_id=ids["pad"],
        )  # fmt: skip
        return [Answer(text) for text in tokenizer.batch_decode(told, skip_special_tokens=True)]

    @cached_property
    def _loaded(self) -> tuple[Any, Any, dict[str, int]]:
        """The model in float32, the tokenizer, and the ids that are used, checked."""
        from transformers import AutoConfig, AutoTokenizer, BlipForQuestionAnswering

        try:
            config = AutoConfig.from_pretrained(self._folder)
            config.vision_config.layer_norm_eps = VISION_EPS
            tokenizer = AutoTokenizer.from_pretrained(self._folder)
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            raise does_not_load(WHAT, self._folder, error) from error
        model = load_model(BlipForQuestionAnswering, self._folder, WHAT, config=config)
        ids = _ids(tokenizer, config.text_config)
        if ids != OFFICIAL_IDS or config.text_config.vocab_size <= max(OFFICIAL_IDS.values()):
            raise UserError(
                f"expected the token ids {OFFICIAL_IDS} of BLIP for visual questions, found {ids} of "
                f"{config.text_config.vocab_size}, in {self._folder}; fix: give the tokenizer and the "
                "configuration that belong to the weights"
            )
        return model.to(self._device), tokenizer, ids


def pixels_of(image: Image.Image) -> Any:
    """Return what the vision tower sees: float32 [3, IMAGE_SIZE, IMAGE_SIZE], normalised."""
    import numpy as np
    import torch

    small = image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    values = torch.from_numpy(np.asarray(small, dtype=np.float32).transpose(2, 0, 1) / np.float32(255))
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (MEAN, STD))
    return (values - mean) / std


def _by_images(images: Sequence[Image.Image], most: int) -> Iterator[list[int]]:
    """Yield places in runs of at most ``most`` different images."""
    places: list[int] = []
    known: set[int] = set()
    for place, image in enumerate(images):
        if id(image) not in known and len(known) == most:
            yield places
            places, known = [], set()
        places.append(place)
        known.add(id(image))
    if places:
        yield places


def _by_length(tokens: Mapping[int, Sequence[int]], most: int) -> Iterator[list[int]]:
    """Yield places of questions of one length, at most ``most`` at once."""
    of_length: dict[int, list[int]] = {}
    for place, ids in tokens.items():
        of_length.setdefault(len(ids), []).append(place)
    for places in of_length.values():
        for start in range(0, len(places), most):
            yield places[start : start + most]


def _ids(tokenizer: Any, config: Any) -> dict[str, int]:
    """Read the ids from tokenizer and configuration.

    Some published tokenizers lack the token that the official code adds last; its id is then the next one.
    """
    known = tokenizer.get_vocab()
    return {
        "pad": config.pad_token_id,
        "end": config.sep_token_id,
        "start": config.bos_token_id,
        "encode": known.get("[ENC]", config.bos_token_id + 1),
        "yes": known.get("yes", -1),
        "no": known.get("no", -1),
    }


def _likelier(probability: float) -> Answer:
    decision: Literal["yes", "no"] = "yes" if probability > 0.5 else "no"
    return Answer(decision, probability, decision)
