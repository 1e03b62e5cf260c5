"""EdgeNeXt's split depthwise transpose attention: channel groups in a cascade, then attention between channels.

Source: EdgeNeXt (arXiv 2206.10589) §3.2 and fig. 2; where paper and reference implementation differ, the latter: the
last group passes unchanged, and the skip of the MLP starts at the block's input.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, N = H·W positions, h heads, d width of a
head, T = 3·h·d.
"""

import itertools
import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from archlab.model.attention import softmax_maps
from archlab.model.block import Block, Problem
from archlab.model.channels import Channels, Draw, Labels, Strata, dense, depthwise, heads_of, norm, together
from archlab.model.folding import fold_norm_into_next, fold_scale_into_previous
from archlab.model.layers import BatchNorm2d, Conv2d, LayerNorm, Linear, Mlp
from archlab.model.positions import FourierPosition
from archlab.spec import BlockSpec

__all__ = ["Sdta"]

GAMMA_START = 1e-6


class SplitConvs(nn.ModuleList):
    """Depthwise convolutions on all channel groups but the last, each fed with the previous result."""

    def __init__(self, width: int, splits: int, kernel: int) -> None:
        group = math.ceil(width / splits)
        super().__init__(Conv2d(group, group, kernel, padding=kernel // 2, groups=group) for _ in range(splits - 1))
        self.sizes = [group] * (splits - 1) + [width - group * (splits - 1)]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the map with its groups mixed; the width stays."""
        parts = x_BCHW.split(self.sizes, dim=1)
        done = [self[0](parts[0])]
        for conv, part in zip(itertools.islice(self, 1, None), parts[1:-1], strict=True):
            done.append(conv(done[-1] + part))
        return torch.cat([*done, parts[-1]], dim=1)


class CrossCovariance(nn.Module):
    """Attention between the channels of a head: the map is `(d, d)`, the cost linear in the positions.

    A head has `value_dim` queries and outputs, the rows of its map, and `key_dim` keys and values, the columns.

    Source: XCiT (arXiv 2106.09681) eq. 3.
    """

    def __init__(self, width: int, heads: int, key_dim: int, value_dim: int, *, on_maps: bool) -> None:
        super().__init__()
        self.heads, self.key_dim, self.value_dim, self.on_maps = heads, key_dim, value_dim, on_maps
        inner, rows = heads * value_dim, heads * (value_dim + 2 * key_dim)
        self.qkv = Conv2d(width, rows, 1) if on_maps else Linear(width, rows)
        self.temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.softmax = nn.Softmax(dim=-1)
        self.proj = Conv2d(inner, width, 1) if on_maps else Linear(inner, width)

    def reset(self, generator: Generator) -> None:
        """Start with temperature one."""
        self.temperature.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Mix channels of `(B, N, C)`, or on maps of `(B, C, H, W)`."""
        if self.on_maps:
            y_BCHW: Tensor = self.proj(self._attend(self.qkv(x).flatten(2)).unflatten(2, x.shape[2:]))
            return y_BCHW
        y_BNC: Tensor = self.proj(self._attend(self.qkv(x).transpose(1, 2)).transpose(1, 2))
        return y_BNC

    def _attend(self, qkv_BTN: Tensor) -> Tensor:
        q_BhdN, k_BhdN, v_BhdN = self._parts(qkv_BTN)
        q_BhdN = functional.normalize(q_BhdN, dim=-1)
        k_BhdN = functional.normalize(k_BhdN, dim=-1)
        attn_Bhdd = self.softmax(q_BhdN @ k_BhdN.transpose(-2, -1) * self.temperature)
        return (attn_Bhdd @ v_BhdN).flatten(1, 2)

    def _parts(self, qkv_BTN: Tensor) -> tuple[Tensor, ...]:
        if self.key_dim == self.value_dim:
            return qkv_BTN.unflatten(1, (3, self.heads, self.key_dim)).unbind(1)
        widths = [self.value_dim, self.key_dim, self.key_dim]
        parts = qkv_BTN.split([self.heads * width for width in widths], dim=1)
        return tuple(part.unflatten(1, (self.heads, width)) for part, width in zip(parts, widths, strict=True))


class Sdta(Block):
    """x + gamma · MLP(norm(t)), t = tokens + gamma_xca · XCA(norm(tokens)), tokens = split convolutions (+ position).

    With `bn` the first norm comes before the position, and its output is the base of the attention's skip.
    """

    roles = frozenset({"block"})
    needs = frozenset({"hidden", "kernels", "splits", "heads", "norm", "act"})
    allows = frozenset({"key_dim", "value_dim", "position"})
    norms = ("bn", "ln")
    positions = ("fourier",)

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.hidden is not None
        assert spec.kernels is not None
        assert spec.splits is not None
        assert spec.heads is not None
        assert spec.act is not None
        key_dim, value_dim = _head_widths(spec, in_width)
        self.on_maps = spec.norm == "bn"
        self.convs = SplitConvs(in_width, spec.splits, spec.kernels[0])
        self.pos_embd = None if spec.position is None else FourierPosition(in_width, in_side)
        norm_kind = BatchNorm2d if self.on_maps else LayerNorm
        self.norm_xca = norm_kind(in_width, spec.eps)
        self.xca = CrossCovariance(in_width, spec.heads, key_dim, value_dim, on_maps=self.on_maps)
        self.gamma_xca: nn.Parameter | None = nn.Parameter(torch.empty(in_width))
        self.norm: nn.Module = norm_kind(in_width, spec.eps)
        self.mlp = Mlp(in_width, spec.hidden, spec.act, on_maps=self.on_maps)
        self.gamma: nn.Parameter | None = nn.Parameter(torch.empty(in_width))

    @classmethod
    def problem(cls, spec: BlockSpec, in_width: int, in_side: int) -> Problem | None:
        """The splits must cut the channels, and the heads share them evenly."""
        assert spec.splits is not None
        assert spec.heads is not None
        group = math.ceil(in_width / spec.splits)
        if spec.splits < 2 or math.ceil(in_width / group) != spec.splits:
            fitting = [s for s in range(2, 9) if math.ceil(in_width / math.ceil(in_width / s)) == s]
            return Problem(
                f"{in_width} channels do not cut into {spec.splits} splits",
                f"splits {spec.splits}, width {in_width}",
                f"splits that leave no group empty, here {', '.join(map(str, fitting)) or 'none'}",
                "choose other splits or another width",
            )
        if spec.key_dim is None and in_width % spec.heads:
            return Problem(
                f"{in_width} channels do not divide into {spec.heads} heads",
                f"heads {spec.heads}, width {in_width}",
                f"heads that divide {in_width}",
                "choose other heads, or give key_dim",
            )
        return None

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map in its splits, the inner width, and per head queries with outputs and keys with values."""
        assert spec.hidden is not None
        assert spec.splits is not None
        assert spec.heads is not None
        heads, (key_dim, value_dim) = spec.heads, _head_widths(spec, len(x))
        hidden, ones = draw("ffn", spec.hidden), draw("heads", heads)
        q, kv = draw("q", heads * value_dim), draw("kv", heads * key_dim)
        qs, kvs = heads_of(q, heads), heads_of(kv, heads)
        tensors = {**norm("norm_xca", x), **norm("norm", x), "gamma": ((x,),), "gamma_xca": ((x,),)}
        for i, group in enumerate(_groups(x, spec.splits)[:-1]):
            tensors |= depthwise(f"convs.{i}", group)
        tensors |= {**dense("pos_embd.token_projection", x), "xca.temperature": ((ones,),)}
        tensors |= {**dense("xca.qkv", q + kv + kv, x), **dense("xca.proj", x, q)}
        tensors |= {**dense("mlp.fc1", hidden, x), **dense("mlp.fc2", x, hidden)}
        return Channels(
            tensors=tensors,
            fields={"hidden": (hidden,), "heads": (ones,), "key_dim": kvs, "value_dim": qs},
            strata=(_splits(x, spec.splits), together(*qs), together(*kvs)),
            owned=tuple((one, qs[i] + kvs[i]) for i, one in enumerate(ones)),
        )

    def reset(self, generator: Generator) -> None:
        """Start both layer scales near nothing."""
        assert self.gamma is not None
        assert self.gamma_xca is not None
        self.gamma.fill_(GAMMA_START)
        self.gamma_xca.fill_(GAMMA_START)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        return x_BCHW + (self._on_maps(x_BCHW) if self.on_maps else self._on_tokens(x_BCHW))

    def attention_maps(self, x_BCHW: Tensor) -> Tensor:
        """Give the weights of every channel of a head for every other, `(B, h, d, d)`; rows add up to 1."""
        return softmax_maps(self, x_BCHW)

    def _on_tokens(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.convs(x_BCHW)
        if self.pos_embd is not None:
            y_BCHW = y_BCHW + self.pos_embd(y_BCHW)
        t_BNC = y_BCHW.flatten(2).transpose(1, 2)
        t_BNC = t_BNC + _scaled(self.xca(self.norm_xca(t_BNC)), self.gamma_xca)
        t_BNC = _scaled(self.mlp(self.norm(t_BNC)), self.gamma)
        return t_BNC.transpose(1, 2).reshape(x_BCHW.shape)

    def _on_maps(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW: Tensor = self.norm_xca(self.convs(x_BCHW))
        if self.pos_embd is not None:
            y_BCHW = y_BCHW + self.pos_embd(y_BCHW)
        y_BCHW = y_BCHW + _scaled(self.xca(y_BCHW), self.gamma_xca, on_maps=True)
        return _scaled(self.mlp(self.norm(y_BCHW)), self.gamma, on_maps=True)

    def fold(self) -> None:
        """Fold the layer scales, and the BatchNorm before the MLP; the first BatchNorm feeds a skip and stays."""
        if self.gamma_xca is not None and self.gamma is not None:
            fold_scale_into_previous(self.xca.proj, self.gamma_xca)
            fold_scale_into_previous(self.mlp.fc2, self.gamma)
            self.gamma_xca = self.gamma = None
        if isinstance(self.norm, BatchNorm2d):
            fold_norm_into_next(self.norm, self.mlp.fc1)
            self.norm = nn.Identity()


def _scaled(y: Tensor, gamma_C: Tensor | None, *, on_maps: bool = False) -> Tensor:
    if gamma_C is None:
        return y
    return y * (gamma_C.view(-1, 1, 1) if on_maps else gamma_C)


def _head_widths(spec: BlockSpec, in_width: int) -> tuple[int, int]:
    key_dim = spec.key_dim or in_width // (spec.heads or 1)
    value_dim = spec.value_dim or key_dim
    assert isinstance(key_dim, int)
    assert isinstance(value_dim, int)
    return key_dim, value_dim


def _groups(x: Labels, splits: int) -> tuple[Labels, ...]:
    size = math.ceil(len(x) / splits)
    return tuple(x[i * size : (i + 1) * size] for i in range(splits))


def _splits(x: Labels, splits: int) -> Strata:
    """The map's groups: what meets at one place of the cascade goes together, the last group is free."""
    *mixed, last = _groups(x, splits)
    return tuple(zip(*mixed, strict=True)), tuple((label,) for label in last)
