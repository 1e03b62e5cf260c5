"""Downsampling of EfficientViT (MSRA): an inverted bottleneck of stride 2 with squeeze-and-excitation.

Source: EfficientViT (arXiv 2305.07027) §3.3, reference implementation.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from torch import Tensor, nn

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Follower, Labels, conv_norm, dense
from archlab.model.layers import Conv2d, ConvNorm
from archlab.spec import BlockSpec

__all__ = ["PatchMerge"]


class SqueezeExcite(nn.Module):
    """Weigh every channel by what the mean of the map says; a quarter of the width between, in steps of eight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        reduced = _reduced(width)
        self.fc1 = Conv2d(width, reduced, 1)
        self.act = nn.ReLU()
        self.fc2 = Conv2d(reduced, width, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Scale the channels."""
        mean_BC11 = x_BCHW.mean((2, 3), keepdim=True)
        gate_BC11: Tensor = self.gate(self.fc2(self.act(self.fc1(mean_BC11))))
        return x_BCHW * gate_BC11


class PatchMerge(Block):
    """pw→hidden, norm, act; dw k×k stride 2, norm, act; squeeze-excite; pw→width, norm."""

    roles = frozenset({"entry"})
    needs = frozenset({"hidden", "kernels", "norm", "act"})
    norms = ("bn", "ln")

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.hidden is not None
        assert spec.kernels is not None
        self.conv1 = ConvNorm(in_width, spec.hidden, norm=spec.norm, act=spec.act, eps=spec.eps)
        self.conv2 = ConvNorm(
            spec.hidden,
            spec.hidden,
            spec.kernels[0],
            stride=spec.stride,
            depthwise=True,
            norm=spec.norm,
            act=spec.act,
            eps=spec.eps,
        )
        self.se = SqueezeExcite(spec.hidden)
        self.conv3 = ConvNorm(spec.hidden, spec.width, norm=spec.norm, eps=spec.eps)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name both maps, the inner width, and what follows from it inside the squeeze-and-excitation."""
        assert spec.hidden is not None
        hidden, reduced = draw("ffn", spec.hidden), draw("follower", _reduced(spec.hidden))
        tensors = {**conv_norm("conv1", hidden, x), **conv_norm("conv2", hidden), **conv_norm("conv3", y, hidden)}
        tensors |= {**dense("se.fc1", reduced, hidden), **dense("se.fc2", hidden, reduced)}
        return Channels(
            tensors=tensors,
            fields={"hidden": (hidden,)},
            followers=(Follower(labels=reduced, leader=hidden, size=_reduced),),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Change width and side."""
        y_BCHW: Tensor = self.conv3(self.se(self.conv2(self.conv1(x_BCHW))))
        return y_BCHW


def _reduced(width: int) -> int:
    return max(8, (width + 16) // 32 * 8)
