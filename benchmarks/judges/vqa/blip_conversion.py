"""The official BLIP-VQA, from its file and the vocabulary of its text to a folder that transformers loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.judges.conversion import Conversion, Shape, check_shapes, read_state, write_folder
from benchmarks.judges.loading import load_model
from benchmarks.judges.vqa.blip import IMAGE_SIZE, OFFICIAL_IDS, VISION_EPS, WHAT
from benchmarks.judges.vqa.blip_names import COMPUTED, names
from lumina_eval.assets.catalogue import data_folder
from lumina_eval.errors import UserError

#: Sha256 of ``model_base_vqa_capfilt_large.pth``, as in t2i_compbench/assets.toml.
OFFICIAL_SHA256: Final = "7a7d546209f1ccfa8b3cd3a0138c53e0d1e95e4a4bc280bef8f67e20fe4925ae"
#: Sha256 of the ``vocab.txt`` of bert-base-uncased (231,508 bytes), as several public projects pin it.
OFFICIAL_VOCABULARY: Final = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
#: The asset that it is fetched as.
VOCABULARY_ASSET: Final = "bert-vocabulary"
#: Ids of some words of bert-base-uncased, and how many it has (models/blip.py, 187).
WORDS: Final = {
    "[PAD]": OFFICIAL_IDS["pad"], "[UNK]": 100, "[CLS]": 101, "[SEP]": OFFICIAL_IDS["end"], "[MASK]": 103,
    "yes": OFFICIAL_IDS["yes"], "no": OFFICIAL_IDS["no"],
}  # fmt: skip
WORD_COUNT: Final = OFFICIAL_IDS["start"]
_FETCH: Final = "lumina-eval data fetch blip-vqa"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers of the network; the defaults are the official ones (med_config.json, vqa.yaml, vit.py)."""

    width: int = 768
    """Of both towers."""
    vision_layers: int = 12
    vision_heads: int = 12
    patch: int = 16
    image_size: int = IMAGE_SIZE
    text_layers: int = 12
    text_heads: int = 12
    intermediate: int = 3072
    positions: int = 512
    vocabulary: int = 30524


#: The official numbers.
OFFICIAL: Final = Architecture()


def converted_folder() -> Path:
    """Return where the converted official model lies, or will, if no other folder is named."""
    return data_folder() / "blip-vqa-transformers"


def convert(
    source: Path, folder: Path, vocabulary: Path, architecture: Architecture | None = None
) -> Conversion:
    """Write ``folder`` with tokenizer, config, weights and conversion.json; load it once to see it whole.

    ``vocabulary`` is the ``vocab.txt`` of bert-base-uncased, which the checkpoint does not hold.

    Raises UserError for a file that is no checkpoint, that holds more than tensors and plain values, or whose
    names or shapes are not those of the architecture; and for another vocabulary.
    """
    from transformers import BlipForQuestionAnswering

    architecture = architecture or OFFICIAL
    found = read_state(source, "model", "BLIP's", _FETCH)
    state = {name: value for name, value in found.items() if not name.endswith(COMPUTED)}
    wanted = shapes(architecture)
    what = "BLIP_VQA with ViT-B and images of 480 pixels"
    check_shapes({name: tuple(value.shape) for name, value in state.items()}, wanted, what, source, _FETCH)
    words = _words(vocabulary)
    table = names(architecture.vision_layers, architecture.text_layers)
    config = configuration_of(architecture)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = _is_tied(state)
    converted = {table[name]: value for name, value in state.items()}

    def load() -> None:
        built = load_model(BlipForQuestionAnswering, folder, WHAT).state_dict()
        wrong = [name for name, value in converted.items() if not bool((built[name] == value.float()).all())]
        if wrong:
            raise UserError(
                f"expected {wrong[0]} in {folder} as it was written, found it changed when loaded"
            )

    done = write_folder(
        folder, config, converted, source, OFFICIAL_SHA256, len(wanted), load, vocabulary, OFFICIAL_VOCABULARY
    )
    _write_tokenizer(words, folder)
    return done


def shapes(numbers: Architecture) -> dict[str, Shape]:
    """Return the shape of every parameter in the official file, by its official name."""
    import torch
    from transformers import BlipForQuestionAnswering

    with torch.device("meta"):
        built = BlipForQuestionAnswering(configuration_of(numbers)).state_dict()
    table = names(numbers.vision_layers, numbers.text_layers)
    return {source: tuple(built[target].shape) for source, target in table.items()}


def configuration_of(numbers: Architecture) -> Any:
    """Return transformers' configuration of an architecture."""
    from transformers import BlipConfig

    text = {
        "hidden_size": numbers.width,
        "encoder_hidden_size": numbers.width,
        "num_hidden_layers": numbers.text_layers,
        "num_attention_heads": numbers.text_heads,
        "intermediate_size": numbers.intermediate,
        "max_position_embeddings": numbers.positions,
        "vocab_size": numbers.vocabulary,
        "bos_token_id": OFFICIAL_IDS["start"],
        "pad_token_id": OFFICIAL_IDS["pad"],
        "sep_token_id": OFFICIAL_IDS["end"],
        "layer_norm_eps": 1e-12,
    }
    vision = {
        "hidden_size": numbers.width,
        "num_hidden_layers": numbers.vision_layers,
        "num_attention_heads": numbers.vision_heads,
        "intermediate_size": 4 * numbers.width,
        "image_size": numbers.image_size,
        "patch_size": numbers.patch,
        "layer_norm_eps": VISION_EPS,
    }
    return BlipConfig(text_config=text, vision_config=vision, architectures=["BlipForQuestionAnswering"])


def _is_tied(state: dict[str, Any]) -> bool:
    """Tell whether the words that the decoder says are those that it reads."""
    said, read = (
        state[f"text_decoder.{name}.weight"]
        for name in ("cls.predictions.decoder", "bert.embeddings.word_embeddings")
    )
    return bool((said == read).all())


def _words(file: Path) -> list[str]:
    """Return the words of a vocabulary; UserError if it is not that of bert-base-uncased."""
    if not file.is_file():
        raise UserError(
            f"expected vocab.txt of bert-base-uncased, found no file {file}; "
            f"fix: lumina-eval data fetch {VOCABULARY_ASSET}, or --vocabulary FILE"
        )
    try:
        words = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        words = []
    words = [word.rstrip("\r") for word in words[:-1] if word] + [word for word in words[-1:] if word]
    places = {word: place for place, word in enumerate(words)}
    if len(places) != WORD_COUNT or any(places.get(word) != place for word, place in WORDS.items()):
        raise UserError(
            f"expected the {WORD_COUNT} words of bert-base-uncased, found {len(places)}, or others, in "
            f"{file}; fix: lumina-eval data fetch {VOCABULARY_ASSET}, or --vocabulary FILE"
        )
    return words


def _write_tokenizer(words: list[str], folder: Path) -> None:
    """Write the tokenizer with the two tokens that the official code adds (models/blip.py, 186 to 191)."""
    from transformers import BertTokenizer

    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(words)})
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    tokenizer.save_pretrained(folder)
