"""Answers that were paid for, one small file each: a kill loses none, several processes may share them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from benchmarks.judges.vqa.answering import Answer, Decision
from lumina_eval.digests import canonical_json, digest_of, sha256_bytes
from lumina_eval.files import write_atomic

#: Words of a file to what they decide.
_DECISIONS: Mapping[str, Decision] = {"yes": "yes", "no": "no"}


def default_folder() -> Path:
    """Return the user's own cache folder for answers."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "lumina-eval" / "answers"


def image_sha256(image: Image.Image) -> str:
    """Return the sha256 of an image's size and RGB pixels: however it was stored, it is the same image."""
    pixels = image.convert("RGB")
    return sha256_bytes(f"{pixels.width} {pixels.height}\0".encode() + pixels.tobytes())


class AnswerCache:
    """Finds an answer by image, question, and how it was asked (prompt, model, revision, limits)."""

    def __init__(self, folder: Path, asking: Mapping[str, object]) -> None:
        self._folder, self._asking = folder, dict(asking)

    def get(self, sha256: str, question: str) -> Answer | None:
        """Return the answer; None if there is none, or none that can be read."""
        try:
            record = json.loads(self._path(sha256, question).read_text(encoding="utf-8"))
            return Answer(str(record["text"]), decision=_DECISIONS[record["decision"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, sha256: str, question: str, answer: Answer) -> None:
        """Keep an answer, with what it is the answer to."""
        record = {
            "image": sha256, "question": question, **self._asking,
            "text": answer.text, "decision": answer.decision,
        }  # fmt: skip
        write_atomic(self._path(sha256, question), canonical_json(record).encode())

    def _path(self, sha256: str, question: str) -> Path:
        key = digest_of({"image": sha256, "question": question, **self._asking})
        return self._folder / key[:2] / f"{key}.json"
