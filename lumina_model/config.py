"""Sizes of a Unified Next-DiT, and the official ones by name."""

from dataclasses import dataclass, fields
from math import ceil

from lumina_model.errors import UserError


@dataclass(frozen=True)
class NextDiTConfig:
    """Sizes of a Unified Next-DiT; the defaults are the released 2.6B model.

    `qk_norm_eps` is 1e-5 in diffusers and 1e-6 in the official code: the reader of a format sets it.
    `axes_lens` bounds positions: texts shorter than axes_lens[0] tokens, grids up to the other two.
    """

    patch_size: int = 2
    in_channels: int = 16
    hidden_size: int = 2304
    num_layers: int = 26
    num_refiner_layers: int = 2
    num_attention_heads: int = 24
    num_kv_heads: int = 8
    multiple_of: int = 256
    ffn_dim_multiplier: float | None = None
    norm_eps: float = 1e-5
    qk_norm_eps: float = 1e-5
    axes_dim_rope: tuple[int, int, int] = (32, 32, 32)
    axes_lens: tuple[int, int, int] = (300, 512, 512)
    cap_feat_dim: int = 2304
    rope_theta: float = 10_000.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes_dim_rope", tuple(self.axes_dim_rope))
        object.__setattr__(self, "axes_lens", tuple(self.axes_lens))
        for name, value in [(f.name, getattr(self, f.name)) for f in fields(self) if f.type is int]:
            least = 0 if name == "num_refiner_layers" else 1
            self._expect(isinstance(value, int) and value >= least, name, f"an int >= {least}")
        heads, kv_heads, axes = self.num_attention_heads, self.num_kv_heads, self.axes_dim_rope
        self._expect(self.hidden_size % heads == 0, "hidden_size", f"a multiple of {heads} heads")
        self._expect(
            heads % kv_heads == 0, "num_attention_heads", f"a multiple of {kv_heads} key-value heads"
        )
        even = len(axes) == 3 and all(d >= 2 and d % 2 == 0 for d in axes)
        self._expect(
            even and sum(axes) == self.head_dim, "axes_dim_rope", f"three even numbers of sum {self.head_dim}"
        )
        self._expect(len(self.axes_lens) == 3 and min(self.axes_lens) >= 2, "axes_lens", "three numbers >= 2")
        self._expect(
            self.ffn_dim_multiplier is None or self.ffn_dim_multiplier > 0,
            "ffn_dim_multiplier",
            "null or > 0",
        )
        for name in ("norm_eps", "qk_norm_eps", "rope_theta"):
            self._expect(getattr(self, name) > 0, name, "a number > 0")

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head (d)."""
        return self.hidden_size // self.num_attention_heads

    @property
    def time_dim(self) -> int:
        """Width of the time embedding (E)."""
        return min(self.hidden_size, 1024)

    @property
    def ffn_dim(self) -> int:
        """Inner width of the feed-forward: 4·D, not the usual 2/3 of it, rounded up to `multiple_of`."""
        width = 4 * self.hidden_size
        if self.ffn_dim_multiplier is not None:
            width = int(self.ffn_dim_multiplier * width)
        return self.multiple_of * ceil(width / self.multiple_of)

    def _expect(self, condition: bool, name: str, expected: str) -> None:
        if not condition:
            found = getattr(self, name)
            raise UserError(
                f"expected {name} to be {expected}, found {found!r}, in NextDiTConfig; fix: {name}"
            )


# The official factories (models/model.py); only the 2.6B has released weights.
CONFIGS: dict[str, NextDiTConfig] = {
    "2.6B": NextDiTConfig(),
    "3B": NextDiTConfig(hidden_size=2592, num_layers=30, axes_dim_rope=(36, 36, 36)),
    "4B": NextDiTConfig(hidden_size=2880, num_layers=32, axes_dim_rope=(40, 40, 40)),
    "7B": NextDiTConfig(hidden_size=3840, num_layers=32, num_attention_heads=32, axes_dim_rope=(40, 40, 40)),
}
