"""Steps from recorded evaluations: what a recording keeps is the batch, and nothing of the step.

On a CPU the recorder is torch's tracer: it, too, keeps each value that the host looked at.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_lumina import contexts
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from lumina_model.adapter import LuminaModel, checkpoint_parts
from lumina_model.branches import row
from lumina_model.cuda_graph import Graphs
from lumina_model.errors import UserError
from lumina_model.idle_options import check_options
from lumina_model.next_dit import NextDiT
from lumina_model.pipeline import Pipeline
from lumina_model.sampling import Sampling
from lumina_model.solvers import Velocity

PROMPTS = ["a photo of a red cube", "two blue spheres and a green cone"]
SAMPLING = Sampling(solver="euler", steps=4, height=64, width=64, max_text_tokens=256, guidance=4.0)


class Traced:
    """Records by tracing, and like a CUDA graph gives each result in the place of the last."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, velocity: Velocity, x: Tensor, t: Tensor) -> Velocity:
        self.recorded += 1
        program = make_fx(velocity)(x, t)
        place = torch.empty_like(program(x, t))

        def replay(x: Tensor, t: Tensor) -> Tensor:
            self.replayed += 1
            return place.copy_(program(x, t))

        return replay


@pytest.fixture
def pipeline(pipeline_folder: Path) -> Pipeline:
    return Pipeline.load(pipeline_folder)


@pytest.mark.parametrize("sizes", [None, [(4, 8), (12, 4)]])
def test_an_evaluation_keeps_nothing_of_its_time_or_state_on_the_host(
    model: NextDiT, sizes: list[tuple[int, int]] | None
) -> None:
    with torch.inference_mode():
        prepared = row(model, contexts(model, 5), (2, 16, 12, 8), sizes)
        first, later = torch.randn(2, 2, 16, 12, 8)
        program = make_fx(prepared)(first, torch.tensor(0.1))
        torch.testing.assert_close(program(later, torch.tensor(0.8)), prepared(later, torch.tensor(0.8)))


@pytest.mark.parametrize(
    "changes",
    [{}, {"solver": "heun"}, {"truncation": 0.1}, {"guidance_every": 2}, {"guidance": 1.0, "solver": "rk4"}],
    ids=str,
)
def test_recorded_steps_give_the_same_images(pipeline: Pipeline, changes: dict[str, object]) -> None:
    sampling, traced = replace(SAMPLING, **changes), Traced()  # type: ignore[arg-type]
    expected = pipeline.generate(PROMPTS, [1, 2], sampling)
    found = replace(pipeline, graphs=Graphs(traced)).generate(PROMPTS, [1, 2], sampling)
    assert np.abs(found.astype(int) - expected).max() <= 1
    branches = 2 if {"truncation", "guidance_every"} & set(changes) else 1
    assert traced.recorded == branches
    tried = 2  # replays of the very first recording, to see that it is one
    assert traced.replayed == sampling.evaluations() - branches + tried


def test_a_branch_that_is_called_once_is_not_recorded(pipeline: Pipeline) -> None:
    traced = Traced()
    replace(pipeline, graphs=Graphs(traced)).generate(PROMPTS, [1, 2], replace(SAMPLING, steps=1))
    assert traced.recorded == 0


def test_each_batch_is_recorded_anew(pipeline: Pipeline) -> None:
    traced = Traced()
    recording = replace(pipeline, graphs=Graphs(traced))
    for prompt, seed in zip(PROMPTS, [1, 2], strict=True):
        alone = pipeline.generate([prompt], [seed], SAMPLING)
        assert np.abs(recording.generate([prompt], [seed], SAMPLING).astype(int) - alone).max() <= 1
    assert traced.recorded == 2


def test_where_recording_fails_steps_go_on_and_it_is_said_once(pipeline: Pipeline) -> None:
    def fail(*_: object) -> Velocity:
        raise RuntimeError("operation not permitted when stream is capturing\n\nadvice")

    graphs = Graphs(fail)
    recording = replace(pipeline, graphs=graphs)
    with pytest.warns(UserWarning, match="not permitted when stream is capturing") as told:
        found = [recording.generate(PROMPTS, [1, 2], SAMPLING) for _ in range(2)]
    assert len(told) == 1
    assert "advice" not in str(graphs.reason)
    expected = pipeline.generate(PROMPTS, [1, 2], SAMPLING)
    assert all(np.array_equal(one, expected) for one in found)


def test_a_recording_of_nothing_is_not_replayed(pipeline: Pipeline) -> None:
    def empty(velocity: Velocity, x: Tensor, t: Tensor) -> Velocity:
        """What a graph of another device's stream does: it was computed once, and a replay does nothing."""
        out = velocity(x, t)
        return lambda x, t: out

    expected = pipeline.generate(PROMPTS, [1, 2], SAMPLING)
    with pytest.warns(UserWarning, match="a replay was 1.0e\\+00 apart from what was recorded"):
        found = replace(pipeline, graphs=Graphs(empty)).generate(PROMPTS, [1, 2], SAMPLING)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("ended", [False, True])
def test_too_little_memory_to_record_is_not_passed_over(pipeline: Pipeline, ended: bool) -> None:
    def fail(*_: object) -> Velocity:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            if ended:
                raise RuntimeError("operation failed due to a previous error during capture")

    with pytest.raises(torch.OutOfMemoryError):  # the batch is halved for it
        replace(pipeline, graphs=Graphs(fail)).generate(PROMPTS, [1, 2], SAMPLING)


def test_a_step_cache_and_graphs_exclude_each_other(pipeline: Pipeline) -> None:
    cached = replace(SAMPLING, cache=0.3)
    with pytest.raises(UserError, match="found both"):
        replace(pipeline, graphs=Graphs(Traced())).generate(PROMPTS, [1, 2], cached)
    with pytest.raises(UserError, match="cuda_graph and cache"):
        check_options(["cache"], cached, "cuda", compiled=False, graphs=True)
    with pytest.raises(UserError, match="expected an NVIDIA GPU for cuda_graph, found cpu"):
        check_options([], SAMPLING, "cpu", compiled=False, graphs=True)


def test_layers_that_visit_the_device_are_not_recorded(
    pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LuminaModel(
        "m", "m", checkpoint_parts(str(pipeline_folder)), {"device": "cpu", "cuda_graph": "true"}
    )
    with pytest.raises(UserError, match="low memory and cuda_graph"):
        model.load(low_memory=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("blocks", ["plain", "compiled"])
@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_gpu_replays_what_it_recorded(pipeline_folder: Path, blocks: str, device: str) -> None:
    from lumina_model.compiled import CompiledBlocks

    if torch.device(device).index >= torch.cuda.device_count():
        pytest.skip(f"needs {device}")
    pipeline = Pipeline.load(pipeline_folder, device=device)
    if blocks == "compiled":
        pipeline = replace(pipeline, blocks=CompiledBlocks())
    graphs = Graphs()
    for seeds in ([1, 2], [3, 4]):
        expected = pipeline.generate(PROMPTS, seeds, SAMPLING)
        found = replace(pipeline, graphs=graphs).generate(PROMPTS, seeds, SAMPLING)
        assert graphs.reason is None
        assert np.abs(found.astype(int) - expected).max() <= 1
