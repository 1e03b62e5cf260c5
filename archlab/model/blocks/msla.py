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
    foreign = dict.fromkeys(("timm", "official"), (("qkv.", "qkv.conv."),))

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
