"""The loop on a GPU, without one: tensors that know shape, dtype and device, and have no values.

On such tensors whatever asks the device for a value raises, as a real GPU would make the host wait, and so
does whatever brings two devices together.
"""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from tiny_lumina import contexts
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from lumina_model.autoencoder import Autoencoder
from lumina_model.branches import Row, RowLayout, branches, row
from lumina_model.float8 import Float8Linear, to_float8
from lumina_model.guidance import guided_velocity
from lumina_model.next_dit import NextDiT
from lumina_model.solvers import SOLVERS, Velocity
from lumina_model.step_cache import StepCache

SIZES = [None, [(4, 8), (12, 4)]]


class Absent:
    """A GPU that is not there."""

    def __init__(self) -> None:
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)

    def tensor(self, like: Tensor) -> Tensor:
        with self.mode:
            return torch.empty(like.shape, dtype=like.dtype, device="cuda")

    def module(self, module: nn.Module) -> None:
        for part in module.modules():
            for name, value in list(part.named_parameters(recurse=False)):
                setattr(part, name, nn.Parameter(self.tensor(value), requires_grad=False))
            for name, value in list(part.named_buffers(recurse=False)):
                setattr(part, name, self.tensor(value))

    def layout(self, layout: RowLayout) -> RowLayout:
        return RowLayout(self.tensor(layout.rotation), layout.lengths)

    def row(self, row: Row) -> Row:
        return dataclasses.replace(
            row, texts=self.tensor(row.texts), images=self.layout(row.images), joint=self.layout(row.joint),
            order=self.tensor(row.order), places=self.tensor(row.places),
        )  # fmt: skip

    def velocity(self, velocity: Velocity) -> Velocity:
        """A velocity that reads times on the host, where they lie, and makes tensors on the device."""

        def call(x: Tensor, t: Tensor) -> Tensor:
            time: Any = HostTime(float(t))
            with self.mode, NoCopies():
                return velocity(x, time)

        return call


class HostTime:
    """A time on the host: a number, that nobody sends to the device as a tensor."""

    device = torch.device("cpu")

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


class NoCopies(TorchDispatchMode):
    """Raises where something is copied from the host to the device, for which the host waits."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        tensors = [arg for arg in args if isinstance(arg, Tensor)]
        if func._schema.name in ("aten::_to_copy", "aten::copy_"):
            there = found if func._schema.name == "aten::_to_copy" else tensors[0]
            assert there.device == tensors[-1].device, f"a copy from {tensors[-1].device} to {there.device}"
        return found


@pytest.fixture
def absent() -> Absent:
    return Absent()


def rows(
    model: NextDiT,
    absent: Absent,
    sizes: list[tuple[int, int]] | None,
    float8: bool = False,
    **changes: object,
) -> tuple[Row, Row]:
    """The conditional branch and both, of a model in bfloat16 on the GPU that is not there."""
    model = copy.deepcopy(model).bfloat16()
    with torch.no_grad():
        cond, uncond = contexts(model, 5)
        found = [row(model, texts, (2, 16, 12, 8), sizes) for texts in ([cond], [cond, uncond])]
    if float8:
        to_float8(model)
        for part in model.modules():
            if isinstance(part, Float8Linear):
                part.native = True
    absent.module(model)
    conditional, both = (dataclasses.replace(absent.row(one), **changes) for one in found)  # type: ignore[arg-type]
    return conditional, both


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "guiding",
    [{}, {"renorm": 1.0, "truncation": 0.5}, {"rows": True}, {"every": 2}],
    ids=lambda guiding: "+".join(guiding) or "plain",
)
def test_the_host_never_waits_for_the_device(
    model: NextDiT, absent: Absent, solver: str, guiding: dict[str, object]
) -> None:
    conditional, both = rows(model, absent, None)

    def split(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        cond, uncond = both(x, t).chunk(2)
        return cond, uncond

    options: dict[str, Any] = {"renorm": None, "truncation": None, **guiding}
    velocity = absent.velocity(guided_velocity(conditional, split, 4.0, **options))
    x = absent.tensor(torch.empty(2, 16, 12, 8))
    found = SOLVERS[solver](velocity, x, torch.linspace(0, 1, 5))
    assert (found.shape, found.dtype, found.device.type) == ((2, 16, 12, 8), torch.float32, "cuda")


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("float8", [False, True])
def test_neither_sizes_nor_float8_make_it_wait(
    model: NextDiT, absent: Absent, sizes: list[tuple[int, int]] | None, float8: bool
) -> None:
    _, both = rows(model, absent, sizes, float8)
    found = absent.velocity(both)(absent.tensor(torch.empty(2, 16, 12, 8)), torch.tensor(0.5))
    assert (found.shape, found.dtype) == ((4, 16, 12, 8), torch.bfloat16)


def test_the_step_cache_waits_which_shows_that_waiting_is_seen(model: NextDiT, absent: Absent) -> None:
    cache = StepCache(0.3, 5)
    _, both = rows(model, absent, None, blocks=cache)
    x = absent.tensor(torch.empty(2, 16, 12, 8))
    absent.velocity(both)(x, torch.tensor(0.1))  # the first evaluation compares with nothing
    with pytest.raises(Exception, match=r"_local_scalar_dense"):
        absent.velocity(both)(x, torch.tensor(0.2))


def test_a_copy_to_the_device_would_be_seen(absent: Absent) -> None:
    moved = absent.velocity(lambda x, t: x + torch.full((), float(t)).to(x.device))
    with pytest.raises(AssertionError, match="a copy from cpu to cuda"):
        moved(absent.tensor(torch.empty(2)), torch.tensor(0.5))


def test_images_are_decoded_on_the_device_and_read_once(autoencoder: Autoencoder, absent: Absent) -> None:
    own = Autoencoder(copy.deepcopy(autoencoder.vae).to(memory_format=torch.channels_last))
    absent.module(own.vae)
    with absent.mode:
        images = own.decode(torch.empty(3, 16, 8, 12, device="cuda"))
    assert (images.shape, images.dtype, images.device.type) == ((3, 64, 96, 3), torch.uint8, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("solver", SOLVERS)
def test_on_a_gpu_the_host_never_waits(model: NextDiT, solver: str) -> None:
    model = model.to("cuda", torch.bfloat16)
    cond, uncond = contexts(model, 5)
    x = torch.randn(2, 16, 12, 8, device="cuda")
    with torch.inference_mode():
        velocity = guided_velocity(*branches(model, cond, uncond, x.shape), 4.0, 1.0, 0.5)
        SOLVERS[solver](velocity, x, torch.linspace(0, 1, 5))
        torch.cuda.set_sync_debug_mode("error")
        try:
            SOLVERS[solver](velocity, x, torch.linspace(0, 1, 5))
        finally:
            torch.cuda.set_sync_debug_mode("default")
