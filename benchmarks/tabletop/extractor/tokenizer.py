"""The words of tabletop's English captions, each a token; what is none of them is unknown."""

from __future__ import annotations

import re
from typing import Any, Final

from benchmarks.tabletop.world.languages import en
from benchmarks.tabletop.world.statements import Group
from benchmarks.tabletop.world.vocabulary import COLORS, RELATIONS, SHAPES, TEXTURES

#: Tokens that a text has room for, beginning and end among them.
CONTEXT: Final = 28
_PAD, _UNKNOWN, _BEGIN, _END = "<pad>", "<unknown>", "<begin>", "<end>"


def words() -> list[str]:
    """Return every word that an English caption can hold, in small letters, sorted."""
    texts = [sentence for forms in en.ENGLISH.sentences.values() for sentence in forms]
    texts += [re.sub(r"\{.*?\}", " ", text) for text in texts]
    texts += [*en.CELLS.values(), *en.SIZES.values(), *en.NUMBERS.values(), *COLORS, *TEXTURES, *RELATIONS]
    texts += [en.noun(Group(shape, number=number)) for shape in SHAPES for number in (1, 2)]
    texts += ["a an the and"]
    plain = (re.sub(r"\{.*?\}", " ", text).lower() for text in texts)
    return sorted({word for text in plain for word in re.findall(r"[a-z-]+", text)})


def make_tokenizer() -> Any:
    """Return a transformers tokenizer: small letters, words and hyphens, punctuation left out.

    The end has the largest number, since open_clip pools a text at the largest one
    (``text_global_pool`` in open_clip/transformer.py, pool type ``argmax``).
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([_PAD, _UNKNOWN, _BEGIN, *words(), _END])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\w-]+"), behavior="removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_BEGIN} $A {_END}",
        special_tokens=[(_BEGIN, vocabulary[_BEGIN]), (_END, vocabulary[_END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        unk_token=_UNKNOWN,
        bos_token=_BEGIN,
        eos_token=_END,
        model_max_length=CONTEXT,
    )
