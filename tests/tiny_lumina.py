"""Tiny Lumina models with random weights, and with gates that let every branch through."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import Gemma2Config, Gemma2Model, PreTrainedTokenizerFast

from lumina_model.autoencoder import Autoencoder
from lumina_model.checkpoint import write_pipeline
from lumina_model.next_dit import Context, NextDiT, NextDiTConfig
from lumina_model.text_encoder import TextEncoder

TEXT_DIM = 40


def randomise(module: torch.nn.Module, seed: int, std: float = 0.1) -> None:
    """Every parameter non-zero: at the official initialisation all implementations agree on 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            mean = 1.0 if "norm" in name and parameter.ndim == 1 and not name.endswith("bias") else 0.0
            parameter.copy_(mean + std * torch.randn(parameter.shape, generator=generator))


@pytest.fixture(scope="session")
def config() -> NextDiTConfig:
    return NextDiTConfig(
        hidden_size=96,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=6,
        num_kv_heads=2,
        multiple_of=32,
        axes_dim_rope=(4, 6, 6),
        axes_lens=(300, 64, 64),
        cap_feat_dim=TEXT_DIM,
    )


@pytest.fixture
def model(config: NextDiTConfig) -> NextDiT:
    model = NextDiT(config)
    randomise(model, seed=1)
    return model.eval()


@pytest.fixture(scope="session")
def text_encoder() -> TextEncoder:
    corpus = ["a photo of a red cube", "two blue spheres and a green cone", "high-quality images, prompts"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.token_to_id("<bos>"))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )
    gemma = Gemma2Model(
        Gemma2Config(
            vocab_size=len(fast),
            hidden_size=TEXT_DIM,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=10,
            query_pre_attn_scalar=10,
            max_position_embeddings=512,
            sliding_window=64,
        )
    )
    randomise(gemma, seed=2, std=0.2)
    return TextEncoder(gemma, fast)


@pytest.fixture(scope="session")
def autoencoder() -> Autoencoder:
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    randomise(vae, seed=3)
    return Autoencoder(vae)


@pytest.fixture
def pipeline_folder(
    tmp_path: Path, model: NextDiT, text_encoder: TextEncoder, autoencoder: Autoencoder
) -> Path:
    folder = tmp_path / "pipeline"
    write_pipeline(folder, model, text_encoder, autoencoder, shift=6.0, sample_size=8)
    return folder


def contexts(model: NextDiT, longest: int, padded: int = 44) -> tuple[Context, Context]:
    """Two prompts, of `longest` tokens and of 3, and an unconditional text of one; all padded alike."""
    feats = torch.randn(4, padded, model.config.cap_feat_dim, generator=torch.Generator().manual_seed(0))
    weight = next(model.parameters())
    feats = feats.to(weight.device, weight.dtype)
    mask = (torch.arange(padded) < torch.tensor([[longest], [3], [1], [1]])).long().to(weight.device)
    both = model.encode_context(feats, mask)
    return Context(both.tokens[:2], both.mask[:2]), Context(both.tokens[2:], both.mask[2:])
