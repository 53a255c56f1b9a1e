"""The very images that were judged, from the image store."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from lumina_eval import runs
from lumina_eval.digests import sha256_bytes
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
        found = self.file(run, (verdict.item_id, verdict.index), verdict.image_sha256)
        return decoded(found) if isinstance(found, bytes) else None

    def file(self, run: RunView, place: tuple[str, int], sha256: str | None) -> bytes | str:
        """Return the file of an image by (item id, index), or the reason why there is none.

        ``sha256`` is that of the judged file; None, for an image without a verdict, takes what the store
        vouches for.
        """
        key = run.keys.get(place)
        if key is None:
            return "judged elsewhere: no image store holds it"
        altered = False
        for root in dict.fromkeys((self._root, run.store)):
            store = ImageStore(root)
            try:
                data = store.path(key).read_bytes()
            except OSError:
                continue
            if sha256_bytes(data) == (sha256 or store.sha256(key)) and decoded(data) is not None:
                return data
            altered = True
        if runs.read_back_from(run.folder) is not None and not altered:
            return "not in MLflow, which this run was read back from; --store DIR finds it"
        name = f"{key[:2]}/{key[:12]}….png"
        return f"file altered since it was judged: {name}" if altered else f"file gone: {name}"


def decoded(data: bytes) -> Image.Image | None:
    """Return the RGB image in a file's bytes, or None if they hold none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return None
