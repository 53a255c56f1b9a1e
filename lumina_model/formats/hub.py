"""Models of the Hugging Face hub: `owner/name` stands for the folder of its snapshot in the local cache."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lumina_model.errors import UserError

TRANSFORMER = ("transformer/*", "checkpoint.json")
OTHER_FORMATS = ("config.json", "diffusion_pytorch_model*", "model_args.pth", "consolidated*.00-of-01.*")
PIPELINE = (*TRANSFORMER, "text_encoder/*", "tokenizer/*", "vae/*", "scheduler/*", "model_index.json")


def is_hub_id(source: str | os.PathLike[str]) -> bool:
    """Whether this is no path that exists, and could be the id of a model."""
    return (
        isinstance(source, str)
        and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source) is not None
        and not Path(source).exists()
    )


def local_transformer(source: str | os.PathLike[str]) -> Path:
    """The path itself, or the folder with the transformer of a hub model; nothing else is fetched."""
    if not is_hub_id(source):
        return Path(source)
    folder = fetch(str(source), TRANSFORMER)
    return folder if (folder / "transformer").is_dir() else fetch(str(source), OTHER_FORMATS)


def local_pipeline(source: str | os.PathLike[str]) -> Path:
    """The path itself, or the folder with all components of a hub model."""
    return fetch(str(source), PIPELINE) if is_hub_id(source) else Path(source)


def fetch(name: str, patterns: Sequence[str]) -> Path:
    """The folder with the files of a hub model that match, fetched unless the cache has them.

    `HF_HUB_OFFLINE`, `HF_HOME` and the other variables of huggingface_hub are honoured.

    Raises:
        UserError: no such model, no permission, or no network and not in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    includes = " ".join(f"--include '{pattern}'" for pattern in patterns)
    command = f"hf download {name} {includes}"
    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns)))
    except GatedRepoError:
        raise UserError(
            f"expected access to {name}, found that its owner grants it one by one, on the Hugging Face hub; "
            f"fix: ask for it on the model's page, `hf auth login`, then `{command}`"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UserError(
            f"expected a path or a model of the Hugging Face hub, found neither, at {name}; "
            "fix: check the path or the id"
        ) from None
    except Exception as error:  # without a network: what the hub raises, or its HTTP library, or the system
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].removeprefix("Got: ")
        raise UserError(
            f"expected {name} on the Hugging Face hub, as there is no such path, found {reason}, at {name}; "
            f"fix: check the path, or run `{command}` where there is a network"
        ) from None
