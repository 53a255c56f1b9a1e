"""Image files of every kind, and random weights in the forms of both Inception conversions."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.tabletop.world.renderer import render
from benchmarks.tabletop.world.scene import sample_scene
from lumina_eval.assets.catalogue import FOLDER_VARIABLE
from lumina_eval.digests import sha256_file


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Smooth waves under noise, uint8: both resizing and its absence of antialiasing show."""
    random = np.random.default_rng([seed, height, width])
    rows, columns = np.mgrid[:height, :width]
    waves = 90 * np.sin(rows / 9)[..., None] + 30 * np.cos(columns / 5)[..., None]
    values = 128 + waves + random.normal(0, 40, (height, width, channels))
    return values.clip(0, 255).astype(np.uint8)


def every_kind(folder: Path) -> dict[str, Path]:
    """Write one file of each kind and return them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    depth16 = (noise(50, 40, 1)[..., 0].astype(np.uint16) << 8) // np.arange(1, 41, dtype=np.uint16) ** 2
    images = {
        "rgb.png": Image.fromarray(noise(64, 48, 3)),
        "large.jpg": Image.fromarray(noise(420, 610, 3)),
        "fitting.png": Image.fromarray(noise(299, 299, 3)),
        "dot.png": Image.fromarray(noise(1, 1, 3)),
        "line.bmp": Image.fromarray(noise(2, 350, 3)),
        "gray.png": Image.fromarray(noise(30, 70, 1)[..., 0]),
        "alpha.png": Image.fromarray(noise(33, 44, 4)),
        "gray_alpha.png": Image.fromarray(noise(40, 30, 2)),
        "palette.png": Image.fromarray(noise(60, 60, 3)).quantize(17),
        "deep.png": Image.fromarray(depth16),
        "print.jpg": Image.fromarray(noise(60, 50, 4), "CMYK"),
        "bits.png": Image.fromarray(noise(60, 50, 1)[..., 0]).convert("1"),
        "modern.webp": Image.fromarray(noise(80, 90, 3)),
    }
    for name, image in images.items():
        image.save(folder / name)
    Image.fromarray(noise(50, 90, 3)).save(folder / "rotated.jpg", exif=rotated)
    return {name: folder / name for name in (*images, "rotated.jpg")}


class Layers(torch.nn.Module):
    """Something that is 2048 numbers wide and sees where in an image what is."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 32, 9, stride=5)
        self.pool = torch.nn.AdaptiveAvgPool2d(8)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.pool(torch.tanh(self.convolution(inputs))), 1)


class Whole(torch.nn.Module):
    """With the interface of NVIDIA's file: ``layers``, and a call that resizes and scales by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()

    def forward(self, inputs: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        resized = torch.nn.functional.interpolate(
            inputs, size=[299, 299], mode="bilinear", align_corners=True
        )
        return self.layers((resized - 128) / 128)


def random_inception(seed: int = 0) -> dict[str, torch.Tensor]:
    """Return a random state dict whose features stay of a size through all layers."""
    from benchmarks.fidelity.features.inception_network import FidInception

    torch.manual_seed(seed)
    state = FidInception().state_dict()
    for key, tensor in state.items():
        if key.endswith("conv.weight"):
            torch.nn.init.kaiming_normal_(tensor)
        elif key.endswith(("running_mean", "bn.bias")):
            tensor.normal_(0, 0.1)
        elif key.endswith(("running_var", "bn.weight")):
            tensor.uniform_(0.8, 1.2)
    return state


def declared_weights(folder: Path) -> Path:
    """Put random weights where ``data fetch`` would, below ``folder``, and return what declares them."""
    files = {
        "fid-inception": folder / "fid-inception" / "pt_inception-2015-12-05-6726825d.pth",
        "fid-inception-torchscript": folder / "fid-inception-torchscript" / "inception-2015-12-05.pt",
    }
    for file in files.values():
        file.parent.mkdir(parents=True)
    # The published file is of a time before torch wrote zip files.
    torch.save(random_inception(), files["fid-inception"], _use_new_zipfile_serialization=False)
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated; the file is of it
        torch.jit.script(Whole().eval()).save(str(files["fid-inception-torchscript"]))
    tables = [
        f'[{name}]\nwhat = "random weights"\nlicence = "none"\nurl = "https://example.org/{{name}}"\n'
        f'files = [{{ name = "{file.name}", sha256 = "{sha256_file(file)}" }}]\n'
        for name, file in files.items()
    ]
    declaration = folder / "assets.toml"
    declaration.write_text("\n".join(tables))
    return declaration


__all__ = ["FOLDER_VARIABLE", "declared_weights", "every_kind", "noise", "random_inception"]


def pictures(folder: Path, count: int, seed: int, side: int = 64) -> Path:
    """Draw scenes into a new folder and return it."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for place in range(count):
        Image.fromarray(render(sample_scene(rng), side)).save(folder / f"{place:03d}.png")
    return folder


def values(record: dict[str, Any]) -> dict[str, float | None]:
    """Return the metrics of a JSON line by name."""
    return {metric["name"]: metric["value"] for metric in record["metrics"]}
