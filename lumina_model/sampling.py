"""What is drawn from given weights, prompts and seeds: every setting that changes a pixel, in one record."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from lumina_model.errors import UserError
from lumina_model.guidance import truncation_of_ratio
from lumina_model.prompt_templates import SYSTEM_PROMPTS, UNCONDITIONAL, compose
from lumina_model.solvers import EVALUATIONS_PER_STEP, SOLVERS
from lumina_model.step_cache import COEFFICIENTS
from lumina_model.time_grid import GRIDS, OFFICIAL_SHIFT, dynamic_shift, time_grid

SAMPLER_VERSION = 2
"""Raised whenever the same weights, prompt, seed and `Sampling` give other pixels than before, by more than
rounding."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float8": torch.float8_e4m3fn}
"""Not float16: Gemma-2 and this transformer leave its range, and the images come out black."""

OFFICIAL: dict[str, Any] = {
    "shift": OFFICIAL_SHIFT,
    "height": 1024,
    "width": 1024,
    "max_text_tokens": 256,
    "dtype": "float32",  # the script's default is bfloat16; this is the safe one
}
"""What stands in for the fields of a `Sampling` that neither it nor the checkpoint sets."""

_NONE = frozenset({"", "none", "null", "off"})
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_OPTIONAL = ("renorm", "truncation", "truncation_ratio", "cache", *OFFICIAL)
_NUMBERS = ("shift", "guidance", "guidance_start", "renorm", "truncation", "truncation_ratio", "cache")
_COUNTS = ("steps", "height", "width", "max_text_tokens", "guidance_every")
_SWITCHES = ("dynamic_shift", "system_prompt_in_negative")
_LATER = ("guidance_every",)
"""Fields that older records lack."""

ROWS = "rows"


@dataclass(frozen=True)
class Sampling:
    """How images are drawn. The defaults are those of the official scripts/sample.sh, CFG-Renorm included.

    A field that is None is the checkpoint's own (`completed`).

    Attributes:
        solver: name in `solvers.SOLVERS`.
        steps: solver steps, i.e. intervals (the official script's 18 points are 17).
        grid: name in `time_grid.GRIDS`; ``auto`` is ``dpm`` for that solver and ``official`` for the others.
        shift: of the time grid; 6 officially.
        dynamic_shift: take the shift from the number of image tokens instead (`time_grid.dynamic_shift`).
        guidance: classifier-free guidance scale; 1 computes no unconditional branch.
        renorm: CFG-Renorm ratio, officially 1; None or 0 for none; ``rows`` is diffusers'
            `cfg_normalization`, another operation (`guidance.renormalise_rows`).
        guidance_start: guide from this (shifted) t on.
        guidance_every: compute the unconditional branch at every so many guided evaluations and keep its
            distance from the conditional one in between (`guidance.GuidanceCache`); 1 computes it always.
        truncation: CFG-Trunc: guide while (shifted) t is below this, None for always.
        truncation_ratio: the same by share of steps, as diffusers' `cfg_trunc_ratio`; None for none.
        cache: threshold of the step cache (`step_cache.StepCache`), None for none.
        cache_coefficients: name in `step_cache.COEFFICIENTS`.
        height: of the image in pixels, a multiple of 16.
        width: of the image in pixels, a multiple of 16.
        system_prompt: name in `prompt_templates.SYSTEM_PROMPTS`.
        negative_prompt: what to steer away from. Empty is the unconditional input that was trained.
        system_prompt_in_negative: put the system prompt before a negative prompt that is not empty, as the
            official sample.py does; diffusers leaves it out.
        max_text_tokens: texts are cut to this, with BOS and system prompt.
        dtype: of all weights and activations; the solver's state is float32 always. ``float8`` is
            bfloat16 with the products of the joint blocks in float8 (`float8.py`).
        points: in place of `steps`, the official `--num_sampling_steps`: N points are N - 1 steps, except
            for dpm, where they are N.
    """

    solver: str = "midpoint"
    steps: int = 17
    grid: str = "auto"
    shift: float | None = None
    dynamic_shift: bool = False
    guidance: float = 4.0
    renorm: float | str | None = 1.0
    guidance_start: float = 0.0
    guidance_every: int = 1
    truncation: float | None = None
    truncation_ratio: float | None = None
    cache: float | None = None
    cache_coefficients: str = "v1"
    height: int | None = None
    width: int | None = None
    system_prompt: str = "real"
    negative_prompt: str = UNCONDITIONAL
    system_prompt_in_negative: bool = True
    max_text_tokens: int | None = None
    dtype: str | None = None
    points: InitVar[int | None] = None

    def __post_init__(self, points: int | None) -> None:
        if points is not None:
            least = 1 if self.solver == "dpm" else 2
            _expect(_is_int(points) and points >= least, "points", f"a whole number >= {least}", points)
            object.__setattr__(self, "steps", points if self.solver == "dpm" else points - 1)
        for name in _NUMBERS:  # 4 and 4.0 are one sampling
            value = getattr(self, name)
            if (value is None and name in _OPTIONAL) or (value == ROWS and name == "renorm"):
                continue
            _expect(_is_number(value), name, _kinds_of(name), value)
            object.__setattr__(self, name, float(value))
        if self.renorm == 0:  # the official way to say none
            object.__setattr__(self, "renorm", None)
        names = {"solver": SOLVERS, "grid": ("auto", *GRIDS), "system_prompt": SYSTEM_PROMPTS,
                 "cache_coefficients": COEFFICIENTS}  # fmt: skip
        for name, allowed in names.items():
            _expect(getattr(self, name) in allowed, name, f"one of {', '.join(allowed)}", getattr(self, name))
        _expect(self.dtype is None or self.dtype in DTYPES, "dtype",
                f"one of {', '.join(DTYPES)} (float16 gives black images)", self.dtype)  # fmt: skip
        for name, least in (("steps", 1), ("guidance_every", 1), ("max_text_tokens", 2)):
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            _expect(_is_int(value) and value >= least, name, f"a whole number >= {least}", value)
        for name in ("height", "width"):
            value = getattr(self, name)
            fits = value is None or (_is_int(value) and value >= 16 and value % 16 == 0)
            _expect(fits, name, "a multiple of 16 pixels", value)
        for name in _SWITCHES:
            _expect(isinstance(getattr(self, name), bool), name, "true or false", getattr(self, name))
        infinity = float("inf")
        _expect(0 <= self.guidance < infinity, "guidance", "a number >= 0", self.guidance)
        _expect(0 <= self.guidance_start <= 1, "guidance_start", "0 to 1", self.guidance_start)
        for name in ("shift", "renorm", "cache"):
            value = getattr(self, name)
            _expect(value in (None, ROWS) or 0 < value < infinity, name, "a number above 0", value)
        _expect(self.truncation is None or self.truncation > self.guidance_start, "truncation",
                "a time after guidance_start", self.truncation)  # fmt: skip
        ratio = self.truncation_ratio
        _expect(ratio is None or 0 <= ratio <= 1, "truncation_ratio", "0 to 1", ratio)
        if self.truncation is not None and ratio is not None:
            raise UserError(
                "expected one of truncation and truncation_ratio, found both, in the sampling; fix: drop one"
            )
        _expect(self.solver == "dpm" or self.grid != "dpm", "grid", "a grid from 0 to 1", self.grid)

    def canonical(self) -> dict[str, Any]:
        """All fields as JSON values, defaults resolved: where these are equal, the same is drawn.

        What has no effect beside the others counts too, as another shift does under the dynamic one. Fields
        that came later are left out at their default: what was drawn before keeps its digest.
        """
        unset = {name: value for name, value in OFFICIAL.items() if getattr(self, name) is None}
        found = asdict(self) | unset | {"grid": self._grid()}
        idle = [name for name in _LATER if found[name] == getattr(Sampling, name)]  # the class has defaults
        return {name: value for name, value in found.items() if name not in idle}

    def completed(self, own: "Sampling") -> "Sampling":
        """A copy whose unset fields are those of another, e.g. of the checkpoint."""
        unset = [name for name in OFFICIAL if getattr(self, name) is None]
        return replace(self, **{name: getattr(own, name) for name in unset})

    def updated(self, options: Mapping[str, str], others: Sequence[str] = ()) -> "Sampling":
        """A copy with fields set from text, e.g. {"steps": "30", "renorm": "none"}.

        Another solver has another grid, unless that is named too. ``others`` are options that the caller
        reads itself, for the message to an unknown name.

        Raises:
            UserError: an unknown name, or a value that cannot be read or is out of range.
        """
        known = [*(field.name for field in fields(self)), "points"]
        values: dict[str, Any] = {"grid": "auto"} if "solver" in options else {}
        for name, text in options.items():
            if name not in known:
                there = [*known, *others]
                near = difflib.get_close_matches(name, there, 1)
                hint = f"did you mean {near[0]}?" if near else "take one of them"
                raise UserError(
                    f"expected a sampling option out of {', '.join(there)}, found {name!r}; fix: {hint}"
                )
            values[name] = _parse(name, text)
        return replace(self, **values)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels; the official ones where they are not set."""
        return self.height or OFFICIAL["height"], self.width or OFFICIAL["width"]

    @property
    def text_tokens(self) -> int:
        """Tokens that texts are padded to; the official number where it is not set."""
        return self.max_text_tokens or int(OFFICIAL["max_text_tokens"])

    def times(self, image_tokens: int) -> Tensor:
        """The solver's grid, (steps + 1,); the dynamic shift depends on the number of image tokens."""
        static = OFFICIAL_SHIFT if self.shift is None else self.shift
        shift = dynamic_shift(image_tokens) if self.dynamic_shift else static
        return time_grid(self.steps, shift, self._grid())

    def guidance_stop(self, times: Tensor) -> float | None:
        """The time at which guidance ends on a grid; None for never."""
        if self.truncation_ratio is not None:
            return truncation_of_ratio(times, self.truncation_ratio)
        return self.truncation

    def final_text(self, prompt: str) -> str:
        """What the text encoder gets for a prompt."""
        return compose(self.system_prompt, prompt)

    def final_negative_text(self) -> str:
        """What the text encoder gets for the other branch of the guidance."""
        if self.negative_prompt == UNCONDITIONAL or not self.system_prompt_in_negative:
            return self.negative_prompt
        return compose(self.system_prompt, self.negative_prompt)

    def evaluations(self) -> int:
        """Evaluations of the velocity field per image (each on two branches while guided)."""
        return self.steps * EVALUATIONS_PER_STEP[self.solver]

    def _grid(self) -> str:
        return ("dpm" if self.solver == "dpm" else "official") if self.grid == "auto" else self.grid


def _parse(name: str, text: str) -> Any:
    word = text.strip().lower()
    if name in _OPTIONAL and word in _NONE:
        return None
    if name in _SWITCHES:
        if word not in _TRUE | _FALSE:
            raise UserError(f"expected true or false for {name}, found {text!r}; fix: that value")
        return word in _TRUE
    if name == "renorm" and word == ROWS:
        return ROWS
    kind: type = int if name in (*_COUNTS, "points") else float if name in _NUMBERS else str
    try:
        return kind(text)
    except ValueError:
        raise UserError(
            f"expected {_kinds_of(name)} for {name}, found {text!r}, in the sampling; fix: that value"
        ) from None


def _kinds_of(name: str) -> str:
    """What a field takes, for messages."""
    if name in (*_COUNTS, "points"):
        return "a whole number"
    return "a number, none or rows" if name == "renorm" else "a number"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _expect(condition: bool, name: str, expected: str, found: object) -> None:
    if not condition:
        raise UserError(f"expected {expected}, found {found!r}, in sampling {name}; fix: change {name}")
