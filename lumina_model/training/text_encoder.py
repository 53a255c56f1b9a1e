"""Train the text encoder: a small Gemma-2 by causal language modelling on captions of all languages.

A document holds two captions of the same image, usually in different languages or of different detail. To
guess the second from the first the model must know what is meant, not only how sentences go on; this is what
the transformer needs from its features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

from lumina_model.prompt_templates import SYSTEM_PROMPTS, compose
from lumina_model.training.data import Example, batch_indices, read_examples
from lumina_model.training.earlier import expect_trained
from lumina_model.training.loop import LoopSettings, fit

IGNORED = -100  # cross_entropy's default ignore_index


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderSettings:
    """Architecture and recipe. The transformer reads the output of the last layer but one."""

    loop: LoopSettings
    hidden_size: int = 160
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 40
    mlp_size: int = 480
    batch: int = 64
    max_tokens: int = 160
    seed: int = 0


def build(settings: TextEncoderSettings, tokenizer: PreTrainedTokenizerFast) -> Gemma2ForCausalLM:
    """Return an untrained language model for this tokenizer."""
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.mlp_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.kv_heads,
        head_dim=settings.head_dim,
        query_pre_attn_scalar=settings.head_dim,
        max_position_embeddings=512,
        sliding_window=512,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Gemma2ForCausalLM(config)


def document(example: Example, rng: np.random.Generator) -> str:
    """Return two texts of one example, the first under a system prompt half of the time."""
    texts = [text for levels in example.captions.values() for text in levels.values()] or [example.prompt]
    first, second = (texts[int(i)] for i in rng.integers(len(texts), size=2))
    system = list(SYSTEM_PROMPTS)[int(rng.integers(len(SYSTEM_PROMPTS)))] if rng.random() < 0.5 else "empty"
    return compose(system, first) + "\n" + second


def train_text_encoder(data: Path, out: Path, settings: TextEncoderSettings) -> None:
    """Train with the tokenizer at ``out/tokenizer`` and write the encoder to ``out/text_encoder``."""
    expect_trained(out, "tokenizer")
    examples = read_examples(data)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out / "tokenizer")
    torch.manual_seed(settings.seed)
    model = build(settings, tokenizer)

    def loss_of(step: int) -> torch.Tensor:
        rng = np.random.default_rng([settings.seed, step, 1])
        chosen = batch_indices(settings.seed, step, len(examples), settings.batch)
        ids, mask = encode(tokenizer, [document(examples[i], rng) for i in chosen], settings.max_tokens)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits  # (B, T, V)
        labels = ids.masked_fill(mask == 0, IGNORED)
        return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten())

    trained = fit(model, loss_of, settings.loop, out / "training" / "text_encoder",
                  recipe=dataclasses.asdict(settings), label="text encoder")  # fmt: skip
    trained.model.save_pretrained(out / "text_encoder")


def encode(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_tokens: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and mask, both (B, T) int64, padded on the right to the longest text."""
    batch = tokenizer(list(texts), padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"]
