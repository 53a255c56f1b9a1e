"""Train the transformer by flow matching, in stages.

    x_t = t · image + (1 - t) · noise,   target v = image - noise,   loss = mean (v_θ(x_t, t, caption) - v)²

(official transport.py; t = 0 is noise). A stage is a recipe: image size, which list of images, which caption
levels, whether the auxiliary loss is on. It starts from the weights of the stage before it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from lumina_model.autoencoder import Autoencoder
from lumina_model.checkpoint import (
    read_autoencoder,
    read_text_encoder,
    read_transformer,
    write_scheduler,
    write_transformer,
)
from lumina_model.checkpoint_record import (
    forget_checkpoint_record,
    read_checkpoint_record,
    write_checkpoint_record,
)
from lumina_model.digests import files_digest
from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.prompt_templates import UNCONDITIONAL, compose
from lumina_model.training.caption_features import CaptionFeatures
from lumina_model.training.data import Example, batch_indices, draw_caption, read_examples
from lumina_model.training.earlier import expect_trained
from lumina_model.training.latents import encoder_digest, latents_of
from lumina_model.training.loop import LoopSettings, fit
from lumina_model.training.processes import run, share, world_size

AUXILIARY_POOL = 4  # official finetune.py: avg_pool2d of the clean latent with kernel = stride = 4
CAPTION_BYTES = 2**30  # of features that are kept, by all processes together
TEXT_MULTIPLE = 8  # captions are padded to a multiple of this: few shapes, little padding


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """One training stage.

    Attributes:
        stage: name; the weights go to ``stages/<stage>``.
        model: architecture; must equal that of the stage before.
        loop: optimisation.
        init_from: stage to start from; empty for new weights.
        size: image side in pixels.
        list_name: JSONL file inside the training set.
        examples: use the first so many of the list; 0 for all.
        batch: images per step.
        levels: weight of each caption level; one level is drawn per step, so that texts in a batch are of
            like length.
        languages: weight of each caption language, drawn per image.
        caption_dropout: share of captions replaced by the empty text (official finetune.py: 0.1).
        auxiliary_weight: weight of the same loss on the 4x-pooled latent; 0 leaves it out (paper Eq. 4; 1.0).
        max_text_tokens: captions are cut to this.
        time_mu: shift of the times towards noise; None for the official law by tokens. Small latents with
            large things in them are laid out very near the noise, where that law hardly looks.
        checkpoints: steps at which a checkpoint is kept as ``stages/<stage>-<step>`` beside the last one.
        sampling: fields of :class:`~lumina_model.sampling.Sampling` for this stage; kept with the weights.
        seed: of the data order, captions, times and noise.
    """

    stage: str
    model: NextDiTConfig
    loop: LoopSettings
    init_from: str = ""
    size: int = 64
    list_name: str = "train.jsonl"
    examples: int = 0
    batch: int = 128
    levels: dict[str, float] = dataclasses.field(default_factory=lambda: {"short": 1.0})
    languages: dict[str, float] = dataclasses.field(default_factory=lambda: {"en": 1.0})
    caption_dropout: float = 0.1
    auxiliary_weight: float = 0.0
    max_text_tokens: int = 144
    time_mu: float | None = None
    checkpoints: tuple[int, ...] = ()
    sampling: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0


def kept_name(stage: str, step: int) -> str:
    """Return the folder's name of a checkpoint that is kept beside the last one."""
    return f"{stage}-{step:06d}"


def state_name(settings: StageSettings) -> str:
    """Return the folder's name of the training state.

    A stage that goes on from a checkpoint of its own has a state beside that of its first training, named
    like that checkpoint.
    """
    again = re.fullmatch(rf"{re.escape(settings.stage)}-\d{{6}}", settings.init_from)
    return settings.init_from if again else settings.stage


def official_mu(image_tokens: int) -> float:
    """Return the shift for a number of image tokens: 0.5 at 256, 1.15 at 4096 (official transport.py)."""
    return 0.5 + (1.15 - 0.5) * (image_tokens - 256) / (4096 - 256)


def sample_times(count: int, mu: float, generator: torch.Generator) -> Tensor:
    """Draw times as the official code does: logit-normal, then shifted towards noise.

    Args:
        count: how many.
        mu: logarithm of the shift, see :func:`official_mu`.
        generator: on the CPU.

    Returns:
        (count,) float32 in (0, 1), 0 = noise.
    """
    sigma = 1 - torch.sigmoid(torch.randn(count, generator=generator))
    shift = float(np.exp(mu))
    return 1 - shift * sigma / (1 + (shift - 1) * sigma)


def flow_loss(
    model: nn.Module,
    clean: Tensor,
    features: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    mu: float,
) -> Tensor:
    """Mean squared error of the velocity at one random time per image.

    Times and noise are drawn for the whole batch, of which processes take their shares: so many processes
    see what one would.

    Args:
        model: velocity of (x, t, features, mask).
        clean: latents (B, C, H, W), this process's share.
        features: captions (B, T, F).
        mask: (B, T).
        generator: draws times and noise, on the CPU.
        mu: logarithm of the shift of the times, e.g. :func:`official_mu`.
    """
    whole = len(clean) * world_size()
    t = share(sample_times(whole, mu, generator)).to(clean.device)  # (B,)
    noise = share(torch.randn(whole, *clean.shape[1:], generator=generator)).to(clean.device)  # (B, C, H, W)
    weight = t[:, None, None, None]
    velocity = model(weight * clean + (1 - weight) * noise, t, features, mask)
    return F.mse_loss(velocity.float(), clean - noise)


def stage_loss(
    model: nn.Module,
    clean: Tensor,
    features: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    settings: StageSettings,
) -> Tensor:
    """The loss of a stage: :func:`flow_loss`, and where it has a weight the same on the pooled latent.

    Both have one law of times, that of the whole latent: the official code draws both from one transport.
    """
    tokens = clean.shape[-2] * clean.shape[-1] // settings.model.patch_size**2
    mu = official_mu(tokens) if settings.time_mu is None else settings.time_mu
    loss = flow_loss(model, clean, features, mask, generator, mu)
    if settings.auxiliary_weight:
        pooled = F.avg_pool2d(clean, AUXILIARY_POOL)
        loss = loss + settings.auxiliary_weight * flow_loss(model, pooled, features, mask, generator, mu)
    return loss


def caption_batch(
    examples: Sequence[Example], settings: StageSettings, rng: np.random.Generator
) -> list[str]:
    """Draw the complete text of each example: one level for all, a language and dropout for each."""
    levels = list(settings.levels)
    shares = np.array(list(settings.levels.values()))
    level = levels[int(rng.choice(len(levels), p=shares / shares.sum()))]
    texts = []
    for example in examples:
        caption = draw_caption(example, rng, settings.languages, {level: 1.0})
        texts.append(UNCONDITIONAL if rng.random() < settings.caption_dropout else compose("real", caption))
    return texts


def train_stage(
    data: Path,
    out: Path,
    settings: StageSettings,
    *,
    device: str = "cpu",
    compiled: bool = False,
    processes: int = 1,
) -> None:
    """Train one stage; writes ``out/stages/<stage>/transformer`` and ``checkpoint.json`` beside it.

    Args:
        data: training set.
        out: holds ``vae``, ``text_encoder`` and ``tokenizer``, and the stages.
        settings: the recipe.
        device: where to train.
        compiled: compile the blocks (a minute at the start, then about twice as fast on a CPU).
        processes: how many share each batch; more than one on a CPU only.

    Raises:
        UserError: a part or the stage before is missing, or has another architecture; a batch that
            processes cannot share evenly.
    """
    if settings.init_from in [kept_name(settings.stage, step) for step in settings.checkpoints]:
        raise UserError(
            f"expected checkpoints that leave the first one in place, found {settings.init_from} among them, "
            f"in the recipe of {settings.stage}; fix: other checkpoints"
        )
    expect_trained(out, "tokenizer", "text_encoder", "vae", stage=settings.init_from)
    if processes > 1:
        examples = _examples(data, settings)
        batch = min(settings.batch, len(examples))
        if device != "cpu" or batch % processes:
            raise UserError(
                f"expected device cpu and a batch that {processes} processes share evenly, found {device} "
                f"and {batch}; fix: another --processes"
            )
        # Computed before there are processes, which find them in the cache.
        latents_of(examples, settings.size, read_autoencoder(out / "vae"), out / "latents")
    write_scheduler(out / "scheduler")
    run(processes, _train_stage, data, out, settings, device, compiled)


def _examples(data: Path, settings: StageSettings) -> list[Example]:
    examples = read_examples(data / settings.list_name)
    return examples[: settings.examples or len(examples)]


def _train_stage(data: Path, out: Path, settings: StageSettings, device: str, compiled: bool) -> None:
    """Train in this process, which may be one of several."""
    examples = _examples(data, settings)
    autoencoder = read_autoencoder(out / "vae")
    latents = latents_of(examples, settings.size, autoencoder, out / "latents")
    text_encoder = read_text_encoder(out / "text_encoder", out / "tokenizer")
    text_encoder.model.to(device)
    features_of = CaptionFeatures(
        text_encoder, tokens=settings.max_text_tokens, budget=CAPTION_BYTES // world_size()
    )
    model = _initial(out, settings).to(device)
    if compiled:
        for block in (*model.context_refiner, *model.noise_refiner, *model.layers):
            block.compile(dynamic=True)

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, step, 1])
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        chosen = np.sort(batch_indices(settings.seed, step, len(examples), settings.batch))
        texts = share(caption_batch([examples[i] for i in chosen], settings, rng))
        clean = torch.from_numpy(latents[share(chosen)].astype(np.float32)).to(device)  # (B, C, H, W)
        with _fast(device):
            features, mask = (y.to(device) for y in features_of(texts, TEXT_MULTIPLE))
            return stage_loss(model, clean, features, mask, generator, settings)

    steps_before = (
        read_checkpoint_record(out / "stages" / settings.init_from)["step"] if settings.init_from else 0
    )

    def keep(ema: nn.Module, step: int) -> None:
        final = step == settings.loop.steps
        folder = out / "stages" / (settings.stage if final else kept_name(settings.stage, step))
        write_stage(ema, folder, settings, steps_before + step)

    state = out / "training" / state_name(settings)
    fit(model, loss_of, settings.loop, state, on_checkpoint=keep,
        checkpoints=settings.checkpoints, matrices=hidden_matrices(model),
        recipe=_recipe(data, out, settings, autoencoder), label=state.name)  # fmt: skip


def _recipe(data: Path, out: Path, settings: StageSettings, autoencoder: Autoencoder) -> dict[str, Any]:
    """All that the steps depend on: the numbers, the list of examples and the frozen parts."""
    digests = {name: files_digest(out / name) for name in ("text_encoder", "tokenizer")}
    digests["encoder"] = encoder_digest(autoencoder)  # the decoder may learn on
    listed = hashlib.sha256((data / settings.list_name).read_bytes()).hexdigest()
    return {**dataclasses.asdict(settings), **digests, settings.list_name: listed}


def hidden_matrices(model: NextDiT) -> list[nn.Parameter]:
    """Return the matrices of attention and feed-forward: what Muon is made for.

    Embeddings, the modulation (which starts at zero) and the last layer are left to AdamW.
    """
    blocks = (*model.context_refiner, *model.noise_refiner, *model.layers)
    named = ((name, p) for block in blocks for name, p in block.named_parameters())
    return [p for name, p in named if p.ndim == 2 and not name.startswith("norm1.linear")]


def write_stage(model: nn.Module, folder: Path, settings: StageSettings, step: int) -> None:
    """Write a checkpoint in bfloat16; ``checkpoint.json`` comes last: where it is, all is there.

    Args:
        model: weights, e.g. the moving average.
        folder: of the checkpoint.
        settings: of the stage.
        step: counted from the start of the first stage.
    """
    forget_checkpoint_record(folder)
    transformer = NextDiT(settings.model)
    transformer.load_state_dict(model.state_dict())
    write_transformer(transformer.to(torch.bfloat16), folder / "transformer", sample_size=settings.size // 8)
    record = {
        "stage": settings.stage,
        "step": step,
        "size": settings.size,
        "sampling": settings.sampling,
        "recipe": dataclasses.asdict(settings),
    }
    write_checkpoint_record(folder, record)


def _initial(out: Path, settings: StageSettings) -> NextDiT:
    torch.manual_seed(settings.seed)
    if not settings.init_from:
        return NextDiT(settings.model)
    model = read_transformer(out / "stages" / settings.init_from / "transformer", torch.float32)
    if model.config != settings.model:
        raise UserError(
            f"expected the architecture of stage {settings.init_from} ({model.config}), "
            f"found {settings.model}, in the recipe of {settings.stage}; fix: use the same [model] in both"
        )
    return model


@contextlib.contextmanager
def _fast(device: str) -> Iterator[None]:
    """bfloat16 autocast; on a CPU also plain attention, whose backward is quicker for short sequences."""
    kind = torch.device(device).type
    backends = [SDPBackend.MATH] if kind == "cpu" else list(SDPBackend.__members__.values())
    with torch.autocast(kind, torch.bfloat16), sdpa_kernel(backends):
        yield
