"""Everything beside weights, prompt and seed that changes a pixel, in one record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch

from lumina_model.errors import UserError
from lumina_model.prompt_templates import SYSTEM_PROMPTS, UNCONDITIONAL, compose
from lumina_model.solvers import EVALUATIONS_PER_STEP, SOLVERS
from lumina_model.time_grid import OFFICIAL_SHIFT

SAMPLER_VERSION = 1
"""Raised whenever the same weights, prompt, seed and `Sampling` give other pixels than before."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_OFF = frozenset({"", "none", "null", "off"})


@dataclass(frozen=True)
class Sampling:
    """How images are drawn. The defaults are the official script (scripts/sample.sh) at 1024 px.

    Attributes:
        solver: `euler` or `midpoint`.
        steps: solver steps, i.e. intervals (the official script's 18 points are 17).
        shift: of the time grid; 6 officially.
        guidance: classifier-free guidance scale; 1 computes no unconditional branch.
        renorm: CFG-Renorm ratio (1 officially), None for none.
        truncation: CFG-Trunc: guide while (shifted) t is below this, None for always.
        height: of the image in pixels.
        width: of the image in pixels.
        system_prompt: name in `prompt_templates.SYSTEM_PROMPTS`.
        negative_prompt: what to steer away from. Empty is the unconditional input that was trained; any
            other gets the system prompt too (official sample.py; diffusers leaves it out).
        max_text_tokens: texts are cut or padded to this, with BOS and system prompt, so that an image
            does not depend on its neighbours in a batch.
        dtype: of all weights and activations; the solver's state is float32 always.
    """

    solver: str = "midpoint"
    steps: int = 17
    shift: float = OFFICIAL_SHIFT
    guidance: float = 4.0
    renorm: float | None = None
    truncation: float | None = None
    height: int = 1024
    width: int = 1024
    system_prompt: str = "real"
    negative_prompt: str = UNCONDITIONAL
    max_text_tokens: int = 256
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("shift", "guidance", "renorm", "truncation"):  # 4 and 4.0 are one sampling
            value = getattr(self, name)
            if value is None and name in ("renorm", "truncation"):
                continue
            _expect(isinstance(value, int | float), name, "a number", value)
            object.__setattr__(self, name, float(value))
        for name, allowed in (("solver", SOLVERS), ("system_prompt", SYSTEM_PROMPTS), ("dtype", DTYPES)):
            _expect(getattr(self, name) in allowed, name, f"one of {', '.join(allowed)}", getattr(self, name))
        for name, least in (("steps", 1), ("max_text_tokens", 2)):
            value = getattr(self, name)
            _expect(_is_int(value) and value >= least, name, f"a whole number >= {least}", value)
        for name in ("height", "width"):
            value = getattr(self, name)
            _expect(
                _is_int(value) and value >= 16 and value % 16 == 0, name, "a multiple of 16 pixels", value
            )
        _expect(0 < self.shift < float("inf"), "shift", "a number above 0", self.shift)
        _expect(0 <= self.guidance < float("inf"), "guidance", "a number >= 0", self.guidance)
        _expect(
            self.renorm is None or 0 < self.renorm < float("inf"), "renorm", "a number above 0", self.renorm
        )
        _expect(self.truncation is None or 0 <= self.truncation <= 1, "truncation", "0 to 1", self.truncation)

    def canonical(self) -> dict[str, Any]:
        """All fields, defaults resolved, as JSON values: equal exactly when the samplings are equal."""
        return asdict(self)

    def updated(self, options: Mapping[str, str]) -> "Sampling":
        """A copy with fields set from text, e.g. {"steps": "30", "renorm": "none"}.

        Raises:
            UserError: an unknown name, or a value that cannot be read or is out of range.
        """
        current = {field.name: field for field in fields(self)}
        values: dict[str, Any] = {}
        for name, text in options.items():
            if name not in current:
                raise UserError(
                    f"expected a sampling option out of {', '.join(current)}, found {name!r}; fix: its name"
                )
            values[name] = _parse(name, text)
        return replace(self, **values)

    def final_text(self, prompt: str) -> str:
        """What the text encoder gets for a prompt."""
        return compose(self.system_prompt, prompt)

    def final_negative_text(self) -> str:
        """What the text encoder gets for the other branch of the guidance."""
        if self.negative_prompt == UNCONDITIONAL:
            return UNCONDITIONAL
        return compose(self.system_prompt, self.negative_prompt)

    def evaluations(self) -> int:
        """Evaluations of the velocity field per image (each on two branches while guided)."""
        return self.steps * EVALUATIONS_PER_STEP[self.solver]


def _parse(name: str, text: str) -> Any:
    if name in ("renorm", "truncation") and text.strip().lower() in _OFF:
        return None
    kind = {"steps": int, "height": int, "width": int, "max_text_tokens": int}.get(name)
    if name in ("shift", "guidance", "renorm", "truncation"):
        kind = float  # type: ignore[assignment]
    try:
        return text if kind is None else kind(text)
    except ValueError:
        raise UserError(
            f"expected a number for {name}, found {text!r}, in the sampling; fix: that value"
        ) from None


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _expect(condition: bool, name: str, expected: str, found: object) -> None:
    if not condition:
        raise UserError(f"expected {expected}, found {found!r}, in sampling {name}; fix: change {name}")
