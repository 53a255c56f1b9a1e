"""The very images that were judged, from the image store."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lumina_eval.records import Verdict
from lumina_eval.store import ImageStore
from reports.loading import RunView


class StoredImages:
    """Finds images in the store given, else in the one that the run was made with.

    A report is made on whichever machine the records are on, so an image may well be missing. An image that
    was altered since it was judged counts as missing too.
    """

    def __init__(self, store: Path) -> None:
        self._root = Path(store)

    def __call__(self, run: RunView, verdict: Verdict) -> Image.Image | None:
        """Return the RGB image of a verdict, or None."""
        key = run.keys.get((verdict.item_id, verdict.index))
        if key is None:
            return None
        for root in dict.fromkeys((self._root, run.store)):
            found = ImageStore(root).read(key)
            if found is not None and found.sha256 == verdict.image_sha256:
                return found.image
        return None
