"""Multi-scale linear attention of EfficientViT (MIT): no softmax, so its cost is linear in the positions.

Source: EfficientViT (arXiv 2205.14756) §3.1 and fig. 2, reference implementation. The denominator's epsilon is 1e-5
as in timm; the reference uses 1e-15, which its weights show as differences of about 4e-5.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, N = H·W positions, h heads of all scales,
d width of a head, T = 3·d, e = d + 1.
"""

import contextlib

import torch
from torch import Tensor, nn
from torch.nn import functional

from archlab.model.block import Block
from archlab.model.channels import Axes, Channels, Draw, Labels, conv_norm, dense, depthwise, heads_of, together
from archlab.model.layers import Conv2d, ConvNorm
from archlab.spec import BlockSpec

__all__ = ["LinearAttention"]

EPS = 1e-5


class LinearAttention(Block):
    """x + BN(pw(attention(qkv, aggregated qkv))): one group of heads per scale, each scale a depthwise kernel.

    Every head owns a run of 3·d channels in the order q, k, v. The products run in float32.
    """

    roles = frozenset({"block"})
    needs = frozenset({"heads", "key_dim", "kernels", "norm"})
    has_many_kernels = True

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.heads is not None
        assert spec.kernels is not None
        assert isinstance(spec.key_dim, int)
        self.key_dim = spec.key_dim
        inner = 3 * spec.heads * spec.key_dim
        self.qkv = Conv2d(in_width, inner, 1, bias=False)
        self.aggreg = nn.ModuleList(
            nn.Sequential(
                Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False),
                Conv2d(inner, inner, 1, groups=3 * spec.heads, bias=False),
            )
            for kernel in spec.kernels
        )
        self.act = nn.ReLU()
        self.proj = ConvNorm(spec.heads * spec.key_dim * (1 + len(spec.kernels)), in_width, eps=spec.eps)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map, and each head on every scale; all keep one width for queries, keys and values."""
        heads, width = spec.heads or 1, spec.key_dim
        assert isinstance(width, int)
        scales = [heads_of(draw("qkv", 2 * heads * width), heads) for _ in range(1 + len(spec.kernels or ()))]
        ones = draw("heads", heads)
        base = _rows(scales[0])
        tensors: dict[str, tuple[Axes, ...]] = dict(dense("qkv", base, x))
        for i, scale in enumerate(scales[1:]):
            tensors |= depthwise(f"aggreg.{i}.0", base)
            pairs = zip(_thirds(scale), _thirds(scales[0]), strict=True)
            tensors[f"aggreg.{i}.1.weight"] = tuple((rows, columns) for rows, columns in pairs)
        values = tuple(label for scale in scales for head in scale for label in head[width:])
        tensors |= conv_norm("proj", x, values)
        runs = [part for scale in scales for head in scale for part in (head[:width], head[width:])]
        return Channels(
            tensors=tensors,
            fields={"heads": (ones,), "key_dim": tuple(head[:width] for head in scales[0])},
            strata=(together(*runs),),
            owned=tuple((one, sum((scale[i] for scale in scales), ())) for i, one in enumerate(ones)),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        qkv_BhTN = self._scales(x_BCHW)
        with _full_precision(x_BCHW):
            out_BhdN = self._attend(qkv_BhTN.float()).to(x_BCHW.dtype)
        out_BCHW = out_BhdN.flatten(1, 2).unflatten(2, x_BCHW.shape[2:])
        y_BCHW: Tensor = self.proj(out_BCHW)
        return x_BCHW + y_BCHW

    def attention_maps(self, x_BCHW: Tensor) -> Tensor:
        """Give the map that linear attention never forms, ReLU(q) ReLU(k)ᵀ over its sums, `(B, h, N, N)`.

        Rows add up to 1 but for the epsilon; a query that is all zero after the ReLU has a row of zeros.
        """
        with _full_precision(x_BCHW):
            q_BhdN, k_BhdN, _ = self._scales(x_BCHW).float().split(self.key_dim, dim=2)
            scores_BhNN = self.act(q_BhdN).transpose(-2, -1) @ self.act(k_BhdN)
            return scores_BhNN / (scores_BhNN.sum(dim=-1, keepdim=True) + EPS)

    def _scales(self, x_BCHW: Tensor) -> Tensor:
        qkv_BCHW = self.qkv(x_BCHW)
        scales = torch.cat([qkv_BCHW, *(scale(qkv_BCHW) for scale in self.aggreg)], dim=1)
        return scales.flatten(2).unflatten(1, (-1, 3 * self.key_dim))

    def _attend(self, qkv_BhTN: Tensor) -> Tensor:
        q_BhdN, k_BhdN, v_BhdN = qkv_BhTN.split(self.key_dim, dim=2)
        v_BheN = functional.pad(v_BhdN, (0, 0, 0, 1), value=1.0)
        kv_Bhed = v_BheN @ self.act(k_BhdN).transpose(-2, -1)
        sums_BheN = kv_Bhed @ self.act(q_BhdN)
        return sums_BheN[:, :, :-1] / (sums_BheN[:, :, -1:] + EPS)


def _full_precision(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Switch autocast off where it is on; nothing else, so that tracers see nothing."""
    device = x.device.type
    if device in ("cpu", "cuda") and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()


def _thirds(heads: tuple[Labels, ...]) -> tuple[Labels, ...]:
    """Queries, keys and values of every head in turn; queries and keys share their labels, the first half of a head."""
    return tuple(part for h in heads for part in (h[: len(h) // 2], h[: len(h) // 2], h[len(h) // 2 :]))


def _rows(heads: tuple[Labels, ...]) -> Labels:
    return tuple(label for third in _thirds(heads) for label in third)
