"""Training of the extractor: contrastive, and each picture's own wrong captions among the others.

Step ``k`` is a function of the seed and ``k`` alone, so a training that was interrupted goes on as if it had
not been.
"""

from __future__ import annotations

import io
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.tabletop.extractor.architecture import DEVIATION, MEAN, make_model, model_config
from benchmarks.tabletop.extractor.pool import Pool
from benchmarks.tabletop.extractor.tokenizer import make_tokenizer
from benchmarks.tabletop.extractor.told import told
from lumina_eval.errors import UserError
from lumina_eval.files import write_atomic
from lumina_eval.progress import Advance

#: Largest factor of the cosines, as in CLIP (Radford et al. 2021, section 2.5).
MOST_SCALE: Final = 100.0
#: Share of the old weights in their running mean at each step.
_MEAN_SHARE: Final = 0.999


@dataclass(frozen=True)
class Recipe:
    """How the extractor is trained."""

    steps: int = 1000
    batch: int = 256
    wrong: int = 1
    """Wrong captions of each picture."""
    rate: float = 2e-3
    """Peak of the learning rate: linear warm-up, then a cosine down to zero."""
    warmup: int = 60
    decay: float = 0.05
    seed: int = 0
    save_every: int = 50


def train(pool: Pool, folder: Path, recipe: Recipe, advance: Advance) -> Any:
    """Train until ``recipe.steps`` and return the model with the running mean of its weights.

    ``folder`` holds ``checkpoint.pt``, from which the same call goes on.

    Raises:
        UserError: the checkpoint is one of another recipe, or cannot be read.
    """
    torch.manual_seed(recipe.seed)
    model = make_model(model_config())
    model.visual.to(memory_format=torch.channels_last)
    mean = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        _decayed(model, recipe.decay), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay
    )
    start = _restore(folder / "checkpoint.pt", recipe, model, mean, optimizer)
    advance(start)
    pixels = torch.from_numpy(pool.pictures)
    tokenizer = make_tokenizer()
    for step in range(start, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _share(step, recipe)
        loss = _loss(model, tokenizer, pixels, pool, recipe, step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        _follow(mean, model, min(_MEAN_SHARE, (step + 1) / (step + 10)))
        advance(1)
        if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
            _save(folder / "checkpoint.pt", recipe, model, mean, optimizer, step + 1)
    model.load_state_dict(mean)
    return model.eval()


def as_input(pictures: Tensor) -> Tensor:
    """Return pictures, uint8 (N, side, side, 3), as the network reads them, (N, 3, side, side)."""
    values = pictures.permute(0, 3, 1, 2).float() / 255
    shape = (1, 3, 1, 1)
    return (values - torch.tensor(MEAN).view(shape)) / torch.tensor(DEVIATION).view(shape)


def as_tokens(tokenizer: Any, texts: list[str]) -> Tensor:
    """Return texts as the network reads them, (N, context)."""
    made = tokenizer(
        texts,
        return_tensors="pt",
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
    )
    tokens: Tensor = made.input_ids
    return tokens


def _loss(model: Any, tokenizer: Any, pixels: Tensor, pool: Pool, recipe: Recipe, step: int) -> Tensor:
    rng = np.random.default_rng([recipe.seed, step])
    chosen = rng.choice(len(pool.scenes), size=recipe.batch, replace=False)
    captions = [told(pool.scenes[int(i)], rng, recipe.wrong) for i in chosen]
    right = [text for text, _ in captions]
    owner = [i for i, (_, wrong) in enumerate(captions) for _ in wrong]
    texts = right + [text for _, wrong in captions for _, text in wrong]
    with torch.autocast("cpu", torch.bfloat16):
        seen = model.encode_image(as_input(pixels[torch.from_numpy(chosen)]))
        read = model.encode_text(as_tokens(tokenizer, texts))
    seen = functional.normalize(seen.float(), dim=-1)
    read = functional.normalize(read.float(), dim=-1)
    scale = model.logit_scale.exp().clamp(max=MOST_SCALE)
    logits = scale * seen @ read.T
    own = torch.arange(recipe.batch)
    # The right caption of another picture in the same words is no wrong one.
    number = {text: place for place, text in enumerate(texts)}
    name = torch.tensor([number[text] for text in texts])
    same = name[: recipe.batch, None] == name[None, :]
    same[own, own] = False
    logits = logits.masked_fill(same, -math.inf)
    to_text = functional.cross_entropy(logits, own)
    to_picture = functional.cross_entropy(logits[:, : recipe.batch].T, own)
    apart = logits[owner, own[owner]] - logits[owner, torch.arange(recipe.batch, len(texts))]
    return to_text / 2 + to_picture / 2 + functional.softplus(-apart).mean()


def _share(step: int, recipe: Recipe) -> float:
    """Return the learning rate at a step as a share of its peak."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)))


def _decayed(model: Any, decay: float) -> list[dict[str, Any]]:
    """Keep weight decay from biases, gains and the scale."""
    many = [p for p in model.parameters() if p.ndim > 1]
    few = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": many, "weight_decay": decay}, {"params": few, "weight_decay": 0.0}]


@torch.no_grad()
def _follow(mean: dict[str, Tensor], model: Any, share: float) -> None:
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            mean[name].lerp_(value, 1 - share)
        else:
            mean[name].copy_(value)


def _save(file: Path, recipe: Recipe, model: Any, mean: dict[str, Tensor], optimizer: Any, step: int) -> None:
    stream = io.BytesIO()
    torch.save(
        {
            "recipe": asdict(recipe),
            "step": step,
            "model": model.state_dict(),
            "mean": mean,
            "optimizer": optimizer.state_dict(),
        },
        stream,
    )
    write_atomic(file, stream.getvalue())


def _restore(file: Path, recipe: Recipe, model: Any, mean: dict[str, Tensor], optimizer: Any) -> int:
    """Load a checkpoint if there is one; return the number of steps that are done."""
    if not file.exists():
        return 0
    try:
        state = torch.load(file, weights_only=True)
        if state["recipe"] != asdict(recipe):
            raise UserError(
                f"expected a training with {asdict(recipe)}, found one with {state['recipe']}, in {file}; "
                "fix: name another folder with --out"
            )
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(
            f"expected the checkpoint of a training, found what cannot be read, at {file}: {error}; "
            "fix: take it away to begin anew"
        ) from error
    for name, value in state["mean"].items():
        mean[name].copy_(value)
    return int(state["step"])
