"""Float8 products: rounding of the format and no more, of each token by itself, in the joint blocks alone."""

import copy
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lumina_model import embedded
from lumina_model.adapter import LuminaModel
from lumina_model.errors import UserError
from lumina_model.float8 import Float8Linear, has_float8, rounded, to_float8
from lumina_model.formats import apply_lora
from lumina_model.linear import Linear
from lumina_model.next_dit import NextDiT, NextDiTConfig
from lumina_model.pipeline import Pipeline


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.floats(-20, 20))
def test_a_row_is_rounded_to_three_bits_of_mantissa_at_any_size(seed: int, size: float) -> None:
    rows = torch.randn(3, 32, generator=torch.Generator().manual_seed(seed)) * 10**size
    values, scale = rounded(rows)
    back = values.float() * scale
    largest = rows.abs().amax(dim=1, keepdim=True)
    assert torch.isfinite(back).all()
    # e4m3: half of the last of three bits; below the smallest normal number half of the smallest step
    assert ((back - rows).abs() <= torch.maximum(rows.abs() / 16, largest / 448 * 2**-10) * 1.001).all()


def test_zeros_stay_zeros() -> None:
    values, scale = rounded(torch.zeros(2, 16))
    assert (values.float() * scale == 0).all()


def test_both_ways_give_the_same_numbers() -> None:
    """torch's float8 kernel, which also runs on a CPU, against the rounded values multiplied in bfloat16."""
    torch.manual_seed(0)
    linear = Linear(64, 32, bias=False).to(torch.bfloat16)
    x = torch.randn(2, 5, 64).bfloat16()
    with torch.inference_mode():
        kernel, emulated = (Float8Linear(linear, native)(x) for native in (True, False))
        plain = linear(x)
    assert kernel.shape == (2, 5, 32)
    torch.testing.assert_close(kernel, emulated, atol=0.02, rtol=0.02)
    apart = (emulated - plain).float().norm() / plain.float().norm()
    assert 0.01 < apart < 0.06  # two factors, each rounded to three bits


def test_a_token_does_not_depend_on_its_neighbours() -> None:
    layer = Float8Linear(Linear(16, 16, bias=False).to(torch.bfloat16), native=False)
    x = torch.randn(4, 16).bfloat16()
    louder = torch.cat([x[:1], 1000 * x[1:]])
    with torch.inference_mode():
        assert torch.equal(layer(x)[0], layer(louder)[0])


def test_only_products_of_the_joint_blocks_are_rounded() -> None:
    config = NextDiTConfig(
        hidden_size=64, num_layers=2, num_refiner_layers=1, num_attention_heads=2, num_kv_heads=1,
        multiple_of=16, axes_dim_rope=(8, 12, 12), axes_lens=(32, 16, 16), cap_feat_dim=32,
    )  # fmt: skip
    model = to_float8(NextDiT(config).to(torch.bfloat16))
    names = {name for name, module in model.named_modules() if isinstance(module, Float8Linear)}
    own = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0",
           "feed_forward.linear_1", "feed_forward.linear_2", "feed_forward.linear_3")  # fmt: skip
    assert names == {f"layers.{layer}.{name}" for layer in range(2) for name in own}


def test_layers_that_the_kernel_does_not_take_stay_in_bfloat16() -> None:
    config = NextDiTConfig(
        hidden_size=48, num_layers=1, num_refiner_layers=1, num_attention_heads=2, num_kv_heads=1,
        multiple_of=8, ffn_dim_multiplier=0.45, axes_dim_rope=(8, 8, 8), axes_lens=(32, 16, 16),
        cap_feat_dim=32,
    )  # fmt: skip
    assert config.ffn_dim % 16
    layer = to_float8(NextDiT(config).to(torch.bfloat16)).layers[0]
    kinds = {name: type(module) for name, module in layer.named_modules() if "feed_forward.linear" in name}
    assert len(kinds) == 3
    assert set(kinds.values()) == {Linear}
    assert isinstance(layer.get_submodule("attn.to_q"), Float8Linear)


@pytest.mark.parametrize("options", [{"compile": "true"}, {"cache": "0.3", "steps": "4"}])
def test_float8_goes_with_compiled_blocks_and_with_the_step_cache(options: dict[str, str]) -> None:
    given = {"device": "cpu", "dtype": "float8", "steps": "2", **options}
    model = LuminaModel("embedded", "low_res", embedded.parts("low_res"), given)
    with pytest.warns(UserWarning, match="no products in float8"):
        [image] = model.generate(["a photo of a red circle"], [0])
    assert len(set(image.tobytes())) > 10


def test_a_lora_is_applied_before(tmp_path: Path, model: NextDiT) -> None:
    file = tmp_path / "lora.safetensors"
    down, up = torch.zeros(2, model.config.hidden_size), torch.zeros(model.config.hidden_size, 2)
    save_file({"layers.0.attn.to_q.lora_A.weight": down, "layers.0.attn.to_q.lora_B.weight": up}, file)
    with pytest.raises(UserError, match="apply the LoRA first"):
        apply_lora(to_float8(copy.deepcopy(model)), file)


def test_the_embedded_model_draws_in_float8_and_says_that_nothing_is_saved_on_a_cpu() -> None:
    options = {"device": "cpu", "dtype": "float8", "steps": "2"}
    model = LuminaModel("embedded", "low_res", embedded.parts("low_res"), options)
    with pytest.warns(UserWarning, match="no products in float8"):
        assert model.sampling()["dtype"] == "float8"
    [image] = model.generate(["a photo of a red circle"], [0])
    other = LuminaModel("embedded", "low_res", embedded.parts("low_res"), {**options, "dtype": "bfloat16"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [plain] = other.generate(["a photo of a red circle"], [0])
    assert image.size == plain.size
    assert image.tobytes() != plain.tobytes()


def test_a_pipeline_in_bfloat16_does_not_pass_for_one_in_float8(pipeline_folder: Path) -> None:
    pipeline = Pipeline.load(pipeline_folder, dtype=torch.bfloat16)
    with pytest.raises(UserError, match="load the pipeline in that dtype"):
        pipeline.generate(["x"], [0], pipeline.sampling.updated({"dtype": "float8"}))


def test_float8_and_low_memory_exclude_each_other(pipeline_folder: Path) -> None:
    with pytest.raises(UserError, match="float8 or low_memory"):
        Pipeline.load(pipeline_folder, dtype=torch.float8_e4m3fn, low_memory=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_with_float8_gives_the_rounded_products() -> None:
    device = torch.device("cuda")
    if not has_float8(device):
        pytest.skip("needs products in float8")
    linear = Linear(256, 128, bias=False).to(device, torch.bfloat16)
    x = torch.randn(64, 256, device=device).bfloat16()
    with torch.inference_mode():
        torch.testing.assert_close(
            Float8Linear(linear, True)(x), Float8Linear(linear, False)(x), atol=0.02, rtol=0.02
        )
