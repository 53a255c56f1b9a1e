"""The store keeps whole rows through anything, and one extractor's apart from another's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_fidelity
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fidelity.features.extraction import extract
from benchmarks.fidelity.features.extractor import Extractor
from benchmarks.fidelity.features.store import FeatureStore
from lumina_eval.digests import sha256_bytes
from lumina_eval.errors import UserError

ONE, OTHER = "1" * 64, "2" * 64


def keys_of(count: int, start: int = 0) -> list[str]:
    return [sha256_bytes(str(place).encode()) for place in range(start, start + count)]


def rows_of(count: int, width: int = 3, start: int = 0) -> np.ndarray:
    return np.arange(start * width, (start + count) * width, dtype=np.float32).reshape(count, width)


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ONE, 3)
    assert store.rows([]).shape == (0, 3)
    store.add(keys_of(4), rows_of(4))
    store.add(keys_of(2, start=3), rows_of(2, start=3) + 100)  # the first is there already, and stays
    for reader in (store, FeatureStore(tmp_path, ONE, 3)):
        assert len(reader) == 5
        chosen = [keys_of(5)[place] for place in (4, 0, 3, 0)]
        assert reader.rows(chosen)[:, 0].tolist() == [112, 0, 9, 0]
        assert keys_of(1)[0] in reader
        assert keys_of(1, start=9)[0] not in reader
    with pytest.raises(KeyError, match=keys_of(1, start=9)[0]):
        store.rows(keys_of(1, start=9))


@given(st.integers(0, 24), st.integers(0, 65 * 2), st.booleans())
def test_a_tail_that_a_kill_left_counts_for_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows_cut: int, keys_cut: int, more: bool
) -> None:
    root = tmp_path_factory.mktemp("store")
    store = FeatureStore(root, ONE, 3)
    store.add(keys_of(3), rows_of(3))
    store.add(keys_of(2, start=3), rows_of(2, start=3))
    for name, cut in (("rows.f32", rows_cut), ("keys.txt", keys_cut)):
        path = store.folder / name
        os.truncate(path, path.stat().st_size - cut)
    whole = 5 - max(-(-rows_cut // 12), -(-keys_cut // 65))
    found = FeatureStore(root, ONE, 3)
    assert len(found) == whole
    assert np.array_equal(found.rows(keys_of(whole)), rows_of(whole))
    start = whole if more else 7
    found.add(keys_of(3, start=start), rows_of(3, start=start))
    again = FeatureStore(root, ONE, 3)
    assert len(again) == whole + 3
    assert np.array_equal(again.rows(keys_of(3, start=start)), rows_of(3, start=start))
    assert np.array_equal(again.rows(keys_of(whole)), rows_of(whole))


def test_a_killed_process_leaves_whole_rows(tmp_path: Path) -> None:
    program = (
        "import numpy, sys, pathlib, hashlib\n"
        "from benchmarks.fidelity.features.store import FeatureStore\n"
        "store = FeatureStore(pathlib.Path(sys.argv[1]), '1' * 64, 500)\n"
        "for place in range(10**9):\n"
        "    key = hashlib.sha256(str(place).encode()).hexdigest()\n"
        "    store.add([key], numpy.full((1, 500), place, numpy.float32))\n"
        "    print(place, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "20\n":
            process.send_signal(signal.SIGKILL)
            break
    seen = 20 + sum(1 for _ in process.stdout)
    process.wait()
    store = FeatureStore(tmp_path, ONE, 500)
    assert len(store) >= seen + 1
    expected = np.repeat(np.arange(len(store), dtype=np.float32)[:, None], 500, axis=1)
    assert np.array_equal(store.rows(keys_of(len(store))), expected)


def test_two_processes_add_in_turn(tmp_path: Path) -> None:
    first, second = FeatureStore(tmp_path, ONE, 3), FeatureStore(tmp_path, ONE, 3)
    first.add(keys_of(2), rows_of(2))
    second.add(keys_of(3), rows_of(3) + np.float32(0.5))  # two of them are there by now
    first.add(keys_of(1, start=3), rows_of(1, start=3))
    found = FeatureStore(tmp_path, ONE, 3)
    assert np.array_equal(found.rows(keys_of(4)), rows_of(4) + np.array([[0], [0], [0.5], [0]]))
    assert np.array_equal(first.rows(keys_of(4)), found.rows(keys_of(4)))


def test_extractors_are_kept_apart(tmp_path: Path) -> None:
    one, other = FeatureStore(tmp_path, ONE, 3), FeatureStore(tmp_path, OTHER, 5)
    one.add(keys_of(1), rows_of(1))
    assert keys_of(1)[0] not in other
    other.add(keys_of(1), rows_of(1, width=5) + 7)
    assert one.rows(keys_of(1)).tolist() == [[0, 1, 2]]
    with pytest.raises(UserError, match=r"of width 4, found 1{64} of width 3, in .*; fix: "):
        FeatureStore(tmp_path, ONE, 4)
    alike = ONE[:16] + OTHER[16:]
    with pytest.raises(UserError, match=f"expected features of extractor {alike} .*found {ONE}"):
        FeatureStore(tmp_path, alike, 3)


def test_wrong_rows_are_refused_and_nothing_is_added(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ONE, 3)
    for rows in (rows_of(2, width=4), rows_of(1), rows_of(2)[0]):
        with pytest.raises(ValueError, match=r"expected rows \(2, 3\), found"):
            store.add(keys_of(2), rows)
    for bad in (np.nan, np.inf):
        rows = rows_of(2)
        rows[1, 2] = bad
        with pytest.raises(UserError, match=rf"expected finite features.* sha256 {keys_of(2)[1]}; fix: "):
            store.add(keys_of(2), rows)
    with pytest.raises(ValueError, match=r"expected a sha256 as key, found 'a\.png'"):
        store.add(["a.png"], rows_of(1))
    assert len(FeatureStore(tmp_path, ONE, 3)) == 0


def test_damage_is_said(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ONE, 3)
    store.add(keys_of(2), rows_of(2))
    path = store.folder / "keys.txt"
    path.write_text(path.read_text().replace(keys_of(1)[0], "?" * 64))
    with pytest.raises(UserError, match=r"expected a sha256 in line 1 of .*keys\.txt.*; fix: delete"):
        FeatureStore(tmp_path, ONE, 3)
    (store.folder / "extractor.json").write_text("{")
    with pytest.raises(UserError, match=r"cannot read .*extractor\.json"):
        FeatureStore(tmp_path, ONE, 3)


def test_rows_need_the_memory_of_those_asked_for(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, ONE, 512)
    for start in range(0, 8000, 1000):
        store.add(keys_of(1000, start), np.full((1000, 512), start, np.float32))
    keys = keys_of(8000)
    tracemalloc.start()
    total = sum(
        float(batch[:, 0].sum()) for batch in (store.rows(keys[k : k + 100]) for k in range(0, 8000, 100))
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 1000 * sum(range(0, 8000, 1000))
    assert peak < 8000 * 512 * 4 / 10


class Means:
    """Mean colour; counts what it was shown."""

    name, digest, width = "means", ONE, 3

    def __init__(self) -> None:
        self.shown = 0

    def images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.shown += len(images)
        return np.array([np.asarray(image).mean(axis=(0, 1)) for image in images], dtype=np.float32)


def test_files_are_seen_once_and_broken_ones_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    files = tiny_fidelity.every_kind(folder)
    paths = sorted(files.values())
    (folder / "twin.png").write_bytes(files["rgb.png"].read_bytes())
    (folder / "empty.png").touch()
    given_ = [*paths, folder / "empty.png", folder / "twin.png", folder / "gone.png"]
    means, done = Means(), list[int]()
    assert isinstance(means, Extractor)
    store = FeatureStore(tmp_path / "store", means.digest, means.width)
    found = extract(given_, means, store, batch_size=3, advance=done.append)
    assert [(one.path.name, one.reason) for one in found.broken] == [
        ("empty.png", "no bytes"),
        ("gone.png", "no file"),
    ]
    assert sum(done) == len(given_)
    assert means.shown == len(paths)  # the twin is the same content
    wanted = Means().images([Image.open(path).convert("RGB") for path in [*paths, files["rgb.png"]]])
    assert np.array_equal(store.rows(found.keys), wanted)
    again = extract(given_, means, FeatureStore(tmp_path / "store", means.digest, means.width))
    assert again.keys == found.keys
    assert means.shown == len(paths)
