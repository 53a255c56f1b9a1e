"""What padding costs, and what sorting a plan would save: ``python -m benchmarks.efficiency.padding``.

Batches are cut by the plan in official order, and a batch is computed at the length of its longest text. This
counts the transformer's operations so, with the plan sorted by length, and with no padding at all. Nothing is
drawn and nothing is timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.efficiency.command_line import without_traceback
from lumina_eval.errors import UserError


@dataclass(frozen=True)
class Padding:
    """Operations of a plan: as it is, sorted by length, and without padding."""

    planned: float
    in_order: float
    none: float

    @property
    def share(self) -> float:
        """Operations that are padding, over those that are not."""
        return self.planned / self.none - 1

    @property
    def gain(self) -> float:
        """Share of all operations that sorting would save."""
        return 1 - self.in_order / self.planned


def padding(lengths: Sequence[int], batch: int, cost: Callable[[int], float]) -> Padding:
    """Count for texts in plan order; ``cost`` is the operations of an image at a length of text."""

    def cut(order: Sequence[int]) -> float:
        parts = [order[start : start + batch] for start in range(0, len(order), batch)]
        return sum(len(part) * cost(max(part)) for part in parts)

    return Padding(cut(lengths), cut(sorted(lengths)), sum(map(cost, lengths)))


@without_traceback
def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, count, print a line for each benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="embedded:hq_tuning", help="one of our checkpoints")
    parser.add_argument("--benchmarks", nargs="+", default=["geneval", "dpg"])
    parser.add_argument("--protocol", default="tabletop")
    parser.add_argument("--batch", type=int, default=16)
    given = parser.parse_args(arguments)
    if given.batch < 1:
        raise UserError(f"expected a batch of 1 or more, found {given.batch}; fix: --batch 16")
    from benchmarks.efficiency.flops import image_flops
    from lumina_eval.evaluation import ask
    from lumina_eval.models import open_models
    from lumina_model.adapter import LuminaModel

    model = open_models(given.model, {"device": "cpu"})[0]
    encoder = model.pipeline.text_encoder if isinstance(model, LuminaModel) else None
    if not isinstance(model, LuminaModel) or encoder is None:
        raise UserError(f"expected one of our checkpoints, found {given.model}; fix: --model lumina:DIR")
    sampling, config = model.settings, model.pipeline.transformer.config
    _, height, width = model.pipeline.latent_shape(sampling.size)
    tokens = height * width // config.patch_size**2

    def cost(length: int) -> float:
        return image_flops(config, sampling, [length], 1, tokens)

    for name in given.benchmarks:
        chosen = ask(name, given.protocol).selection
        texts = [sampling.final_text(item.prompt) for item in chosen.items]
        each = encoder.tokenize(texts, sampling.text_tokens)[1].sum(dim=1).tolist()
        lengths = [length for length in each for _ in range(chosen.images_per_prompt)]
        found = padding(lengths, given.batch, cost)
        print(
            f"{model.title}, {name} {given.protocol}: {min(each)} to {max(each)} text tokens beside {tokens} "
            f"of the image; in batches of {given.batch} padding adds {found.share:.1%}; sorting would save "
            f"{found.gain:.1%} of all operations"
        )


if __name__ == "__main__":
    main()
