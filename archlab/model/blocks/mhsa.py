"""Softmax self-attention between positions, on the whole map or inside windows.

Sources: DeiT (arXiv 2012.12877) for ln; LeViT (arXiv 2104.01136) for bn and the bias table.

Legend of the shape suffixes: B batch, P batch times windows, C channels, H and W rows and columns, S side of a
window, N positions of a window, h heads, q width of queries and keys of a head, v width of its values.
"""

from torch import Tensor, nn

from archlab.model.attention import softmax_maps
from archlab.model.block import Block, Problem
from archlab.model.channels import Channels, Draw, Labels, Scaled, conv_norm, dense, heads_of, norm, together
from archlab.model.layers import ConvNorm, LayerNorm, Linear
from archlab.model.positions import FourierPosition, RelativeBias
from archlab.model.windows import from_windows, to_windows
from archlab.spec import BlockSpec

__all__ = ["SelfAttention"]


class SelfAttention(Block):
    """ln: x + proj(attention(LN(x))) with Linear layers; bn: x + BN(pw(attention(BN(pw(x))))).

    Position `fourier` is added to x first, and the skip starts from the sum; `bias` is added to the attention map.
    Padding of the map inside windows is attended to like the rest. The last BatchNorm starts at weight 0.
    """

    roles = frozenset({"block"})
    needs = frozenset({"heads", "norm"})
    allows = frozenset({"key_dim", "value_dim", "window", "position"})
    norms = ("bn", "ln")
    positions = ("bias", "fourier")
    relates_positions = True

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.heads is not None
        assert not isinstance(spec.key_dim, tuple)
        assert not isinstance(spec.value_dim, tuple)
        self.heads = spec.heads
        self.key_dim = spec.key_dim or in_width // spec.heads
        self.value_dim = spec.value_dim or in_width // spec.heads
        self.side, self.on_maps = in_side, spec.norm == "bn"
        self.window = None if spec.window is None or spec.window >= in_side else spec.window
        inner, values = self.heads * (2 * self.key_dim + self.value_dim), self.heads * self.value_dim
        self.pos_embd = FourierPosition(in_width, in_side) if spec.position == "fourier" else None
        self.bias = RelativeBias(self.heads, self.window or in_side) if spec.position == "bias" else None
        self.norm: nn.Module
        self.qkv: nn.Module
        self.proj: nn.Module
        if self.on_maps:
            self.norm = nn.Identity()
            self.qkv = ConvNorm(in_width, inner, eps=spec.eps)
            self.proj = ConvNorm(values, in_width, eps=spec.eps, starts_at_zero=True)
        else:
            self.norm = LayerNorm(in_width, spec.eps)
            self.qkv = Linear(in_width, inner)
            self.proj = Linear(values, in_width)
        self.softmax = nn.Softmax(dim=-1)

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Without widths per head, the heads must share the channels evenly."""
        assert spec.heads is not None
        if in_width % spec.heads and (spec.key_dim is None or spec.value_dim is None):
            return Problem(
                f"{in_width} channels do not divide into {spec.heads} heads",
                f"heads {spec.heads}, width {in_width}",
                f"heads that divide {in_width}",
                "choose other heads, or give key_dim and value_dim",
            )
        return None

    @classmethod
    def takes_tokens(cls, spec: BlockSpec) -> bool:
        """Attention asks for no places, unless it has windows or positions."""
        return spec.window is None and spec.position is None

    @classmethod
    def fixes_side(cls, spec: BlockSpec) -> bool:
        """Windows and bias tables are made for one side."""
        return spec.window is not None or spec.position == "bias"

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map, and queries with keys and values head by head; all heads keep one width."""
        heads = spec.heads or 1
        key_dim, value_dim = spec.key_dim or len(x) // heads, spec.value_dim or len(x) // heads
        assert isinstance(key_dim, int)
        assert isinstance(value_dim, int)
        ones, qk, v = draw("heads", heads), draw("qk", heads * key_dim), draw("v", heads * value_dim)
        qks, vs = heads_of(qk, heads), heads_of(v, heads)
        layer, queries = (conv_norm, "qkv.norm") if spec.norm == "bn" else (dense, "qkv")
        tensors = {**norm("norm", x), **layer("qkv", qk + qk + v, x), **layer("proj", x, v)}
        tensors |= {**dense("pos_embd.token_projection", x), "bias.table_hO": ((ones,),)}
        rows = (f"{queries}.weight", f"{queries}.bias")
        return Channels(
            tensors=tensors,
            fields={"heads": (ones,), "key_dim": qks, "value_dim": vs},
            strata=(together(*qks), together(*vs)),
            owned=tuple((one, qks[i] + vs[i]) for i, one in enumerate(ones)),
            scaled=tuple(
                Scaled(tensors=rows, start=i * key_dim, stop=(i + 1) * key_dim, labels=qks[i]) for i in range(heads)
            ),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        if self.pos_embd is not None:
            x_BCHW = x_BCHW + self.pos_embd(x_BCHW)
        if self.window is None:
            return x_BCHW + self._mix(x_BCHW)
        y_PCSS = self._mix(to_windows(x_BCHW, self.side, self.window))
        return x_BCHW + from_windows(y_PCSS, self.side, self.window)

    def attention_maps(self, x_BCHW: Tensor) -> Tensor:
        """Give the weights of every position for every other, `(P, h, N, N)`; rows add up to 1."""
        return softmax_maps(self, x_BCHW)

    def _mix(self, x_PCSS: Tensor) -> Tensor:
        if self.on_maps:
            mixed_PCN = self._attend(self.qkv(x_PCSS).flatten(2))
            y_PCSS: Tensor = self.proj(mixed_PCN.unflatten(2, x_PCSS.shape[2:]))
            return y_PCSS
        x_PNC = x_PCSS.flatten(2).transpose(1, 2)
        mixed_PCN = self._attend(self.qkv(self.norm(x_PNC)).transpose(1, 2))
        return self.proj(mixed_PCN.transpose(1, 2)).transpose(1, 2).reshape(x_PCSS.shape)

    def _attend(self, qkv_PCN: Tensor) -> Tensor:
        keys, values = self.heads * self.key_dim, self.heads * self.value_dim
        q_PCN, k_PCN, v_PCN = qkv_PCN.split([keys, keys, values], dim=1)
        q_PhNq = q_PCN.unflatten(1, (self.heads, self.key_dim)).transpose(-2, -1) * self.key_dim**-0.5
        k_PhqN = k_PCN.unflatten(1, (self.heads, self.key_dim))
        v_PhNv = v_PCN.unflatten(1, (self.heads, self.value_dim)).transpose(-2, -1)
        logits_PhNN = q_PhNq @ k_PhqN
        attn_PhNN = self.softmax(logits_PhNN if self.bias is None else logits_PhNN + self.bias())
        return (attn_PhNN @ v_PhNv).transpose(-2, -1).flatten(1, 2)
