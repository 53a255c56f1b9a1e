"""A config from the shapes of its tensors, for formats that store nothing else."""

from dataclasses import replace
from math import gcd, nextafter

from lumina_model.errors import UserError
from lumina_model.next_dit import NextDiTConfig
from lumina_model.official_names import our_names
from lumina_model.weights import Shapes

PATCH_SIZE = 2  # of every Lumina-Image 2.0; shapes show only its square times the channels


def infer_config(shapes: Shapes, where: str) -> NextDiTConfig:
    """The config of a transformer whose tensors, official or ours, have these shapes.

    Shapes do not show the axes of the rotary embedding (taken as equal thirds of a head, as in all official
    sizes), how far positions go, epsilons and theta (taken as the released ones). `multiple_of` and
    `ffn_dim_multiplier` only serve to compute the feed-forward's width: it is that width that is kept.

    Raises:
        UserError: a tensor that is needed is missing, or the shapes are those of no such transformer.
    """
    ours = _under_our_names(shapes)
    hidden, pixels = _matrix(ours, "x_embedder.weight", where)
    kv_dim, _ = _matrix(ours, "layers.0.attn.to_k.weight", where)
    ffn_dim, _ = _matrix(ours, "layers.0.feed_forward.linear_1.weight", where)
    _, cap_feat_dim = _matrix(ours, "time_caption_embed.caption_embedder.1.weight", where)
    head_dim = ours.get("layers.0.attn.norm_q.weight", (0,))[0]
    if not head_dim or hidden % head_dim or kv_dim % head_dim or not kv_dim or pixels % PATCH_SIZE**2:
        raise UserError(
            f"expected whole heads and patches of {PATCH_SIZE} x {PATCH_SIZE}, found hidden size {hidden}, "
            f"{kv_dim} key rows, heads of {head_dim} and patches of {pixels} values, in {where}; "
            "fix: give a Lumina-Image 2.0 transformer"
        )
    if head_dim % 6:
        raise UserError(
            f"expected heads that three even rotary axes share equally, found heads of {head_dim}, "
            f"in {where}; fix: shapes do not tell axes_dim_rope; "
            "give a format that stores it (diffusers, official)"
        )
    config = NextDiTConfig(
        patch_size=PATCH_SIZE,
        in_channels=pixels // PATCH_SIZE**2,
        hidden_size=hidden,
        num_layers=_count(ours, "layers"),
        num_refiner_layers=_count(ours, "noise_refiner"),
        num_attention_heads=hidden // head_dim,
        num_kv_heads=kv_dim // head_dim,
        multiple_of=gcd(ffn_dim, 256),
        axes_dim_rope=(head_dim // 3,) * 3,
        cap_feat_dim=cap_feat_dim,
    )
    return config if config.ffn_dim == ffn_dim else _with_ffn_dim(config, ffn_dim)


def _under_our_names(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Shapes under our names; the rows of a fused qkv are those of q, as many as its columns, k and v."""
    result: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        targets = our_names(name) or (name,)
        if len(targets) == 3 and len(shape) == 2:
            kv = (max(shape[0] - shape[1], 0) // 2, shape[1])
            result |= zip(targets, ((shape[1], shape[1]), kv, kv), strict=True)
        else:
            result |= dict.fromkeys(targets, shape)
    return result


def _matrix(shapes: Shapes, name: str, where: str) -> tuple[int, int]:
    shape = shapes.get(name, ())
    if len(shape) != 2 or min(shape) < 1:
        raise UserError(
            f"expected a matrix {name}, found {f'shape {shape}' if shape else 'none'}, in {where}; "
            "fix: give a Lumina-Image 2.0 transformer"
        )
    return shape[0], shape[1]


def _count(shapes: Shapes, stack: str) -> int:
    """How many blocks a stack has, by its highest number; gaps are told when the tensors are loaded."""
    numbers = [name.split(".")[1] for name in shapes if name.startswith(f"{stack}.")]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


def _with_ffn_dim(config: NextDiTConfig, ffn_dim: int) -> NextDiTConfig:
    """The config with the multiplier that gives this width, not one less by the rounding of the division."""
    width = 4 * config.hidden_size
    multiplier = ffn_dim / width
    if int(multiplier * width) < ffn_dim:
        multiplier = nextafter(multiplier, float("inf"))
    return replace(config, ffn_dim_multiplier=multiplier)
