"""The batch found by drawing: on a tiny model, with the memory of a device that is only pretended."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lumina_model.adapter import LuminaModel, checkpoint_parts
from lumina_model.batch_probe import best_batch, longest_first
from lumina_model.device_memory import Memory, ProcessMemory, memory_of
from lumina_model.pipeline import Pipeline
from lumina_model.sampling import Sampling

OPTIONS = {"device": "cpu", "solver": "euler", "steps": "3", "max_text_tokens": "200"}
PROMPTS = ["a cube", "a photo of a red cube beside two blue spheres and a green cone", "a cone"]


class Seen:
    """The batches that were drawn; those above ``most`` do not fit."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.samplings: list[Sampling] = []
        self.blocks: list[Any] = []
        self.most = 10**9


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watch what is drawn."""
    found = Seen()
    begin = Pipeline.begin

    def watched(
        self: Pipeline, prompts: Sequence[str], seeds: Any, sampling: Sampling, *rest: Any, **options: Any
    ) -> Any:
        found.batches.append(list(prompts))
        found.samplings.append(sampling)
        found.blocks.append(self.blocks)
        if len(prompts) > found.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return begin(self, prompts, seeds, sampling, *rest, **options)

    monkeypatch.setattr(Pipeline, "begin", watched)
    return found


class Pretended:
    """A device with so many bytes free, of which each image of the batch drawn last takes 100."""

    def __init__(self, free: int, seen: Seen) -> None:
        self.free: int | None = free
        self._seen = seen

    def reset(self) -> None:
        pass

    def peak(self) -> int | None:
        return 100 * len(self._seen.batches[-1])


def lumina(folder: Path, **options: str) -> LuminaModel:
    return LuminaModel("m", "m", checkpoint_parts(str(folder)), {**OPTIONS, **options})


@pytest.mark.parametrize(("free", "largest"), [(50, 1), (230, 2), (1000, 8)])
def test_no_batch_is_drawn_that_would_not_fit(
    pipeline_folder: Path, seen: Seen, free: int, largest: int
) -> None:
    devices: list[str] = []

    def memory(device: str) -> Memory:
        devices.append(device)
        return Pretended(free, seen)

    found = lumina(pipeline_folder).best_batch(PROMPTS, memory)
    assert max(len(batch) for batch in seen.batches) <= largest
    assert 1 <= found["batch_size"] <= largest
    assert list(found["images_per_second"]) == [str(2**k) for k in range(len(found["images_per_second"]))]
    assert all(speed > 0 for speed in found["images_per_second"].values())
    assert devices == ["cpu"]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_running_out_of_memory_ends_the_search_without_an_error(
    pipeline_folder: Path, seen: Seen, most: int
) -> None:
    seen.most = most
    model = lumina(pipeline_folder)
    found = model.best_batch(PROMPTS, lambda device: Pretended(10**9, seen))
    assert 1 <= found["batch_size"] <= max(1, most)
    assert max(len(batch) for batch in seen.batches) <= 2 * max(1, most)


def test_a_trial_takes_the_longest_prompts(pipeline_folder: Path, seen: Seen) -> None:
    pipeline = lumina(pipeline_folder).pipeline
    sampling = pipeline.sampling.updated({"height": "64", "width": "64"})
    ordered = longest_first(pipeline, sampling, [*PROMPTS, *PROMPTS])
    assert sorted(ordered) == sorted(PROMPTS)
    assert ordered[0] == max(PROMPTS, key=len)
    best_batch(pipeline, sampling, [*PROMPTS, *PROMPTS], lambda device: Pretended(10**9, seen), most=4)
    assert {len(batch) for batch in seen.batches} >= {1, 2, 4}
    assert all([*batch] == [*ordered, *ordered][: len(batch)] for batch in seen.batches)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "dpm", "steps": "4"},
        {"solver": "midpoint", "renorm": "1", "truncation": "0.3"},
        {"guidance": "1"},
        {"cache": "0.3", "steps": "5"},
        {"compile": "true"},
    ],
)
def test_any_sampling_can_be_tried_in_two_evaluations(
    pipeline_folder: Path, seen: Seen, options: dict[str, str]
) -> None:
    model = lumina(pipeline_folder, **options)
    assert model.best_batch(PROMPTS, lambda device: Pretended(0, seen))["batch_size"] == 1
    assert {sampling.evaluations() for sampling in seen.samplings} == {2}
    assert {sampling.guidance for sampling in seen.samplings} == {model.settings.guidance}
    assert seen.blocks == [None] * len(seen.batches)  # compiled ones would wait for the compiler


def test_images_are_the_same_after_a_search_as_without_one(pipeline_folder: Path, seen: Seen) -> None:
    searched, plain = lumina(pipeline_folder), lumina(pipeline_folder)
    seen.most = 2
    searched.best_batch(PROMPTS)
    seen.most = 10**9
    images, expected = (model.generate(PROMPTS, [1, 2, 3]) for model in (searched, plain))
    assert seen.batches[-1] == PROMPTS  # not in halves, though a trial of more than two ran out of memory
    assert all(np.array_equal(one, other) for one, other in zip(images, expected, strict=True))


def test_the_memory_of_this_process_is_read_as_it_is_taken() -> None:
    memory = memory_of("cpu")
    if memory.free is None:
        pytest.skip("this system does not tell a process its peak")
    taken = np.ones(2**27, np.uint8)
    assert 0.9 * taken.nbytes < (memory.peak() or 0) < 1.5 * taken.nbytes
    del taken
    memory.reset()
    assert (memory.peak() or 0) < 2**26


def write_system(root: Path, held: int, peak: int, available: int, limit: str | None, used: int = 0) -> None:
    """Write what Linux tells; kB, of the container bytes."""
    files = {
        "proc/self/status": f"Name:\tpython\nVmHWM:\t{peak:8} kB\nVmRSS:\t{held:8} kB\n",
        "proc/meminfo": f"MemTotal: 99999999 kB\nMemAvailable:  {available} kB\n",
    }
    if limit is not None:
        files |= {"sys/fs/cgroup/memory.max": f"{limit}\n", "sys/fs/cgroup/memory.current": f"{used}\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("limit", "free"),
    [
        (None, 5000 * 1024),
        ("max", 5000 * 1024),
        (str(4_000_000), 3_000_000),
        (str(10**9), 5000 * 1024),
        ("9", 0),
    ],
)
def test_what_the_machine_or_its_container_has_left_is_free(
    tmp_path: Path, limit: str | None, free: int
) -> None:
    write_system(tmp_path, held=1000, peak=1000, available=5000, limit=limit, used=1_000_000)
    memory = ProcessMemory(tmp_path)
    assert memory.free == free
    write_system(tmp_path, held=1200, peak=1700, available=4000, limit=None)
    assert memory.peak() == 700 * 1024
    assert memory.free == free
    assert (tmp_path / "proc/self/clear_refs").read_text() == "5"


@pytest.mark.parametrize("own", ["/system.slice/eval.service", "/", "/../outside", "/gone"])
def test_a_limit_of_any_group_above_the_process_counts(tmp_path: Path, own: str) -> None:
    write_system(tmp_path, held=1000, peak=1000, available=5000, limit=None)
    (tmp_path / "proc/self/cgroup").write_text(f"4:memory:/old\n0::{own}\n")
    for folder, limit in (("system.slice/eval.service", "max"), ("system.slice", "700"), ("", "4000000")):
        group = tmp_path / "sys/fs/cgroup" / folder
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text("100\n")
    assert ProcessMemory(tmp_path).free == (600 if own.startswith("/system") else 3_999_900)


def test_a_peak_that_cannot_be_counted_anew_is_unknown(tmp_path: Path) -> None:
    write_system(tmp_path, held=1000, peak=900_000, available=5_000_000, limit=None)
    memory = ProcessMemory(tmp_path)
    assert (memory.free, memory.peak()) == (None, None)
    nowhere = ProcessMemory(tmp_path / "no-linux")
    assert (nowhere.free, nowhere.peak()) == (None, None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_memory_of_a_gpu_is_read_as_it_is_taken() -> None:
    memory = memory_of("cuda")
    memory.reset()
    taken = torch.ones(2**27, dtype=torch.uint8, device="cuda")
    assert memory.free is not None and memory.free > taken.nbytes  # noqa: PT018
    assert 0.9 * taken.nbytes < (memory.peak() or 0) < 1.5 * taken.nbytes


def test_a_device_that_tells_nothing_has_unknown_memory() -> None:
    memory = memory_of("meta")
    memory.reset()
    assert (memory.free, memory.peak()) == (None, None)
