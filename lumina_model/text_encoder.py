"""Captions to features: a Gemma-2 language model read at its last-but-one layer.

Facts (official sample.py and diffusers' Lumina2Pipeline): features are `hidden_states[-2]`, without the final
norm; a BOS token in front, no EOS; padding on the right; at most 256 tokens with BOS and system prompt.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lumina_model.errors import UserError

MAX_TOKENS = 256  # official sample.py
PAD_MULTIPLE = 8  # official sample.py


class TextEncoder:
    """A frozen `Gemma2Model` and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any):
        """Join a transformers `Gemma2Model` and the `PreTrainedTokenizerFast` it was trained with.

        Raises:
            UserError: the tokenizer puts no BOS in front, or the two do not fit.
        """
        tokenizer.padding_side = "right"
        if tokenizer("").input_ids != [tokenizer.bos_token_id]:
            raise UserError(
                f"expected a tokenizer that turns the empty text into its BOS token, found "
                f"{tokenizer('').input_ids} (BOS is {tokenizer.bos_token_id}); fix: use the tokenizer.json "
                "of this checkpoint, with its post-processor"
            )
        if len(tokenizer) > model.config.vocab_size:
            raise UserError(
                f"expected at most {model.config.vocab_size} tokens (the text encoder's vocabulary), found "
                f"{len(tokenizer)} in the tokenizer; fix: use the tokenizer of this text encoder"
            )
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.dim = int(model.config.hidden_size)

    def tokenize(self, texts: Sequence[str], pad_to: int | None = None) -> tuple[Tensor, Tensor]:
        """Token ids and mask, both (B, T) int64; a text that does not fit is cut with a warning.

        Args:
            texts: complete texts (`prompt_templates.compose`).
            pad_to: fixed T; None for the longest, rounded up to a multiple of 8, at most 256.
        """
        if not texts:
            raise UserError("expected at least one text, found none; fix: give a prompt")
        limit = pad_to or MAX_TOKENS
        tokenized = self.tokenizer(list(texts), return_offsets_mapping=True)
        full = tokenized.input_ids
        for text, ids, spans in zip(texts, full, tokenized.offset_mapping, strict=True):
            if len(ids) > limit:
                lost = text[spans[limit][0] :]
                warnings.warn(f"text cut from {len(ids)} to {limit} tokens; lost: {lost!r}", stacklevel=3)
        longest = max(map(len, full))
        length = pad_to or min(-(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, limit)
        ids = torch.full((len(full), length), self.tokenizer.pad_token_id)  # (B, T)
        mask = torch.zeros_like(ids)  # (B, T)
        for row, tokens in enumerate(full):
            kept = torch.tensor(tokens[:length])
            ids[row, : len(kept)] = kept
            mask[row, : len(kept)] = 1
        return ids, mask

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], pad_to: int | None = None) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) in the model's dtype and mask (B, T) bool, on the model's device.

        Features at padding are whatever the model computes there; the mask hides them. The unconditional
        input is the empty text, without system prompt. Arguments as for `tokenize`.
        """
        ids, mask = (y.to(self.model.device) for y in self.tokenize(texts, pad_to))
        out = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        return out.hidden_states[-2], mask.bool()
