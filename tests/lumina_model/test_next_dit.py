"""Unified Next-DiT: against diffusers', and the properties that its equations promise."""

from dataclasses import asdict, replace

import pytest
import torch
from diffusers import Lumina2Transformer2DModel
from hypothesis import given, settings
from hypothesis import strategies as st

from lumina_model.errors import UserError
from lumina_model.next_dit import CONFIGS, Context, NextDiT, NextDiTConfig
from lumina_model.rope import image_rotation

# Totals of the official modules, less their unused norm_final.
PARAMETERS = {"2.6B": 2_609_769_152, "3B": 3_734_826_320, "4B": 4_792_615_616, "7B": 8_247_658_496}


def inputs(
    config: NextDiTConfig, lengths: list[int], height: int = 8, width: int = 12
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    n, longest = len(lengths), max(lengths)
    x = torch.randn(n, config.in_channels, height, width, generator=generator)
    t = torch.linspace(0, 1, n + 1)[1:]
    feats = torch.randn(n, longest, config.cap_feat_dim, generator=generator)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return x, t, feats, mask


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name: str) -> None:
    with torch.device("meta"):
        model = NextDiT(CONFIGS[name])
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("lengths", [[7, 7], [11, 1, 5]])
@pytest.mark.parametrize("ffn_dim_multiplier", [None, 0.7])
def test_equals_diffusers(
    config: NextDiTConfig, lengths: list[int], ffn_dim_multiplier: float | None
) -> None:
    config = replace(config, ffn_dim_multiplier=ffn_dim_multiplier)
    record = {key: value for key, value in asdict(config).items() if key not in ("qk_norm_eps", "rope_theta")}
    theirs = Lumina2Transformer2DModel(sample_size=16, **record).eval()
    ours = NextDiT(config).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    theirs.load_state_dict(ours.state_dict())
    x, t, feats, mask = inputs(config, lengths)
    with torch.no_grad():
        expected = theirs(x, t, feats, mask.long(), return_dict=False)[0]
        found = ours(x, t, feats, mask)
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_new_model_returns_zero(config: NextDiTConfig) -> None:
    x, t, feats, mask = inputs(config, [5, 2])
    assert torch.count_nonzero(NextDiT(config)(x, t, feats, mask)) == 0


def test_queries_keys_and_values_begin_as_parts_of_the_official_matrix() -> None:
    """Official models/model.py: Xavier's bound is that of one matrix for all three."""
    config = NextDiTConfig(hidden_size=192, num_layers=1, num_refiner_layers=1, num_attention_heads=6,
                           num_kv_heads=2, axes_dim_rope=(8, 12, 12), cap_feat_dim=32)  # fmt: skip
    fused = torch.nn.init.xavier_uniform_(torch.empty(192 + 2 * 64, 192))
    attention = NextDiT(config).layers[0].attn
    for linear in (attention.to_q, attention.to_k, attention.to_v):
        assert linear.weight.std().item() == pytest.approx(fused.std().item(), rel=0.02)
        assert linear.weight.abs().max() <= (6 / (192 + 320)) ** 0.5


def test_block_with_zero_gates_is_the_identity(config: NextDiTConfig, model: NextDiT) -> None:
    block = model.layers[0]
    rotation = image_rotation(torch.tensor([3]), 2, 3, config.axes_dim_rope, config.rope_theta)
    x, time = torch.randn(1, 6, config.hidden_size), torch.randn(1, config.time_dim)
    assert not torch.equal(block(x, time, rotation, None), x)
    d = config.hidden_size
    with torch.no_grad():
        for gate in (slice(d, 2 * d), slice(3 * d, 4 * d)):  # chunks: scale, gate, scale, gate
            block.norm1.linear.weight[gate] = 0
            block.norm1.linear.bias[gate] = 0
    assert torch.equal(block(x, time, rotation, None), x)


def test_batch_of_unequal_captions_equals_each_alone(config: NextDiTConfig, model: NextDiT) -> None:
    lengths = [9, 1, 4]
    x, t, feats, mask = inputs(config, lengths)
    together = model(x, t, feats, mask)
    for i, length in enumerate(lengths):
        alone = model(x[i : i + 1], t[i : i + 1], feats[i : i + 1, :length], mask[i : i + 1, :length])
        assert (together[i : i + 1] - alone).abs().max() <= 1e-5 * alone.abs().max()


def test_a_batch_of_mixed_sizes_equals_each_alone(config: NextDiTConfig, model: NextDiT) -> None:
    lengths, sizes = [9, 1, 4], [(8, 12), (4, 4), (12, 2)]
    _, t, feats, mask = inputs(config, lengths)
    latents = [torch.randn(16, *size, generator=torch.Generator().manual_seed(7)) for size in sizes]
    together = model(latents, t, feats, mask)
    for i, (latent, velocity) in enumerate(zip(latents, together, strict=True)):
        alone = model(latent[None], t[i : i + 1], feats[i : i + 1], mask[i : i + 1])[0]
        assert velocity.shape == latent.shape
        assert (velocity - alone).abs().max() <= 1e-5 * alone.abs().max()


def test_padding_content_is_invisible(config: NextDiTConfig, model: NextDiT) -> None:
    x, t, feats, mask = inputs(config, [9, 4])
    other = torch.where(mask[..., None], feats, torch.full_like(feats, 50.0))
    assert not torch.equal(feats, other)
    torch.testing.assert_close(model(x, t, other, mask), model(x, t, feats, mask))


def test_caption_and_time_matter(config: NextDiTConfig, model: NextDiT) -> None:
    x, t, feats, mask = inputs(config, [9, 4])
    v = model(x, t, feats, mask)
    assert not torch.allclose(model(x, t, feats.flip(1), mask), v)
    assert not torch.allclose(model(x, t / 2, feats, mask), v)


def test_context_stands_for_its_caption_at_every_time(config: NextDiTConfig, model: NextDiT) -> None:
    x, t, feats, mask = inputs(config, [9, 4])
    context = model.encode_context(feats, mask)
    for times in (t, t * 0.1):
        assert torch.equal(model(x, times, context), model(x, times, feats, mask))


@settings(max_examples=20)
@given(rows=st.integers(1, 5), columns=st.integers(1, 5), patch=st.integers(1, 3), channels=st.integers(1, 3))
def test_patchify_layout(rows: int, columns: int, patch: int, channels: int) -> None:
    config = NextDiTConfig(
        patch_size=patch,
        in_channels=channels,
        hidden_size=12,
        num_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=4,
        axes_dim_rope=(2, 2, 2),
        cap_feat_dim=4,
    )
    model = NextDiT(config)
    x = torch.randn(2, channels, rows * patch, columns * patch)
    patches = model.patchify(x)
    assert torch.equal(model.unpatchify(patches, rows, columns), x)
    r, c, i, j, k = rows - 1, columns - 1, patch - 1, 0, channels - 1
    assert torch.equal(
        patches[:, r * columns + c, (i * patch + j) * channels + k], x[:, k, r * patch + i, c * patch + j]
    )


def test_every_parameter_learns(config: NextDiTConfig, model: NextDiT) -> None:
    x, t, feats, mask = inputs(config, [9, 4])
    model(x, t, feats, mask).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert torch.count_nonzero(parameter.grad) > 0, name


def test_forward_never_waits_for_the_device(config: NextDiTConfig) -> None:
    """A value read on the host raises on the meta device."""
    with torch.device("meta"):
        model = NextDiT(config)
    v = model(*(tensor.to("meta") for tensor in inputs(config, [9, 4])))
    assert v.shape == (2, 16, 8, 12)


def test_traces_as_one_graph(config: NextDiTConfig, model: NextDiT) -> None:
    arguments = inputs(config, [9, 4])
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*arguments), model(*arguments))


def test_bfloat16_autocast_stays_close(config: NextDiTConfig, model: NextDiT) -> None:
    arguments = inputs(config, [9, 4])
    exact = model(*arguments)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(*arguments).float()
    assert 0 < (rough - exact).norm() / exact.norm() < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 97}, "hidden_size to be a multiple of 6 heads"),
        ({"num_kv_heads": 4}, "num_attention_heads to be a multiple of 4"),
        ({"axes_dim_rope": (5, 5, 6)}, "axes_dim_rope to be three even numbers of sum 16"),
        ({"axes_dim_rope": (4, 4, 4)}, "sum 16"),
        ({"axes_lens": (1, 8, 8)}, "axes_lens"),
        ({"num_layers": 0}, "num_layers to be an int >= 1, found 0"),
        ({"patch_size": 2.0}, "patch_size"),
        ({"norm_eps": 0.0}, "norm_eps"),
        ({"ffn_dim_multiplier": -1.0}, "ffn_dim_multiplier"),
    ],
)
def test_bad_config(config: NextDiTConfig, change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(config, **change)


def test_bad_inputs(config: NextDiTConfig, model: NextDiT) -> None:
    x, t, feats, mask = inputs(config, [9, 4])
    with pytest.raises(UserError, match="divisible by 2"):
        model(x[..., :-1], t, feats, mask)
    with pytest.raises(UserError, match="latents"):
        model(x[:, :4], t, feats, mask)
    with pytest.raises(UserError, match="caption features"):
        model(x, t, feats[..., :-1], mask)
    with pytest.raises(UserError, match="caption mask"):
        model(x, t, feats, mask[:, :-1])
    with pytest.raises(UserError, match="cap_mask"):
        model(x, t, feats)
    with pytest.raises(UserError, match="one time and one caption"):
        model(x, t[:1], feats, mask)
    with pytest.raises(UserError, match="fewer than 300 text tokens"):
        model(x, t, torch.zeros(2, 300, config.cap_feat_dim), torch.ones(2, 300))
    with pytest.raises(UserError, match="at most 64 x 64"):
        model(torch.zeros(2, 16, 2, 130), t, Context(feats, mask))
