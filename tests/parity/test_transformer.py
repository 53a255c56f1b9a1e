"""Next-DiT at the released widths against diffusers', with weights that let every branch through."""

from dataclasses import asdict, replace

import torch
from diffusers import Lumina2Transformer2DModel

from lumina_model.next_dit import CONFIGS, NextDiT


def test_blocks_of_full_width_equal_diffusers() -> None:
    """One block of each kind of the 2.6B model, unequal captions, a wide image."""
    config = replace(CONFIGS["2.6B"], num_layers=1, num_refiner_layers=1)
    record = {key: value for key, value in asdict(config).items() if key not in ("qk_norm_eps", "rope_theta")}
    ours = NextDiT(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            scale = 0.2 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            if name.endswith("norm.weight") or ".norm" in name or "_norm" in name:
                parameter.add_(1.0 if parameter.ndim == 1 and not name.endswith("bias") else 0.0)
    with torch.device("meta"):
        theirs = Lumina2Transformer2DModel(sample_size=16, **record).eval()
    theirs.load_state_dict(ours.state_dict(), assign=True)
    # Their rotary table is no parameter: it is built anew, off the meta device.
    theirs.rope_embedder = type(theirs.rope_embedder)(
        theta=10_000, axes_dim=config.axes_dim_rope, axes_lens=config.axes_lens, patch_size=config.patch_size
    )

    x = torch.randn(2, 16, 8, 12, generator=generator)
    t = torch.tensor([0.2, 0.7])
    feats = torch.randn(2, 19, config.cap_feat_dim, generator=generator)
    mask = torch.arange(19) < torch.tensor([19, 6])[:, None]
    with torch.no_grad():
        expected = theirs(x, t, feats, mask.long(), return_dict=False)[0]
        found = ours(x, t, feats, mask)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_released_model_answers_in_bfloat16_at_256_px() -> None:
    """The real shape on random weights: it fits in 16 GiB and gives finite, caption-dependent velocities."""
    config = CONFIGS["2.6B"]
    with torch.device("meta"):
        model = NextDiT(config).to(torch.bfloat16)
    model.to_empty(device="cpu")
    # Billions of random numbers take long: a block of them over and over, whose length no row divides.
    block = torch.empty(1_000_003, dtype=torch.bfloat16).uniform_(-0.02, 0.02)
    with torch.no_grad():
        for parameter in model.parameters():  # no gate is closed
            if parameter.ndim == 1:
                parameter.fill_(1.0)
                continue
            for piece in parameter.view(-1).split(len(block)):
                piece.copy_(block[: len(piece)])
    feats = torch.randn(2, 16, config.cap_feat_dim, dtype=torch.bfloat16)
    mask = torch.ones(2, 16, dtype=torch.bool)
    x = torch.randn(1, 16, 32, 32, dtype=torch.bfloat16).expand(2, -1, -1, -1)
    with torch.inference_mode():
        v = model(x, torch.tensor([0.5, 0.5]), feats, mask)
    assert v.shape == (2, 16, 32, 32)
    assert torch.isfinite(v).all()
    assert not torch.equal(v[0], v[1])
