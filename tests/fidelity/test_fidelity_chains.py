"""Each chain gives what its tool gives, on files of every kind: the tools' own classes are the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_fidelity
import torch
from PIL import Image

from benchmarks.fidelity.features.inception import Output, open_inception
from benchmarks.fidelity.features.pictures import read_picture
from benchmarks.fidelity.features.resizing import CHAINS, find_chain
from lumina_eval.assets.catalogue import FOLDER_VARIABLE
from lumina_eval.errors import UserError

PYTORCH = ("pytorch_fid", "torch_fidelity", "torchmetrics", "torchmetrics_no_antialias")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_fidelity.every_kind(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The declaration of random weights; they lie beside it."""
    return tiny_fidelity.declared_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def fetched(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(weights.parent))
    return weights


def state_dict(weights: Path) -> Path:
    return next((weights.parent / "fid-inception").iterdir())


class SeenError(Exception):
    """Carries what a network would have seen."""


def first_input(model: Any, first: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return what reaches the first layer, without computing the others."""

    def stop(_module: torch.nn.Module, arguments: tuple[torch.Tensor]) -> None:
        raise SeenError(arguments[0])

    handle = first.register_forward_pre_hook(stop)
    try:
        model(inputs)
    except SeenError as seen:
        return seen.args[0]
    finally:
        handle.remove()
    raise AssertionError("expected the first layer to be reached")


def open_oracle(chain: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the tool's own network with the same random weights."""
    path = state_dict(weights)
    if chain == "pytorch_fid":
        import pytorch_fid.inception

        monkeypatch.setattr(
            pytorch_fid.inception, "load_state_dict_from_url", lambda *_, **__: torch.load(path)
        )
        return pytorch_fid.inception.InceptionV3([3]).eval()
    name = "inception-v3-compat"
    if chain == "torch_fidelity":
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        return FeatureExtractorInceptionV3(name, ["2048", "logits_unbiased", "logits"], str(path))
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3(name, ["2048"], str(path), antialias=chain == "torchmetrics")


def official_input(chain: str, path: Path) -> torch.Tensor:
    """Read a file as the tool's own data set does."""
    if chain == "pytorch_fid":
        from pytorch_fid.fid_score import TF, ImagePathDataset

        return ImagePathDataset([path], TF.ToTensor())[0][None]
    from torch_fidelity.datasets import ImagesPathDataset

    return ImagesPathDataset([path])[0][None]


@pytest.mark.parametrize("chain", PYTORCH)
def test_the_network_sees_what_it_sees_in_the_tool(
    chain: str, files: dict[str, Path], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = open_oracle(chain, weights, monkeypatch)
    first = oracle.blocks[0][0] if chain == "pytorch_fid" else oracle.Conv2d_1a_3x3
    for name, path in files.items():
        wanted = first_input(oracle, first, official_input(chain, path))[0]
        found = find_chain(chain).prepare(read_picture(path))
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("chain", ["pytorch_fid", "torchmetrics"])
def test_features_are_those_of_the_tool(
    chain: str, files: dict[str, Path], fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = open_oracle(chain, fetched, monkeypatch)
    chosen = [files["rgb.png"], files["large.jpg"]]
    with torch.no_grad():
        wanted = [oracle(official_input(chain, path)) for path in chosen]
    # pytorch-fid and torch-fidelity return a sequence of outputs, torchmetrics the only one.
    rows = [(one if torch.is_tensor(one) else one[0]).flatten().numpy() for one in wanted]
    found = open_inception(chain, declaration=fetched).images([read_picture(path) for path in chosen])
    assert np.abs(found).max() > 0.1
    assert not np.allclose(found[0], found[1], atol=1e-2)
    np.testing.assert_allclose(found, rows, rtol=1e-5, atol=1e-6)


def test_features_and_classes_are_those_of_torch_fidelity(
    files: dict[str, Path], fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = open_oracle("torch_fidelity", fetched, monkeypatch)
    with torch.no_grad():
        pool3, unbiased, logits = oracle(official_input("torch_fidelity", files["rgb.png"]))
    image = [read_picture(files["rgb.png"])]
    outputs: dict[Output, torch.Tensor] = {"pool3": pool3, "logits_unbiased": unbiased, "logits": logits}
    for output, wanted in outputs.items():
        found = open_inception("torch_fidelity", output, declaration=fetched).images(image)
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(unbiased, logits)
    with pytest.raises(UserError, match="expected a chain with classes for logits, found clean"):
        open_inception("clean", "logits", declaration=fetched)


def clean_features(mode: str, folder: Path, model: Callable[[Any], Any]) -> np.ndarray:
    """Return what clean-fid makes of a folder, one file at a time, in its own order."""
    from cleanfid.fid import get_folder_features

    return get_folder_features(
        str(folder), model, num_workers=0, batch_size=1, device=torch.device("cpu"), mode=mode, verbose=False
    )


@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow"])
def test_clean_fids_chains_with_the_torchscript_network(
    mode: str, files: dict[str, Path], fetched: Path
) -> None:
    network = torch.jit.load(fetched.parent / "fid-inception-torchscript" / "inception-2015-12-05.pt").eval()

    def official(batch: torch.Tensor) -> torch.Tensor:
        if mode == "legacy_tensorflow":
            return network(batch, return_features=True)
        return network.layers((batch - 128) / 128)

    wanted = clean_features(mode, files["rgb.png"].parent, official)
    images = [read_picture(files[name]) for name in sorted(files)]
    found = open_inception(mode, declaration=fetched).images(images)
    assert len(found) == len(files)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    assert np.ptp(found, axis=0).max() > 0.1


def test_clean_fids_legacy_pytorch(
    files: dict[str, Path], fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cleanfid.inception_pytorch
    from cleanfid.features import build_feature_extractor

    monkeypatch.setattr(
        cleanfid.inception_pytorch,
        "load_state_dict_from_url",
        lambda *_, **__: torch.load(state_dict(fetched)),
    )
    model = build_feature_extractor("legacy_pytorch", torch.device("cpu"), use_dataparallel=False)
    wanted, seen = [], []

    def keep(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch[0] / 255 * 2 - 1)  # its model scales so before the first layer
        wanted.append(model(batch)[0].numpy() if len(seen) == 1 else None)
        return torch.zeros(1, 1)

    clean_features("legacy_pytorch", files["rgb.png"].parent, keep)
    images = [read_picture(files[name]) for name in sorted(files)]
    for image, one in zip(images, seen, strict=True):
        torch.testing.assert_close(find_chain("legacy_pytorch").prepare(image), one, rtol=0, atol=1e-6)
    found = open_inception("legacy_pytorch", declaration=fetched).images(images[:1])
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5, atol=1e-6)


def test_text2image_benchmark_crops_and_rounds(files: dict[str, Path]) -> None:
    for name, path in files.items():
        pixels = np.asarray(read_picture(path))
        height, width, _ = pixels.shape
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(pixels[top : top + side, left : left + side])
        rounded = np.asarray(square.resize((299, 299), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        found = find_chain("text2image_benchmark").prepare(read_picture(path))
        np.testing.assert_allclose(found, rounded / np.float32(255) * 2 - 1, atol=1e-6, err_msg=name)


def test_chains_differ_where_their_tools_do(files: dict[str, Path]) -> None:
    image = read_picture(files["large.jpg"])
    seen = {name: chain.prepare(image) for name, chain in CHAINS.items() if not chain.resizes_inside}
    seen["clean"] = (seen["clean"] - 128) / 128
    apart = {(a, b) for a in seen for b in seen if a < b and float((seen[a] - seen[b]).abs().max()) < 0.01}
    assert apart == {("legacy_pytorch", "pytorch_fid"), ("torch_fidelity", "torchmetrics_no_antialias")}


def test_neighbours_and_their_sizes_do_not_matter(files: dict[str, Path], fetched: Path) -> None:
    names = ("rgb.png", "large.jpg", "large.jpg", "gray.png", "rgb.png")
    images = [read_picture(files[name]) for name in names]
    for chain in ("clean", "legacy_tensorflow"):
        together = open_inception(chain, declaration=fetched, batch_size=2).images(images)
        alone = [open_inception(chain, declaration=fetched).images([image])[0] for image in images]
        np.testing.assert_allclose(together, alone, atol=1e-6)
    assert open_inception("clean", declaration=fetched).images([]).shape == (0, 2048)


def test_weights_that_are_absent_or_others_are_refused(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"unknown chain 'cleen'; did you mean clean"):
        open_inception("cleen")
    image = Image.new("RGB", (8, 8))
    assert open_inception("clean", declaration=fetched).images([image]).shape == (1, 2048)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"pt_inception-2015-12-05-6726825d\.pth.*data fetch fid-inception$"):
        open_inception("torchmetrics")
    with pytest.raises(UserError, match=r"inception-2015-12-05\.pt.*data fetch fid-inception-torchscript$"):
        open_inception("clean")
    file = tmp_path / "fid-inception-torchscript" / "inception-2015-12-05.pt"
    file.parent.mkdir()
    content = bytearray((fetched.parent / file.relative_to(tmp_path)).read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"expected sha256 .*, found .*; fix: delete it and run lumina-eval"):
        open_inception("clean", declaration=fetched)


def test_the_digest_is_that_of_weights_and_procedure(fetched: Path) -> None:
    digests = {open_inception(chain, declaration=fetched).digest for chain in CHAINS}
    for chain in PYTORCH:
        digests.add(open_inception(chain, "logits", declaration=fetched).digest)
    assert len(digests) == len(CHAINS) + len(PYTORCH)
    assert open_inception("clean", declaration=fetched, batch_size=1).digest in digests
