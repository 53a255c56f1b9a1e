"""Extractors that are not Inception: CLIP, with its text tower, and DINOv2; each image as its measure has it.

- CLIP-FID: clean-fid 0.1.35, ``clip_features.py``. The shorter side to the network's by Pillow's bicubic
  filter, the middle square of that; features as they come.
- CLIP-score: Hessel et al., ``clipscore.py``: the same image; texts of more than 77 tokens are cut, and the
  last token stays the end of the text. Its cosine is taken elsewhere.
- CMMD: google-research, ``cmmd/io_util.py`` and ``embedding.py``. The middle square first, then its size;
  features of length 1.
- FD-DINOv2: dgm-eval, ``models/dinov2.py``. The whole image squeezed into a square of 224.

All in float32, where some of the tools take float16 on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.fidelity.features.resizing import middle_square
from benchmarks.judges.clip_model import ClipModel
from benchmarks.judges.loading import load_model
from benchmarks.judges.precision import full_float32
from benchmarks.judges.weights import device_of
from lumina_eval.digests import digest_of
from lumina_eval.models.pinned import folder_digest

if TYPE_CHECKING:
    from torch import Tensor

#: Raised when the same image or text gets another row.
VERSION: Final = 1
#: The official models, as open_clip calls them.
CLIP_FID: Final = "ViT-B-32-quickgelu/openai"
CMMD: Final = "ViT-L-14-336-quickgelu/openai"
#: Side of the square that DINOv2 sees, and the colours' mean and deviation (dgm-eval, ``models/dinov2.py``).
DINOV2_SIZE: Final = 224
DINOV2_MEAN: Final = (0.485, 0.456, 0.406)
DINOV2_STD: Final = (0.229, 0.224, 0.225)
#: Added to the side of the wanted grid of positions (facebookresearch/dinov2, ``hub/backbones.py``,
#: interpolate_offset). transformers leaves it out, and so gives slightly other features.
DINOV2_OFFSET: Final = 0.1

Procedure = Literal["clip", "cmmd"]
"""Resize, crop and leave (CLIP-FID, CLIP-score), or crop, resize and make of length 1."""


class ClipEmbedder:
    """Rows of a CLIP's image and text towers, in the space that they share."""

    def __init__(
        self,
        model: str = CLIP_FID,
        procedure: Procedure = "clip",
        prefix: str = "",
        device: str = "auto",
        batch_size: int = 32,
        key: str = "judge.clip",
    ) -> None:
        """Take ``NAME/TAG`` of open_clip, a folder in its form, or OpenAI's file; loaded when first needed.

        ``prefix`` is put before every text. ``key`` is where the protocol names the model, for messages.
        Raises UserError as :class:`benchmarks.judges.clip_model.ClipModel` does.
        """
        usual = CLIP_FID if procedure == "clip" else CMMD
        self._clip = ClipModel(model, device_of(device), key, usual)
        self._procedure, self._prefix, self._batch_size = procedure, prefix, batch_size
        self.name = f"{procedure}:{model}"

    @cached_property
    def digest(self) -> str:
        """Sha256 of the weights, the procedure, the prefix and the version of this file."""
        return digest_of(
            {
                "extractor": self._procedure,
                "prefix": self._prefix,
                "version": VERSION,
                "weights": self._clip.weights,
            }
        )

    @cached_property
    def width(self) -> int:
        """Numbers in a row. Loads the model."""
        model, _, _ = self._clip.loaded
        return int(model.visual.output_dim)

    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return a row for each RGB image, (N, width)."""
        model, preprocess, _ = self._clip.loaded
        look = preprocess if self._procedure == "clip" else _cmmd_transform(model.visual)
        return self._rows(images, look, model.encode_image)

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text with the prefix, (N, width); see :meth:`too_long`."""
        model, _, tokenizer = self._clip.loaded
        return self._rows(texts, lambda text: tokenizer([self._prefix + text])[0], model.encode_text)

    def too_long(self, texts: Sequence[str]) -> list[int]:
        """Return the places of the texts that are cut."""
        _, _, tokenizer = self._clip.loaded
        most = tokenizer.context_length - 2  # its start and its end
        return [
            place for place, text in enumerate(texts) if len(tokenizer.encode(self._prefix + text)) > most
        ]

    def _rows(
        self, things: Sequence[Any], look: Callable[[Any], Tensor], tower: Callable[[Tensor], Tensor]
    ) -> NDArray[np.float32]:
        from torch.nn.functional import normalize

        def embed(batch: Tensor) -> Tensor:
            found = tower(batch.to(self._clip.device))
            return normalize(found, dim=-1) if self._procedure == "cmmd" else found

        return _embedded(things, look, embed, self.width, self._batch_size)


class Dinov2Embedder:
    """Rows of DINOv2: the class token after the last layer norm, as its authors' model returns it."""

    def __init__(self, folder: Path, device: str = "auto", batch_size: int = 32) -> None:
        """Take a folder of transformers, such as the fetched ``dinov2-vit-l-14``; loaded when first needed.

        Raises UserError, then, if no DINOv2 loads from there.
        """
        self._folder, self._device, self._batch_size = folder, device_of(device), batch_size
        self.name = f"dinov2:{folder.name}"

    @cached_property
    def digest(self) -> str:
        """Sha256 of weights and configuration, the procedure and the version of this file."""
        return digest_of(
            {
                "extractor": "dinov2",
                "version": VERSION,
                "weights": folder_digest(self._folder, (".json", ".safetensors")),
            }
        )

    @cached_property
    def width(self) -> int:
        """Numbers in a row. Loads the model."""
        return int(self._model.config.hidden_size)

    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return a row for each RGB image, (N, width)."""

        def embed(batch: Tensor) -> Tensor:
            found: Tensor = self._model(pixel_values=batch.to(self._device)).last_hidden_state[:, 0]
            return found

        return _embedded(images, _squeezed, embed, self.width, self._batch_size)

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import Dinov2Model

        model = load_model(Dinov2Model, self._folder, "DINOv2", unused=["mask_token"])
        embeddings = model.embeddings
        side = DINOV2_SIZE // model.config.patch_size
        with torch.no_grad():
            # As many positions as patches: transformers then takes them as they are.
            positions = _positions_for(embeddings.position_embeddings, side)
            embeddings.position_embeddings = torch.nn.Parameter(positions, requires_grad=False)
        return model.to(self._device)


def _embedded(
    things: Sequence[Any],
    look: Callable[[Any], Tensor],
    embed: Callable[[Tensor], Tensor],
    width: int,
    batch_size: int,
) -> NDArray[np.float32]:
    """Return what ``embed`` makes of stacks of what ``look`` makes of each thing, (N, width)."""
    import torch

    rows = np.empty((len(things), width), dtype=np.float32)
    with ThreadPoolExecutor() as threads, full_float32():
        for start in range(0, len(things), batch_size):
            batch = torch.stack(list(threads.map(look, things[start : start + batch_size])))
            rows[start : start + len(batch)] = embed(batch).float().cpu().numpy()
    return rows


def _cmmd_transform(visual: Any) -> Callable[[Image.Image], Tensor]:
    """Return the image transform of CMMD for an open_clip's visual tower."""
    from torchvision.transforms.functional import normalize, to_tensor

    size = visual.image_size
    height, width = (size, size) if isinstance(size, int) else size

    def transform(image: Image.Image) -> Tensor:
        resized = middle_square(image).resize((width, height), Image.Resampling.BICUBIC)
        seen: Tensor = normalize(to_tensor(resized), visual.image_mean, visual.image_std)
        return seen

    return transform


def _squeezed(image: Image.Image) -> Tensor:
    from torchvision.transforms.functional import normalize, to_tensor

    resized = image.resize((DINOV2_SIZE, DINOV2_SIZE), Image.Resampling.BICUBIC)
    seen: Tensor = normalize(to_tensor(resized), DINOV2_MEAN, DINOV2_STD)
    return seen


def _positions_for(positions: Tensor, side: int) -> Tensor:
    """Return the embeddings of the class token and of side x side patches, (1, 1 + side**2, width)."""
    import torch

    token, patches = positions[:, :1], positions[:, 1:]
    there = round(patches.shape[1] ** 0.5)
    if there == side:
        return positions
    grid = patches.reshape(1, there, there, -1).permute(0, 3, 1, 2)
    scale = (side + DINOV2_OFFSET) / there
    resized = torch.nn.functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([token, resized.flatten(2).transpose(1, 2)], dim=1)
