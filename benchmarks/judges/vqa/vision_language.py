"""A vision-language model that must choose between yes and no.

Any image-text-to-text model of transformers with a chat template (Qwen2-VL and its kin). The logits of the
first token that it would say are compared: all spellings of yes against all spellings of no. The token that
it would really have said is kept as the text, so that a model that did not want to choose is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image

from benchmarks.judges.loading import does_not_load, load_model
from benchmarks.judges.vqa.answering import Answer, check_aligned
from benchmarks.judges.vqa.prompt import PROMPT, prompt_of
from benchmarks.judges.weights import device_of, find_weights, weights_digest
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError

#: Whose weights they are, in messages.
WHAT: Final = "an image-text-to-text model"
#: Raised whenever the same weights and settings give other answers.
VERSION: Final = 1
YES: Final = ("yes", "Yes", "YES", " yes", " Yes", " YES")
NO: Final = ("no", "No", "NO", " no", " No", " NO")


class VisionLanguageAnswerer:
    """Compares yes and no in the first token; float32 on a CPU, bfloat16 on CUDA."""

    name = "vision-language"

    def __init__(self, weights: str | Path, device: str = "auto", batch_size: int = 8) -> None:
        """Find the weights; they are loaded when the first question is asked.

        Raises UserError if they are not there.
        """
        self._folder = find_weights(str(weights), "a vision-language model")
        self._device = device_of(device)
        self._dtype = "float32" if self._device == "cpu" else "bfloat16"
        self._batch_size = batch_size

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights, tokenizer, configuration and prompt, and of the version of this file."""
        weights = weights_digest(self._folder)
        return digest_of({"answerer": self.name, "version": VERSION, "weights": weights, "prompt": PROMPT})

    @property
    def settings(self) -> Mapping[str, Any]:
        """The prompt, and how numbers are kept."""
        return {"prompt": PROMPT, "dtype": self._dtype, "device": self._device.partition(":")[0]}

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Return the decisions with their probability; batches are padded on the left."""
        check_aligned(images, questions)
        found: list[Answer] = []
        for start in range(0, len(questions), self._batch_size):
            part = slice(start, start + self._batch_size)
            found += self._answer_batch(images[part], questions[part])
        return found

    def _answer_batch(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        import torch

        model, processor, yes, no = self._loaded
        talks = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt_of(question)}]}]
            for question in questions
        ]
        texts = [processor.apply_chat_template(talk, add_generation_prompt=True) for talk in talks]
        inputs = processor(
            text=texts, images=[[image.convert("RGB")] for image in images], padding=True, return_tensors="pt"
        ).to(self._device, getattr(torch, self._dtype))
        with torch.inference_mode():
            # generate, not a plain call: it gives each row the positions that its padding asks for.
            told = model.generate(
                **inputs, max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
            )
        logits = told.logits[0].float()
        margins = logits[:, yes].logsumexp(1) - logits[:, no].logsumexp(1)
        said = processor.tokenizer.batch_decode(logits.argmax(1)[:, None], skip_special_tokens=False)
        return [
            Answer(text, probability, "yes" if probability > 0.5 else "no")
            for text, probability in zip(said, margins.sigmoid().tolist(), strict=True)
        ]

    @cached_property
    def _loaded(self) -> tuple[Any, Any, list[int], list[int]]:
        """Model, processor, and the ids of yes and no."""
        from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            processor = AutoProcessor.from_pretrained(self._folder)
            processor.tokenizer.padding_side = "left"
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            raise does_not_load(WHAT, self._folder, error) from error
        model = load_model(AutoModelForImageTextToText, self._folder, WHAT, dtype=self._dtype)
        if not processor.chat_template:
            raise UserError(
                f"expected a chat template, found none, in {self._folder}; "
                "fix: give a model that is tuned to follow instructions"
            )
        yes, no = (_ids(processor.tokenizer, spellings) for spellings in (YES, NO))
        if not yes or not no or set(yes) & set(no):
            raise UserError(
                f"expected tokens that say yes and tokens that say no, found {yes} and {no}, in "
                f"{self._folder}; fix: take a model whose tokenizer has these words"
            )
        return model.to(self._device), processor, yes, no


def _ids(tokenizer: Any, spellings: Sequence[str]) -> list[int]:
    """Return the ids of those spellings that are one known token."""
    found = [tokenizer.encode(spelling, add_special_tokens=False) for spelling in spellings]
    return sorted({ids[0] for ids in found if len(ids) == 1 and ids[0] != tokenizer.unk_token_id})
