"""Train the tokenizer: byte-level BPE over every caption of a training set.

The complete system prompts are tokens of their own. The text is the same as for the 2.6B model, but a small
transformer does not have to read twenty constant words in front of every caption.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from lumina_model.console import plain
from lumina_model.prompt_templates import PROMPT_START, SYSTEM_PROMPTS
from lumina_model.training.data import all_texts, read_examples

SPECIAL_TOKENS = ("<pad>", "<eos>", "<bos>", "<unk>")  # ids 0 to 3, Gemma's order


def build_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE of at most ``vocab_size`` tokens; every text can be encoded, none is lost."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    prompts = [text + PROMPT_START.rstrip() for text in SYSTEM_PROMPTS.values() if text]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(prompts),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(prompt, normalized=False) for prompt in prompts])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="right",
        model_max_length=256,
    )


def train_tokenizer(data: Path, out: Path, *, vocab_size: int = 2048, examples: int = 6000) -> None:
    """Train on the texts of the first examples of a training set and write ``out/tokenizer``."""
    chosen = read_examples(data)[:examples]
    console = plain(stderr=True)
    console.print(f"{vocab_size} tokens from the captions of {len(chosen)} images")
    build_tokenizer(all_texts(chosen), vocab_size).save_pretrained(out / "tokenizer")
    console.print(f"the tokenizer is at {out / 'tokenizer'}")
