"""mPLUG, DPG-Bench's official answerer, through modelscope: the only file that knows that package.

What is done to pictures and questions is modelscope's own, as in the official script (compute_dpg_bench.py,
49 to 63, of TencentQQGYLab/ELLA at 3c228f1d): one picture and one question at a time, the answer as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image

from benchmarks.judges.vqa.answering import Answer, check_aligned
from benchmarks.judges.weights import device_of, weights_digest
from lumina_eval.assets.fetching import is_offline
from lumina_eval.digests import digest_of
from lumina_eval.errors import UserError, first_line

#: Raised whenever the same weights and settings give other answers.
VERSION: Final = 1
#: The model that the official script names (50).
MODEL: Final = "damo/mplug_visual-question-answering_coco_large_en"
#: What stands in the settings for the revision of a name without one: its weights may change there, and then
#: so does the digest.
UNPINNED: Final = "unpinned"
#: Endings of modelscope's files, beside those of transformers.
WEIGHTS: Final = (".pt", ".pth", ".yaml", ".yml")


class MplugAnswerer:
    """Answers in the model's own words; the official rule counts the exact word "yes" alone."""

    name = "mplug"

    def __init__(self, weights: str = "", device: str = "auto") -> None:
        """Take a folder of modelscope's form, or ``NAME[@REVISION]`` of its hub; nothing is loaded yet.

        Raises UserError if modelscope is not installed.
        """
        _modelscope()
        named = weights or MODEL
        self._model, _, self._revision = (named, "", "") if Path(named).is_dir() else named.partition("@")
        self._device = device_of(device)

    @cached_property
    def digest(self) -> str:
        """Sha256 of the weights and of the version of modelscope, whose code prepares the inputs.

        Raises UserError for a name whose files modelscope cannot get.
        """
        import modelscope

        weights = weights_digest(self._folder, WEIGHTS)
        return digest_of(
            {"answerer": self.name, "version": VERSION, "weights": weights, "code": modelscope.__version__}
        )

    @property
    def settings(self) -> Mapping[str, Any]:
        """The device, and the revision of a name; all else is in the weights' own configuration."""
        named = {} if Path(self._model).is_dir() else {"revision": self._revision or UNPINNED}
        return {"device": self._device.partition(":")[0], **named}

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Ask one question at a time, as the official script does."""
        check_aligned(images, questions)
        return [
            Answer(_text(self._pipeline({"image": image.convert("RGB"), "question": question})["text"]))
            for image, question in zip(images, questions, strict=True)
        ]

    @cached_property
    def _folder(self) -> Path:
        """Where the weights lie; modelscope fetches those of a name, but not offline, and keeps them."""
        from modelscope.hub.snapshot_download import snapshot_download

        if Path(self._model).is_dir():
            return Path(self._model)
        pinned: dict[str, Any] = {"revision": self._revision} if self._revision else {}
        if is_offline():
            pinned["local_files_only"] = True
        try:
            return Path(snapshot_download(self._model, **pinned))
        except Exception as error:  # the hub has many ways to fail, all of them the user's to mend
            raise self._not_there(error) from error

    @cached_property
    def _pipeline(self) -> Any:
        from modelscope.pipelines import pipeline
        from modelscope.utils.constant import Tasks

        device = "gpu" if self._device == "cuda" else self._device.replace("cuda:", "gpu:")
        try:
            return pipeline(Tasks.visual_question_answering, model=str(self._folder), device=device)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise self._not_there(error) from error

    def _not_there(self, error: Exception) -> UserError:
        return UserError(
            f"expected mPLUG of modelscope, found {self._model!r}, which does not load: "
            f"{first_line(error)}; fix: modelscope download --model {MODEL} "
            "--local_dir DIR, and --set judge.weights=DIR"
        )


def _text(value: Any) -> str:
    """Return the answer's words; some versions give a list of one."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise TypeError(f"expected one answer from modelscope, found {value!r}")
    return value


def _modelscope() -> None:
    try:
        import modelscope.pipelines  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"expected modelscope for the answerer mplug, found {error}; fix: pip install "
            "'lumina-eval[mplug]', or take another one: --set judge.answerer=blip"
        ) from error
