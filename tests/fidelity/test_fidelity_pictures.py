"""Files of every kind are found and read as clean-fid and torch-fidelity do; broken ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_fidelity
from PIL import Image

from benchmarks.fidelity.features.pictures import (
    Broken,
    BrokenPictureError,
    find_pictures,
    read_picture,
    told,
)
from lumina_eval.errors import UserError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_fidelity.every_kind(tmp_path_factory.mktemp("pictures"))


def test_every_kind_is_read_as_torch_fidelity_and_clean_fid_do(files: dict[str, Path]) -> None:
    from cleanfid.utils import ResizeDataset
    from torch_fidelity.datasets import ImagesPathDataset

    paths = list(files.values())
    raw = ResizeDataset(paths, "legacy_tensorflow")  # resizes nothing
    for place, path in enumerate(paths):
        found = np.asarray(read_picture(path))
        assert np.array_equal(found, ImagesPathDataset(paths)[place].permute(1, 2, 0).numpy()), path.name
        assert np.array_equal(found, np.rint(raw[place].permute(1, 2, 0).numpy())), path.name


def test_what_that_amounts_to(files: dict[str, Path]) -> None:
    assert np.array_equal(
        np.asarray(read_picture(files["alpha.png"])), tiny_fidelity.noise(33, 44, 4)[..., :3]
    )
    gray = tiny_fidelity.noise(40, 30, 2)[..., 0]
    assert np.array_equal(np.asarray(read_picture(files["gray_alpha.png"]))[..., 1], gray)
    deep = np.asarray(Image.open(files["deep.png"]))
    assert deep.max() > 255 > deep.min()
    assert np.array_equal(np.asarray(read_picture(files["deep.png"]))[..., 2], deep.clip(max=255))
    assert read_picture(files["rotated.jpg"]).size == (90, 50)  # lies on its side, as EXIF is not looked at
    assert {read_picture(path).mode for path in files.values()} == {"RGB"}


def test_files_are_found_as_clean_fid_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cleanfid.fid

    folder = tmp_path / "odd [name]"
    names = [
        "b.png",
        "a.JPG",
        "deep/er/c.jpeg",
        "deep/a.webp",
        "x.TIF",
        "n.npy",
        ".hidden.png",
        ".h/a.png",
        "t.txt",
    ]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    listed: list[str] = []
    monkeypatch.setattr(cleanfid.fid, "get_files_features", lambda files, *_, **__: listed.extend(files))
    plain = folder.rename(tmp_path / "plain")  # its glob would read the brackets as a pattern
    cleanfid.fid.get_folder_features(str(plain), verbose=False)
    plain.rename(folder)
    found = [path.relative_to(folder).as_posix() for path in find_pictures(folder)]
    assert found == [Path(file).relative_to(plain).as_posix() for file in listed]
    assert found == ["a.JPG", "b.png", "deep/a.webp", "deep/er/c.jpeg", "n.npy"]


def test_no_folder_and_no_images_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a folder of images, found none, at .*nowhere"):
        find_pictures(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"expected images \(bmp, jpeg, .*\) in .*, found none"):
        find_pictures(tmp_path)


def test_broken_files_are_named(tmp_path: Path, files: dict[str, Path]) -> None:
    whole = files["large.jpg"].read_bytes()
    contents = {
        "empty.png": b"",
        "text.png": b"no image at all",
        "cut.jpg": whole[: len(whole) // 2],
        "head.png": files["rgb.png"].read_bytes()[:30],
        "flipped.png": files["rgb.png"].read_bytes()[:60] + b"\xff" * 200,
        "array.npy": b"\x93NUMPY",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "floats.npy", np.zeros((4, 4, 3)))
    (tmp_path / "folder.png").mkdir()
    good = files["rgb.png"]
    broken = []
    for path in [good, *sorted(tmp_path.iterdir()), tmp_path / "gone.png", good]:
        try:
            read_picture(path)
        except BrokenPictureError as error:
            broken.append(error.broken)
    assert [one.path.name for one in broken] == [*sorted([*contents, "floats.npy", "folder.png"]), "gone.png"]
    reasons = {one.path.name: one.reason for one in broken}
    assert reasons["empty.png"] == "no bytes"
    assert reasons["text.png"] == "a file of no known format"
    assert "truncated" in reasons["cut.jpg"]
    assert reasons["floats.npy"] == "an array of float64 (4, 4, 3), not of uint8 (H, W, 3)"
    with pytest.raises(BrokenPictureError, match=r"expected an image, found no bytes, in .*empty\.png; fix:"):
        read_picture(tmp_path / "empty.png")


def test_arrays_are_images_too(tmp_path: Path) -> None:
    from cleanfid.utils import ResizeDataset

    path = tmp_path / "a.npy"
    np.save(path, tiny_fidelity.noise(9, 7, 3))
    wanted = ResizeDataset([path], "legacy_tensorflow")[0]
    assert np.array_equal(np.asarray(read_picture(path)), np.rint(wanted.permute(1, 2, 0).numpy()))


def test_the_first_few_broken_files_are_told() -> None:
    broken = [Broken(Path(f"{letter}.png"), "no bytes") for letter in "abcd"]
    assert told(broken[:1]) == "1 broken: a.png (no bytes)"
    assert told(broken).endswith("c.png (no bytes), and 1 more")
