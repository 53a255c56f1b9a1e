"""``--rewrite transformers:DIR_OR_ID@REV``: a local language model of transformers, decoded greedily.

Options (``--rewrite-option KEY=VALUE``): ``template`` (a file), ``max_new_tokens``, ``dtype``. A tokenizer
with a chat template gets the question as a user's message, any other one as plain text. Each prompt is
rewritten alone, so that no padding moves a last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from lumina_eval.errors import UserError, first_line, nearest
from lumina_eval.models import device_kind
from lumina_eval.models.pinned import WEIGHTS, folder_digest, pinned_folder
from lumina_eval.rewriters.template import read_template
from lumina_eval.rewriting import no_text

OPTIONS: Final = ("template", "max_new_tokens", "dtype")
DTYPES: Final = ("float32", "bfloat16", "float16")
MAX_NEW_TOKENS: Final = 512


class LanguageModelRewriter:
    """Loads the language model when the first prompt is asked for, and lets it go with the last."""

    source: Literal["transformers"] = "transformers"

    def __init__(self, spec: str, options: Mapping[str, str], device: str) -> None:
        for name in options:
            if name not in OPTIONS:
                raise UserError(f"unknown --rewrite-option {name!r}; {nearest(name, OPTIONS)}")
        self._template = read_template(options, f"transformers:{spec}")
        self._dtype = options.get("dtype", "float32")
        if self._dtype not in DTYPES:
            raise UserError(f"unknown dtype {self._dtype!r}; {nearest(self._dtype, DTYPES)}")
        length = options.get("max_new_tokens", str(MAX_NEW_TOKENS))
        if not length.isdecimal() or int(length) < 1:
            raise UserError(f"expected a number of 1 or more for max_new_tokens, found {length!r}")
        self._length = int(length)
        self._folder = pinned_folder(spec, "a language model", "config.json", "--rewrite transformers:")
        self._device = device_kind(device)
        self.name = spec
        self.template: str | None = self._template.digest
        self.settings: Mapping[str, Any] = {
            "model": folder_digest(self._folder, (*WEIGHTS, ".jinja")),
            "dtype": self._dtype,
            "max_new_tokens": self._length,
            "decoding": "greedy",
        }

    def rewrite(self, prompts: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the texts in order; one that is empty or does not end is a UserError."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self._folder)
            model = AutoModelForCausalLM.from_pretrained(self._folder, dtype=getattr(torch, self._dtype)).to(
                self._device
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{self._folder} does not load: {first_line(error)}") from error
        for prompt in prompts:
            inputs = self._inputs(tokenizer, prompt).to(self._device)
            with torch.inference_mode():
                tokens = model.generate(
                    **inputs,
                    do_sample=False,
                    num_beams=1,
                    temperature=None,
                    top_p=None,
                    top_k=None,
                    max_new_tokens=self._length,
                )[0, inputs["input_ids"].shape[1] :]
            ends = model.generation_config.eos_token_id
            if int(tokens[-1]) not in (ends if isinstance(ends, list) else [ends]):
                fix = "add --rewrite-option max_new_tokens=NUMBER"
                raise no_text(prompt, f"one without an end in {len(tokens)} tokens", fix)
            text = tokenizer.decode(tokens, skip_special_tokens=True).strip()
            if not text:
                raise no_text(prompt, "none", "mend the template, or give --rewrite FILE.jsonl")
            yield prompt, text

    def _inputs(self, tokenizer: Any, prompt: str) -> Any:
        question = self._template.filled(prompt)
        if not tokenizer.chat_template:
            return tokenizer(question, return_tensors="pt", return_token_type_ids=False)
        message = [{"role": "user", "content": question}]
        return tokenizer.apply_chat_template(
            message, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
