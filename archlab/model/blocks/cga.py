"""Cascaded group attention of EfficientViT (MSRA): every head sees its share of the channels plus the head before.

Source: EfficientViT (arXiv 2305.07027) §3.1, reference implementation for windows and bias.

Legend of the shape suffixes: B batch, P batch times windows, C channels, S side of a window, N = S·S positions, q
width of queries and keys of a head, v width of its values.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from archlab.model.attention import softmax_maps
from archlab.model.block import Block, Problem
from archlab.model.channels import Axes, Channels, Draw, Labels, Scaled, conv_norm, heads_of, norm, together
from archlab.model.layers import ACTS, ConvNorm, LayerNorm2d
from archlab.model.positions import RelativeBias
from archlab.model.windows import from_windows, to_windows
from archlab.spec import BlockSpec

__all__ = ["CascadedGroupAttention"]


class CascadedGroupAttention(Block):
    """bn: x + BN(pw(act(heads(x)))); ln: x + pw(act(heads(LN(x)))), no norm inside the branch.

    Head by head inside windows; padding of the map is attended to like the rest.

    Head i reads its group of C/h channels plus, over the channels both have, the output of head i−1. The softmax is
    one module, called once per head in order. The last BatchNorm starts at weight 0.
    """

    roles = frozenset({"block"})
    needs = frozenset({"heads", "key_dim", "kernels", "norm", "act"})
    allows = frozenset({"value_dim", "window", "position"})
    norms = ("bn", "ln")
    positions = ("bias",)
    per_head = frozenset({"key_dim", "value_dim"})
    has_many_kernels = True
    relates_positions = True
    cascades: ClassVar[bool] = True
    """Whether a head is added to the next head's group."""

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.heads is not None
        assert spec.kernels is not None
        assert spec.act is not None
        group = in_width // spec.heads
        self.side = in_side
        self.window = _window(spec, in_side)
        self.group = group
        self.key_dims = _per_head(spec.key_dim, spec.heads, group)
        self.value_dims = _per_head(spec.value_dim, spec.heads, group)
        dims = list(zip(self.key_dims, self.value_dims, spec.kernels, strict=True))
        inner = "bn" if spec.norm == "bn" else None
        self.norm: nn.Module = nn.Identity() if inner else LayerNorm2d(in_width, spec.eps)
        self.qkvs = nn.ModuleList(ConvNorm(group, 2 * q + v, norm=inner, eps=spec.eps) for q, v, _ in dims)
        self.dws = nn.ModuleList(
            ConvNorm(q, q, kernel, depthwise=True, norm=inner, eps=spec.eps) for q, _, kernel in dims
        )
        self.bias = None if spec.position is None else RelativeBias(spec.heads, self.window)
        self.softmax = nn.Softmax(dim=-1)
        self.act = ACTS[spec.act]()
        self.proj = ConvNorm(sum(self.value_dims), in_width, norm=inner, eps=spec.eps, starts_at_zero=True)

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Heads must share the channels evenly, and what is given per head must be given for every head."""
        assert spec.heads is not None
        if in_width % spec.heads:
            return Problem(
                f"{in_width} channels do not divide into {spec.heads} heads",
                f"heads {spec.heads}, width {in_width}",
                f"heads that divide {in_width}",
                "choose other heads or another width",
            )
        for name in ("kernels", "key_dim", "value_dim"):
            value = getattr(spec, name)
            if isinstance(value, tuple) and len(value) != spec.heads:
                return Problem(
                    f"{name} is not given for every head",
                    f"{len(value)} values for {spec.heads} heads",
                    f"{spec.heads} values",
                    f"give one {name} per head",
                )
        return None

    @classmethod
    def fixes_side(cls, spec: BlockSpec) -> bool:
        """Windows are cut for one side."""
        return True

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map in its groups and the widths of every head; a head of a cascade is added to the next group."""
        assert spec.heads is not None
        groups = heads_of(x, spec.heads)
        qks = [draw("qk", width) for width in _per_head(spec.key_dim, spec.heads, len(groups[0]))]
        vs = [draw("v", width) for width in _per_head(spec.value_dim, spec.heads, len(groups[0]))]
        rows = "norm" if spec.norm == "bn" else "conv"
        tensors: dict[str, tuple[Axes, ...]] = dict(norm("norm", x))
        scaled = []
        for i, (group, qk, v) in enumerate(zip(groups, qks, vs, strict=True)):
            tensors |= {**conv_norm(f"qkvs.{i}", qk + qk + v, group), **conv_norm(f"dws.{i}", qk)}
            names = (f"dws.{i}.{rows}.weight", f"dws.{i}.{rows}.bias")
            scaled.append(Scaled(tensors=names, start=0, stop=len(qk), labels=qk))
        tensors |= conv_norm("proj", x, tuple(label for v in vs for label in v))
        added = [(v, group) for v, group in zip(vs, groups[1:], strict=False) if cls.cascades]
        return Channels(
            tensors=tensors,
            fields={"key_dim": tuple(qks), "value_dim": tuple(vs)},
            strata=(together(*groups),),
            aligned=tuple(pair for v, group in added for pair in zip(v, group, strict=False)),
            pinned=tuple(inner for v, group in added if len(v) > len(group) for inner in v),
            scaled=tuple(scaled),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        is_cut = self.window < self.side
        y_BCHW = self.norm(x_BCHW)
        x_PCSS = to_windows(y_BCHW, self.side, self.window) if is_cut else y_BCHW
        y_PCSS: Tensor = self.proj(self.act(torch.cat(self._heads(x_PCSS), dim=1)))
        return x_BCHW + (from_windows(y_PCSS, self.side, self.window) if is_cut else y_PCSS)

    def attention_maps(self, x_BCHW: Tensor) -> Tensor:
        """Give the weights of the heads in their order, each after the cascade, `(P, h, N, N)`; rows add up to 1."""
        return softmax_maps(self, x_BCHW)

    def _heads(self, x_PCSS: Tensor) -> list[Tensor]:
        bias_hNN = None if self.bias is None else self.bias()
        area = self.window * self.window
        groups = x_PCSS.split(self.group, dim=1)
        outputs: list[Tensor] = []
        for i, (qkv, dw) in enumerate(zip(self.qkvs, self.dws, strict=True)):
            feed_PCSS = self._cascade(groups[i], outputs[-1]) if i else groups[0]
            q, v = self.key_dims[i], self.value_dims[i]
            q_PqSS, k_PqSS, v_PvSS = qkv(feed_PCSS).split([q, q, v], dim=1)
            q_PqN = dw(q_PqSS).reshape(-1, q, area) * q**-0.5
            logits_PNN = q_PqN.transpose(1, 2) @ k_PqSS.reshape(-1, q, area)
            attn_PNN = self.softmax(logits_PNN if bias_hNN is None else logits_PNN + bias_hNN[i])
            out_PvN = v_PvSS.reshape(-1, v, area) @ attn_PNN.transpose(1, 2)
            outputs.append(out_PvN.reshape(-1, v, self.window, self.window))
        return outputs

    def _cascade(self, group_PCSS: Tensor, before_PvSS: Tensor) -> Tensor:
        width = before_PvSS.shape[1]
        if width == self.group:
            return group_PCSS + before_PvSS
        if width > self.group:
            return group_PCSS + before_PvSS[:, : self.group]
        return torch.cat([group_PCSS[:, :width] + before_PvSS, group_PCSS[:, width:]], dim=1)


def _window(spec: BlockSpec, in_side: int) -> int:
    return in_side if spec.window is None else min(spec.window, in_side)


def _per_head(dims: int | tuple[int, ...] | None, heads: int, default: int) -> tuple[int, ...]:
    return dims if isinstance(dims, tuple) else (default if dims is None else dims,) * heads
