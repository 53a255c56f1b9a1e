"""Answerers of a few thousand weights, random, saved as the real ones are."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

WORDS = [
    "is", "there", "a", "red", "cat", "dog", "blue", "the", "color", "wheel", "it", "photo", "of", "and",
    "not", "many", "tall", "?",
]  # fmt: skip


def pictures(count: int = 3, side: int = 24) -> list[Image.Image]:
    """Pictures that differ, none of them flat."""
    made = []
    for number in range(count):
        image = Image.new("RGB", (side, side + number), (40 * number, 200 - 60 * number, 90))
        image.paste((255, 30 * number, 0), (2, 3, 11, 7 + 3 * number))
        made.append(image)
    return made


def blip(folder: Path, seed: int = 0, image_size: int = 384) -> Path:
    """BLIP for visual questions with the ids of the official vocabulary; patches of 96 pixels."""
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForQuestionAnswering

    vocabulary = [f"[unused{n}]" for n in range(30522)]
    for place, word in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}.items():
        vocabulary[place] = word
    vocabulary[2748], vocabulary[2053] = "yes", "no"
    vocabulary[3000 : 3000 + len(WORDS)] = WORDS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary))
    tokenizer = BertTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    tokenizer.save_pretrained(folder)
    small = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    }  # fmt: skip
    text = {**small, "encoder_hidden_size": 16, "max_position_embeddings": 64, "initializer_range": 0.5}
    vision = {**small, "image_size": image_size, "patch_size": 96, "initializer_range": 0.5}
    config = BlipConfig(text_config=text, vision_config=vision)
    torch.manual_seed(seed)
    model = BlipForQuestionAnswering(config)
    with torch.no_grad():  # positions start near nothing, and are to tell
        model.vision_model.embeddings.position_embedding.normal_()
    model.save_pretrained(folder)
    return folder


def qwen(folder: Path, seed: int = 0) -> Path:
    """A Qwen2-VL with one layer each; its words are whole words, in three spellings."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
    )
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    special = [
        "<pad>",
        "<unk>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
        "<e>",
    ]
    words = [
        *special,
        "yes",
        "Yes",
        "no",
        "No",
        "YES",
        "user",
        "assistant",
        "Question",
        ":",
        ".",
        ",",
        *WORDS,
    ]
    vocabulary = {word: place for place, word in enumerate(dict.fromkeys(words))}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", eos_token="<e>",
        additional_special_tokens=special[2:],
    )  # fmt: skip
    template = (
        "{% for m in messages %}{{ m.role }} : {% for c in m.content %}{% if c.type == 'image' %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %} "
        "{% endfor %}{% if add_generation_prompt %}assistant : {% endif %}"
    )
    sizes = {"min_pixels": 16 * 16, "max_pixels": 32 * 32, "patch_size": 4, "merge_size": 2}
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=template,
    )
    processor.save_pretrained(folder)
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(vocabulary), "hidden_size": 16, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
            "initializer_range": 0.7, "bos_token_id": None, "eos_token_id": vocabulary["<e>"],
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 1, "embed_dim": 8, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "initializer_range": 0.7,
        },
        image_token_id=vocabulary["<|image_pad|>"],
        video_token_id=vocabulary["<|video_pad|>"],
        vision_start_token_id=vocabulary["<|vision_start|>"],
        vision_end_token_id=vocabulary["<|vision_end|>"],
    )  # fmt: skip
    torch.manual_seed(seed)
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def edit_config(folder: Path, **values: object) -> None:
    """Change top-level values of a saved configuration."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def without(folder: Path, part: str) -> Path:
    """Take the parameters whose name holds ``part`` out of a saved model; there must be some."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    state = load_file(file)
    kept = {name: value for name, value in state.items() if part not in name}
    assert len(kept) < len(state)
    save_file(kept, file, metadata={"format": "pt"})
    return folder
