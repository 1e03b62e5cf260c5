"""Softmax attention inside windows, with a bias per head and offset.

Source: Swin Transformer (arXiv 2103.14030) §3.2, reference implementation.

Legend of the shape suffixes: B batch, P batch times windows, W windows of a map, C channels, H and W after a B rows and
columns, S side of a window, N = S·S positions, h heads, q width of queries and keys of a head, v width of its values.
"""

import dataclasses

import torch
from torch import Generator, Tensor, nn

from archlab.model.attention import softmax_maps
from archlab.model.block import Block, Problem
from archlab.model.blocks.mhsa import SelfAttention
from archlab.model.channels import Channels, Draw, Labels
from archlab.model.layers import LayerNorm, Linear
from archlab.model.positions import OffsetBias
from archlab.model.windows import from_token_windows, to_token_windows, to_windows
from archlab.spec import BlockSpec

__all__ = ["WindowAttention"]

FAR = -100.0
"""What the reference adds to the logit of a position that lies elsewhere in the unshifted map."""


class WindowAttention(Block):
    """x + proj(attention(LN(x))) window by window; a map no larger than the window is one window.

    Where windows do not divide the side, zeros stand below and to the right of the normalised map, and are attended to
    like the rest.
    """

    roles = frozenset({"block"})
    needs = frozenset({"heads", "norm", "window"})
    allows = frozenset({"key_dim", "value_dim", "position"})
    norms = ("ln",)
    positions = ("bias",)
    relates_positions = True
    shifts = False
    mask_WhNN: Tensor | None

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.heads is not None
        assert spec.window is not None
        assert not isinstance(spec.key_dim, tuple)
        assert not isinstance(spec.value_dim, tuple)
        self.heads = spec.heads
        self.key_dim = spec.key_dim or in_width // spec.heads
        self.value_dim = spec.value_dim or in_width // spec.heads
        self.side, self.window = in_side, min(spec.window, in_side)
        self.shift = self.window // 2 if self.shifts and self.window < in_side else 0
        inner, values = self.heads * (2 * self.key_dim + self.value_dim), self.heads * self.value_dim
        self.norm = LayerNorm(in_width, spec.eps)
        self.qkv = Linear(in_width, inner)
        self.bias = OffsetBias(self.heads, self.window) if spec.position == "bias" else None
        self.softmax = nn.Softmax(dim=-1)
        self.proj = Linear(values, in_width)
        count, area = (-(-in_side // self.window)) ** 2, self.window**2
        mask_WhNN = torch.empty(count, 1, area, area) if self.shift else None
        self.register_buffer("mask_WhNN", mask_WhNN, persistent=False)

    def reset(self, generator: Generator) -> None:
        """Find the pairs of positions that the shift brought into one window."""
        if self.mask_WhNN is not None:
            self.mask_WhNN.copy_(_mask(self.side, self.window, self.shift))

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """Without widths per head, the heads must share the channels evenly."""
        return SelfAttention.problem(spec, in_width, in_side)

    @classmethod
    def fixes_side(cls, spec: BlockSpec) -> bool:
        """Windows are cut for one side."""
        return True

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the channels as attention to the whole map does, and the heads of the bias."""
        found = SelfAttention.channels(spec, x, y, draw)
        (ones,) = found.fields["heads"]
        return dataclasses.replace(found, tensors={**found.tensors, "bias.table_Oh": (((), ones),)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BHWC = self.norm(x_BCHW.permute(0, 2, 3, 1))
        if self.shift:
            y_BHWC = torch.roll(y_BHWC, (-self.shift, -self.shift), (1, 2))
        y_PNC = self._attend(to_token_windows(y_BHWC, self.side, self.window))
        y_BHWC = from_token_windows(self.proj(y_PNC), self.side, self.window)
        if self.shift:
            y_BHWC = torch.roll(y_BHWC, (self.shift, self.shift), (1, 2))
        return x_BCHW + y_BHWC.permute(0, 3, 1, 2)

    def attention_maps(self, x_BCHW: Tensor) -> Tensor:
        """Give the weights of every position of a window for every other, `(P, h, N, N)`; rows add up to 1."""
        return softmax_maps(self, x_BCHW)

    def _attend(self, x_PNC: Tensor) -> Tensor:
        keys, values = self.heads * self.key_dim, self.heads * self.value_dim
        q_PNC, k_PNC, v_PNC = self.qkv(x_PNC).split([keys, keys, values], dim=2)
        q_PhNq = q_PNC.unflatten(2, (self.heads, self.key_dim)).transpose(1, 2) * self.key_dim**-0.5
        k_PhNq = k_PNC.unflatten(2, (self.heads, self.key_dim)).transpose(1, 2)
        v_PhNv = v_PNC.unflatten(2, (self.heads, self.value_dim)).transpose(1, 2)
        attn_PhNN = self.softmax(self._placed(q_PhNq @ k_PhNq.transpose(-2, -1)))
        return (attn_PhNN @ v_PhNv).transpose(1, 2).flatten(2)

    def _placed(self, logits_PhNN: Tensor) -> Tensor:
        if self.bias is not None:
            logits_PhNN = logits_PhNN + self.bias()
        if self.mask_WhNN is None:
            return logits_PhNN
        logits_BWhNN = logits_PhNN.unflatten(0, (-1, self.mask_WhNN.shape[0]))
        return (logits_BWhNN + self.mask_WhNN).flatten(0, 1)

    def fold(self) -> None:
        """Add the gathered bias to the mask, where there is one."""
        if self.bias is not None and self.mask_WhNN is not None:
            self.mask_WhNN = self.mask_WhNN + self.bias().detach()
            self.bias = None


def _mask(side: int, window: int, shift: int) -> Tensor:
    """`FAR` between positions of a window that are no neighbours in the unshifted map, `(W, 1, N, N)`."""
    padded = side + -side % window
    place = torch.arange(padded)
    region = (place >= padded - window).float() + (place >= padded - shift).float()
    region_11HW = (3 * region[:, None] + region)[None, None]
    region_WN = to_windows(region_11HW, padded, window).flatten(1)
    return torch.where(region_WN[:, None, :] == region_WN[:, :, None], 0.0, FAR)[:, None]
