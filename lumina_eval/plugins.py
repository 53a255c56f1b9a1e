"""What a plug-in looks like, and how one is found by name.

Four kinds of plug-in, by entry-point group: models, benchmarks, judges and reporters; a fifth, commands, adds
sub-commands to the CLI; tables and figures are what ``report --table`` and ``--figure`` write by name. They
are protocols in the sense of typing: a plug-in need not import or subclass anything. Groups are listed
without importing; only the plug-in that is asked for is loaded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast, runtime_checkable

from PIL import Image

from lumina_eval.errors import UserError, is_user_error, unknown
from lumina_eval.protocol import ResolvedProtocol
from lumina_eval.records import Aggregate, Item, Verdict

Group = Literal["models", "benchmarks", "judges", "reporters", "commands", "tables", "figures"]
JudgeKind = Literal["detect", "question", "scorer", "rubric", "set", "pair"]


@runtime_checkable
class Model(Protocol):
    """A checkpoint that turns text into images.

    A model may offer more, found by ``getattr``:

    - ``bind(images: Sequence[Planned])``, called with the whole plan before it generates;
    - ``generate_each(prompts, seeds) -> Iterator[tuple[int, image]]``: the images one by one with their
      places, in any order. Its images do not depend on those made beside them, so only what is missing is
      asked for, all of it in one call, and each image is stored as it comes;
    - ``begin(prompts, seeds) -> Callable[[], images]``, called instead of ``generate``, which stays for
      single calls: begin to make a batch. The call that is returned gives the images; it is made in another
      thread while the next batch is begun;
    - ``best_batch(prompts) -> Mapping[str, JSON]``, for ``--batch-size auto``: how many images to make at
      once, found by trial, of one prompt for each image of the run. ``batch_size``, from 1, and if it can
      tell ``images_per_second``, size to speed, ``memory_bytes``, and ``why`` it tried no larger one. No
      image made later may depend on it;
    - ``environment() -> Mapping[str, JSON]``: what is written beside an image yet is no part of its key, such
      as the attention backend;
    - ``takes_options: bool``: False if no ``--option`` changes anything, so that one is refused;
    - ``cost_per_image: float``: in USD, for ``--dry-run``;
    - ``title: str``: its name in tables, where name and stage do not say it best.

    ``components`` and ``sampling`` are called often and should be quick.
    """

    @property
    def name(self) -> str:
        """The model line, e.g. ``embedded``; part of the run id."""

    @property
    def checkpoint(self) -> str:
        """Where the weights lie, or which published revision they are; for people."""

    @property
    def stage(self) -> str | None:
        """Training stage as in ``checkpoint.json``; None if unknown."""

    @property
    def step(self) -> int | None:
        """Training step, the x axis of curves; None if unknown."""

    @property
    def device(self) -> str:
        """Device kind, ``cpu``, ``cuda`` or ``endpoint``; part of the image key."""

    @property
    def sampler_version(self) -> int:
        """Raised whenever the same inputs give other pixels."""

    def components(self) -> Mapping[str, str]:
        """Return a sha256 for each component that changes a pixel."""

    def sampling(self) -> Mapping[str, Any]:
        """Return the sampling as canonical JSON values, every default resolved."""

    def final_text(self, prompt: str) -> str:
        """Return the text that is encoded: after rewriting and with the system prompt."""

    def generate(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> Sequence[Image.Image | Exception | None]:
        """Return one RGB image per prompt; its noise depends on its own seed alone.

        None stands for an image that the model does not have, an exception says why it does not: that image
        alone is counted as failed, and the run's failures give the reason.
        """


@runtime_checkable
class Judge(Protocol):
    """Looks at images with their prompts and says what it sees; it applies no rule of a benchmark."""

    @property
    def kind(self) -> JudgeKind:
        """Which of the six kinds of judge this is."""

    @property
    def name(self) -> str:
        """Short name, part of each verdict."""

    @property
    def digest(self) -> str:
        """Sha256 of all that changes a verdict, apart from the settings."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings as JSON values, every default resolved."""

    def judge(
        self, images: Sequence[Image.Image], items: Sequence[Item]
    ) -> Sequence[Mapping[str, Any] | Exception]:
        """Return one JSON object per image, independent of the other images.

        An exception in its place says why there is no verdict for that image: it alone is counted as failed.
        An exception that is raised fails all of ``images``.
        """


@runtime_checkable
class Benchmark(Protocol):
    """What is asked, and how the answers are added up.

    A benchmark may offer more, found by ``getattr``:

    - ``prompt_lines(protocol) -> Iterable[str]``: the prompt file in its official form;
    - ``read_images(folder, protocol) -> Sequence[tuple[Item, int, Path]]``: the official image layout. Where
      a file holds several images, a fourth element is the box of this one, ``(left, top, right, bottom)`` in
      pixels; a path at which there is no file stands for an image that is absent;
    - ``read_verdicts(file, protocol) -> tuple[Sequence[Item], Sequence[Verdict]]``: saved verdicts;
    - ``write_images(folder, protocol, images: Iterable[tuple[Item, int, Path]])``: the same layout, written;
    - ``draw(image, item, verdict, protocol) -> PIL image`` with what the judge saw drawn in;
    - ``with_questions(file) -> Benchmark``: the same benchmark asking the questions of a file that the user
      has (``--questions``), where they are not shipped;
    - ``with_parses(file) -> Benchmark``: the same benchmark with a file of parsed prompts (``--parses``), for
      a judge that needs what only a program in an environment of its own can tell;
    - ``with_reference(address: str) -> Benchmark``: the same benchmark holding images against what the user
      names (``--reference``): a folder of images, or a file of features or statistics;
    - ``given: Mapping[str, str]``: digests of what the user named and that changes a result, such as the
      reference; a part of the run's id;
    - ``with_features(folder) -> Benchmark``: the same benchmark keeping what its judge makes of each image in
      a folder, so that no image is looked at twice. Verdicts stay whole without it;
    - ``read_features(address, protocol) -> tuple[list[Item], list[Verdict]]``: features of images that were
      made elsewhere (``--features``), as verdicts;
    - ``write_statistics(file, protocol, verdicts)``: what is left of the features of a run, for later runs to
      be held against (``--write-statistics``);
    - ``default_protocol: str``: the protocol where none is named, if there is none called ``official``;
    - ``whole_prompts: bool``: True if a prompt is judged by all of its images together, so that in a verdict
      file too each prompt is expected to have as many as the fullest one;
    - ``verification(evidence) -> Iterable[Check]``: its own code against what others published, a row for
      each figure (:mod:`lumina_eval.verification`);
    - ``assets() -> Path``: an ``assets.toml``: what must come from elsewhere, pinned
      (:mod:`lumina_eval.assets.catalogue`);
    - ``protocol_keys: Collection[str]``: dotted names that a protocol may hold beside the core's own.
    """

    @property
    def name(self) -> str:
        """Name of the entry point."""

    def protocols(self) -> Mapping[str, Path]:
        """Return the pinned variants: name to TOML file."""

    def items(self, protocol: ResolvedProtocol) -> Sequence[Item]:
        """Return every prompt of the protocol in its official order."""

    def judge(self, protocol: ResolvedProtocol) -> Judge:
        """Return the judge that the protocol names."""

    def aggregate(
        self, protocol: ResolvedProtocol, items: Sequence[Item], verdicts: Sequence[Verdict]
    ) -> Aggregate:
        """Apply the rules. ``items`` are those asked, ``verdicts`` those there, both in plan order. Pure."""


ModelOpener = Callable[[str, Mapping[str, str]], Sequence[Model]]
"""Entry point of group ``lumina_eval.models``: (what follows the colon, options) to checkpoints in order."""

JudgeOpener = Callable[[Mapping[str, Any]], Judge]
"""Entry point of group ``lumina_eval.judges``: a protocol's table ``[judge]`` without the name to a judge."""

Reporter = Callable[[Sequence[Path], Path, Path], Sequence[Path]]
"""Entry point of group ``lumina_eval.reporters``: (run folders, out folder, image store) to files written.

A reporter that shows images may take a keyword ``gallery: int | None``: how many a checkpoint, 0 for all,
None for its own choice.
"""

NamedWriter = Callable[[Sequence[Path], Path], Sequence[Path]]
"""Entry point of group ``lumina_eval.tables`` or ``.figures``: (what the user named, out folder) to files.

What is named are run folders, none is fine, and any other file or folder that the plug-in may understand. It
writes what it has without runs, such as published numbers; the Markdown among its files is shown.
"""


@dataclasses.dataclass(frozen=True)
class Plugin:
    """A plug-in by name, not yet imported."""

    group: Group
    name: str
    target: str
    distribution: str
    load: Callable[[], Any]


_NOTHING: Final[Mapping[tuple[Group, str], Any]] = {}
_injected: ContextVar[Mapping[tuple[Group, str], Any]] = ContextVar("injected", default=_NOTHING)


@contextlib.contextmanager
def injected(group: Group, **plugins: Any) -> Iterator[None]:
    """Offer ``plugins`` by name within the ``with`` block, before those installed; meant for tests."""
    token = _injected.set({**_injected.get(), **{(group, name): value for name, value in plugins.items()}})
    try:
        yield
    finally:
        _injected.reset(token)


def available(group: Group) -> dict[str, Plugin]:
    """Return the plug-ins of ``group`` by name, sorted, without importing them."""
    found: dict[str, Plugin] = {}
    for entry in importlib.metadata.entry_points(group=f"lumina_eval.{group}"):
        owner = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
        found[entry.name] = Plugin(group, entry.name, entry.value, owner, entry.load)
    for (its_group, name), value in _injected.get().items():
        if its_group == group:
            found[name] = Plugin(group, name, "injected", "injected", functools.partial(_same, value))
    return dict(sorted(found.items()))


def load(group: Group, name: str) -> Any:
    """Import the plug-in called ``name``.

    Raises :class:`UserError` if there is none (with the near names), or if it cannot be imported.
    """
    plugins = available(group)
    if name not in plugins:
        raise unknown(group.removesuffix("s"), name, plugins)
    plugin = plugins[name]
    try:
        return plugin.load()
    except Exception as error:
        if is_user_error(error):
            raise
        raise UserError(
            f"{group.removesuffix('s')} plug-in {name!r} ({plugin.target} of {plugin.distribution}) "
            f"does not load: {type(error).__name__}: {error}{_shadowed(plugin)}"
        ) from error


def benchmark(
    name: str,
    questions: Path | None = None,
    parses: Path | None = None,
    reference: str | None = None,
    features: Path | None = None,
) -> Benchmark:
    """Return the benchmark called ``name``; an entry point may be an instance, a class or a factory.

    ``features`` is where a benchmark that keeps features keeps them; others pay it no heed.

    Raises UserError if a file of ``questions`` is given to a benchmark that brings its own, or one of
    ``parses`` or a ``reference`` to a benchmark that reads none.
    """
    found = load("benchmarks", name)
    made: Benchmark = found() if isinstance(found, type) or not hasattr(found, "items") else found
    whole(made, Benchmark, f"benchmark {name}")
    given: list[tuple[str, str, Any]] = [
        ("questions", "which brings its own", questions),
        ("parses", "which reads none", parses),
        ("reference", "which has none", reference),
    ]
    for option, why, file in given:
        if file is None:
            continue
        take: Callable[[Any], Benchmark] | None = getattr(made, f"with_{option}", None)
        if take is None:
            raise UserError(
                f"expected no --{option} for benchmark {name}, {why}, found {file}; fix: leave the option out"
            )
        made = take(file)
    if features is not None and hasattr(made, "with_features"):
        made = made.with_features(features)
    return made


def whole(made: Any, kind: type, what: str) -> Any:
    """Return ``made`` if it has every member of ``kind``: Model, Judge or Benchmark.

    Raises UserError with the members that it lacks; ``what`` names it for people. No property is computed.
    """
    wanted = [name for name in dir(kind) if not name.startswith("_")]
    static = {name: inspect.getattr_static(made, name, _NOTHING) for name in wanted}
    if lacks := [name for name, found in static.items() if found is _NOTHING and not hasattr(made, name)]:
        raise UserError(
            f"expected every member of {kind.__name__} from {what}, found none called {', '.join(lacks)}; "
            "fix: add what lumina_eval/plugins.py describes"
        )
    return made


def _same(value: Any) -> Any:
    return value


def _shadowed(plugin: Plugin) -> str:
    """Say so when another package of the same name stands before ours on the import path."""
    package = plugin.target.split(":")[0].split(".")[0]
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None or spec.origin is None:
        return f"; no package {package!r} can be imported"
    return f"; package {package!r} is {spec.origin}"


def protocol_judge(benchmark: str, protocol: ResolvedProtocol, way_out: str) -> Judge:
    """Return the judge that a protocol names (``judge.name``).

    Raises UserError if it is not installed, with the ``way_out`` that is open without it.
    """
    name = str(protocol.value("judge.name"))
    if name not in available("judges"):
        raise UserError(
            f"protocol {protocol.name} of {benchmark} is judged by {name!r}, which is not installed "
            f"(installed: {', '.join(available('judges')) or 'none'}); fix: {way_out}"
        )
    opener: JudgeOpener = load("judges", name)
    made = opener({key: value for key, value in protocol.value("judge").items() if key != "name"})
    return cast(Judge, whole(made, Judge, f"judge {name}"))
