"""``folder:DIR``: images that were made elsewhere, taken as a model.

An image of item ``00017`` with index 2 is looked for as ``DIR/00017/samples/0002.png`` (GenEval's own
layout, also with five digits), ``DIR/00017/0002.png`` and ``DIR/00017_2.png``. Where there is no PNG, a file
ending in ``.jpg``, ``.jpeg`` or ``.webp`` is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from lumina_eval.digests import digest_of, sha256_file
from lumina_eval.errors import UserError
from lumina_eval.plan import Planned
from lumina_eval.plugins import Model

#: Ends of file names that are looked for, the first one that is there is taken.
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")


def open_models(spec: str, options: Mapping[str, str]) -> list[Model]:
    """Return the folder as the only model."""
    folder = Path(spec)
    if not spec or not folder.is_dir():
        raise UserError(
            f"expected --model folder:DIR with a folder of images, found no folder {spec!r}; fix: name one"
        )
    return [FolderModel(folder)]


class FolderModel:
    """Looks its images up; it is told the plan before it is asked for them."""

    stage = None
    step = None
    device = "cpu"
    sampler_version = 1
    takes_options = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[tuple[str, int], Path] = {}
        files = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and p.is_file())
        if not files:
            raise UserError(
                f"expected images ({', '.join(SUFFIXES)}) in {folder}, found none; "
                "fix: name the folder that holds them"
            )
        try:
            self._digest = digest_of([[p.relative_to(folder).as_posix(), sha256_file(p)] for p in files])
        except OSError as error:
            raise UserError(
                f"cannot read {error.filename}: {error.strerror}; fix: try again when nobody changes it"
            ) from error
        self.name = folder.resolve().name
        self.checkpoint = str(folder)

    def components(self) -> Mapping[str, str]:
        """Return one digest over all images: another image anywhere gives other keys."""
        return {"images": self._digest}

    def sampling(self) -> Mapping[str, Any]:
        """Return nothing: how the images were made is not known here."""
        return {}

    def final_text(self, prompt: str) -> str:
        """Return the prompt as it is."""
        return prompt

    def bind(self, images: Sequence[Planned]) -> None:
        """Learn which image each prompt and seed stand for."""
        for image in images:
            found = next((p for p in self._places(image.ref.item_id, image.ref.index) if p.is_file()), None)
            if found is not None:
                self._paths.setdefault((image.item.prompt, image.ref.seed), found)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Image.Image | None]:
        """Read the images; None where there is none, or none that can be read."""
        return [self._read(self._paths.get(pair)) for pair in zip(prompts, seeds, strict=True)]

    def _places(self, item: str, index: int) -> list[Path]:
        stems = [f"{index:04d}", f"{index:05d}", f"{index}"]
        nested = [self._folder / item / part / stem for part in ("samples", "") for stem in stems]
        flat = [self._folder / f"{item}_{index}", self._folder / f"{item}_{index:04d}"]
        return [path.with_name(path.name + suffix) for suffix in SUFFIXES for path in (*nested, *flat)]

    @staticmethod
    def _read(path: Path | None) -> Image.Image | None:
        if path is None:
            return None
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except (OSError, SyntaxError, ValueError):
            return None
