"""Itself as a model of the harness. The harness's protocol is met by structure; nothing of it is imported."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lumina_model import embedded
from lumina_model.autoencoder import LARGEST_WHOLE, TILE
from lumina_model.batch_probe import best_batch
from lumina_model.checkpoint import component_digests
from lumina_model.checkpoint_record import FILE, read_checkpoint_record
from lumina_model.checkpoint_sampling import default_sampling
from lumina_model.compiled import CompiledBlocks
from lumina_model.cuda_graph import Graphs
from lumina_model.device_memory import Memory, memory_of
from lumina_model.errors import UserError
from lumina_model.float8 import stored_dtype
from lumina_model.formats.chosen import OPTIONS, Chosen
from lumina_model.formats.hub import is_hub_id, local_pipeline
from lumina_model.idle_options import check_options
from lumina_model.linear import prefers_onednn
from lumina_model.pictures import Picture
from lumina_model.pipeline import Pipeline
from lumina_model.sampling import DTYPES, SAMPLER_VERSION, Sampling
from lumina_model.side_stream import SideStream


class LuminaModel:
    """One checkpoint as the harness drives it; it is loaded when the first image is asked for."""

    sampler_version = SAMPLER_VERSION

    def __init__(
        self, name: str, checkpoint: str, parts: Mapping[str, Path], options: Mapping[str, str]
    ) -> None:
        """Look at a checkpoint without loading it.

        Args:
            name: model line, e.g. ``embedded``.
            checkpoint: for people: stage name or folder.
            parts: folder of each component; ``checkpoint.json`` is looked for beside the transformer.
            options: ``device`` (auto, cpu, cuda…), ``compile`` (see :mod:`lumina_model.compiled`),
                ``cuda_graph`` (see :mod:`lumina_model.cuda_graph`), ``transformer`` and ``lora`` (see
                :class:`Chosen`), and fields of :class:`Sampling`.

        Raises:
            UserError: an unknown option, no such device, or a broken ``checkpoint.json``.
        """
        self.name, self.checkpoint = name, checkpoint
        self._parts = parts
        self._chosen = Chosen.of(Path(parts["transformer"]), options)
        folder = self._chosen.folder.parent
        record = read_checkpoint_record(folder) if (folder / FILE).is_file() else {}
        self.stage: str | None = record.get("stage")
        self.step: int | None = record.get("step")
        usual = f"{name}:{self.stage}" if self.stage else name
        self.title = f"{usual}{self._chosen.title}"
        self._device = _device(options.get("device", "auto"))
        self.device = torch.device(self._device).type
        self._compile = _switch("compile", options.get("compile", "false"))
        self._graphs = Graphs() if _switch("cuda_graph", options.get("cuda_graph", "false")) else None
        own = ("device", "compile", "cuda_graph", *OPTIONS)
        self._options = {key: value for key, value in options.items() if key not in own}
        self._dtype = DTYPES.get(self._options.get("dtype", "float32"))
        self._most: int | None = None  # images that fit in memory together, once that was found out
        Sampling().updated(self._options, own)  # a wrong option is told now, not after the weights are read

    @functools.cached_property
    def pipeline(self) -> Pipeline:
        """The weights, read when they are first asked for."""
        return self.load()

    def load(self, low_memory: bool = False) -> Pipeline:
        """Read the weights, on the device and in the dtype of the options; see :meth:`Pipeline.load`."""
        if low_memory and self._graphs:
            raise UserError(
                "expected one of low memory and cuda_graph, found both: layers visit the device one by one, "
                "and a graph keeps where they lay; fix: drop one"
            )
        dtype = self._dtype or torch.float32
        pipeline = Pipeline.load(
            self._parts, self._device, dtype, low_memory, self._chosen.reader(stored_dtype(dtype))
        )
        return replace(pipeline, blocks=CompiledBlocks() if self._compile else None, graphs=self._graphs)

    @functools.cached_property
    def settings(self) -> Sampling:
        """The sampling of the checkpoint, changed by the options."""
        found = default_sampling(self._parts, self._dtype or torch.float32).updated(self._options)
        check_options(self._options, found, self._device, self._compile, self._graphs is not None)
        return found

    @functools.cached_property
    def _components(self) -> dict[str, str]:
        return component_digests(self._parts) | self._chosen.digests()

    def components(self) -> Mapping[str, str]:
        """Return a sha256 per component."""
        return self._components

    def sampling(self) -> Mapping[str, Any]:
        """Return the sampling with every default resolved, and the tiles of images that are decoded so."""
        found = self.settings.canonical()
        return found | {"tile": TILE} if max(self.settings.size) > LARGEST_WHOLE else found

    def final_text(self, prompt: str) -> str:
        """Return the text that is encoded."""
        return self.settings.final_text(prompt)

    def environment(self) -> Mapping[str, Any]:
        """Return what can move last bits and is no part of the image key."""
        return {
            "attention": "scaled_dot_product_attention",
            "threads": torch.get_num_threads(),
            "onednn": prefers_onednn(),
            "compiled": self._compile,
            "cuda_graph": self._graphs is not None and self._graphs.reason is None,
        }

    def best_batch(
        self, prompts: Sequence[str], memory: Callable[[str], Memory] = memory_of
    ) -> Mapping[str, Any]:
        """Find how many images to draw at once; see :class:`Search` for what is returned.

        Nothing of it stays: images drawn later are the same as without it. Neither compiled blocks are tried,
        for each size would wait for the compiler, nor graphs; nor is a batch decoded beside the next one, as
        on a GPU, for which there is the search's margin of memory.
        """
        return best_batch(
            replace(self.pipeline, blocks=None, graphs=None), self.settings, prompts, memory
        ).record()

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """Return one image per prompt; see :meth:`Pipeline.begin`."""
        return self.begin(prompts, seeds)()

    def begin(self, prompts: Sequence[str], seeds: Sequence[int]) -> Callable[[], list[Image.Image]]:
        """Draw one image per prompt; on a GPU the returned call decodes them while it draws the next.

        A batch that does not fit in the device's memory is drawn in halves, and so are those after it.
        """
        most = self._most or len(prompts)
        begun = self._within_memory(prompts, seeds, most)
        if begun is not None:
            return lambda: [Image.fromarray(image) for images in begun for image in images()]
        self._most = (most + 1) // 2
        warnings.warn(
            f"{most} images do not fit in the memory of {self._device}: from here {self._most} at a time",
            stacklevel=2,
        )
        return self.begin(prompts, seeds)

    def _within_memory(
        self, prompts: Sequence[str], seeds: Sequence[int], most: int
    ) -> list[Callable[[], Iterable[Picture]]] | None:
        """Begin so many at a time; None if they do not fit. One image that does not raises."""
        parts = [slice(i, i + most) for i in range(0, len(prompts), most)]
        for last in (False, True) if self.device == "cuda" else (True,):
            try:
                return [self._begun(prompts[part], seeds[part]) for part in parts]
            except torch.OutOfMemoryError:
                if last and most == 1:
                    raise
            if self.device == "cuda":  # the batch before may be in the way while it is decoded
                torch.cuda.synchronize(self._device)
                torch.cuda.empty_cache()
        return None

    def _begun(self, prompts: Sequence[str], seeds: Sequence[int]) -> Callable[[], Iterable[Picture]]:
        return self._side.beside(self.pipeline.begin(prompts, seeds, self.settings))

    @functools.cached_property
    def _side(self) -> SideStream:
        return SideStream(torch.device(self._device))


def open_embedded(spec: str, options: Mapping[str, str]) -> list[LuminaModel]:
    """Open ``embedded`` (all three stages) or ``embedded:STAGE``."""
    stages = (spec,) if spec else embedded.STAGES
    return [LuminaModel("embedded", f"embedded:{stage}", embedded.parts(stage), options) for stage in stages]


def open_lumina(spec: str, options: Mapping[str, str]) -> list[LuminaModel]:
    """Open ``lumina:DIR_OR_ID``: see :func:`checkpoint_parts`.

    All checkpoints of a training run are one model line, named like the run.
    """
    parts = checkpoint_parts(spec)
    own = Path(parts["transformer"]).resolve().parent
    name = own.parent.parent.name if own.parent.name == "stages" else own.name
    return [LuminaModel(spec if is_hub_id(spec) else name, spec, parts, options)]


def checkpoint_parts(source: str) -> dict[str, Path]:
    """Return the folder of each component of a checkpoint.

    Args:
        source: a pipeline folder, the folder of a stage that a training run wrote, or a model of the
            Hugging Face hub (`owner/name`). What a stage's folder lacks is taken from the run's output folder
            two levels up, where the trainer keeps the parts that all stages share.

    Raises:
        UserError: no such folder, or no transformer in it.
    """
    folder = local_pipeline(source)
    if not (folder / "transformer").is_dir():
        raise UserError(
            f"expected a checkpoint folder with transformer/, found none, at {folder}; "
            f"fix: give a pipeline folder, DIR/stages/NAME of a training run, or a model of the hub"
        )
    shared = folder.resolve().parent.parent
    return {
        name: next((root / name for root in (folder, shared) if (root / name).is_dir()), folder / name)
        for name in ("transformer", *embedded.SHARED)
    }


def _switch(name: str, word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise UserError(f"expected true or false, found {word!r}, in option {name}; fix: that value")
    return word.lower() == "true"


def _device(wanted: str) -> str:
    kind = wanted.partition(":")[0]
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if kind == "auto":
        return next(name for name, found in there.items() if found)
    if not there.get(kind, False):
        found = ", ".join(name for name, found in there.items() if found)
        raise UserError(f"expected device {wanted!r}, found only {found}; fix: take one of these, or auto")
    return wanted
