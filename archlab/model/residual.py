"""Three convolutions and a shortcut: what the blocks on the way from ResNet to ConvNeXt have in common.

Sources: ResNet (arXiv 1512.03385) fig. 5; A ConvNet for the 2020s (arXiv 2201.03545) §2.2 to §2.6.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from typing import ClassVar

from torch import Tensor, nn

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, conv_norm
from archlab.model.layers import ACTS, ConvNorm
from archlab.spec import BlockSpec

__all__ = ["ThreeLayers"]


class ThreeLayers(Block):
    """shortcut(x) + three layers; the shortcut is a 1×1 convolution where width or side change.

    As an entry it keeps its shortcut, so the first entry of that kind may have stride 1. The last BatchNorm starts at
    weight 0.
    """

    roles = frozenset({"block", "entry"})
    needs = frozenset({"hidden", "kernels", "norm", "act"})
    has_shortcut = True
    starts_depthwise: ClassVar[bool] = False
    """Whether the k×k convolution comes first, on the width of the input, or in the middle, on `hidden`."""
    is_depthwise: ClassVar[bool] = True
    """Whether the k×k convolution keeps channels apart."""
    is_lean: ClassVar[bool] = False
    """Whether there is one activation, before the last layer, or one after every layer and the sum."""

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.act is not None
        self.layer1, self.layer2, self.layer3 = self._layers(spec, in_width)
        inner = "bn" if spec.norm == "bn" else None
        changes = spec.stride > 1 or in_width != spec.width
        self.shortcut: nn.Module = nn.Identity()
        if changes:
            self.shortcut = ConvNorm(in_width, spec.width, stride=spec.stride, norm=inner, eps=spec.eps)
        self.act = nn.Identity() if self.is_lean else ACTS[spec.act]()

    def _layers(self, spec: BlockSpec, in_width: int) -> tuple[ConvNorm, ConvNorm, ConvNorm]:
        assert spec.hidden is not None
        assert spec.kernels is not None
        hidden, inner = spec.hidden, "bn" if spec.norm == "bn" else None
        place = in_width if self.starts_depthwise else hidden
        spatial = ConvNorm(
            place,
            place,
            spec.kernels[0],
            stride=spec.stride,
            depthwise=self.is_depthwise,
            norm="ln" if spec.norm == "ln" else "bn",
            act=None if self.is_lean else spec.act,
            eps=spec.eps,
        )
        first = ConvNorm(in_width, hidden, norm=inner, act=spec.act, eps=spec.eps)
        last = ConvNorm(hidden, spec.width, norm=inner, eps=spec.eps, starts_at_zero=True)
        return (spatial, first, last) if self.starts_depthwise else (first, spatial, last)

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels | None:
        """Name both maps and the inner width; not of an entry that adds one stage's map to another's as it is."""
        assert spec.hidden is not None
        if x != y and len(x) == len(y) and spec.stride == 1:
            return None
        hidden = draw("ffn", spec.hidden)
        spatial, pointwise = ("layer1", "layer2") if cls.starts_depthwise else ("layer2", "layer1")
        place = x if cls.starts_depthwise else hidden
        tensors = {
            **conv_norm(spatial, place, () if cls.is_depthwise else place),
            **conv_norm(pointwise, hidden, x),
            **conv_norm("layer3", y, hidden),
            **conv_norm("shortcut", y, x),
        }
        return Channels(tensors=tensors, fields={"hidden": (hidden,)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        y_BCHW: Tensor = self.layer3(self.layer2(self.layer1(x_BCHW)))
        out_BCHW: Tensor = self.act(self.shortcut(x_BCHW) + y_BCHW)
        return out_BCHW
