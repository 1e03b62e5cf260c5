"""ConvNeXt's block, which is EdgeNeXt's convolution encoder too: depthwise, norm, inverted bottleneck, layer scale.

Sources: A ConvNet for the 2020s (arXiv 2201.03545) fig. 4; EdgeNeXt (arXiv 2206.10589) §3.2.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import torch
from torch import Generator, Tensor, nn

from archlab.model.block import Block
from archlab.model.channels import Channels, Draw, Labels, dense, depthwise, norm
from archlab.model.folding import fold_norm_into_previous, fold_scale_into_previous
from archlab.model.layers import BatchNorm2d, Conv2d, LayerNorm, Mlp
from archlab.spec import BlockSpec

__all__ = ["ConvNeXt"]

GAMMA_START = 1e-6


class ConvNeXt(Block):
    """x + gamma · MLP(norm(dw k×k(x))); with `ln` channels-last, with `bn` on maps and without bias before the norm."""

    roles = frozenset({"block"})
    needs = frozenset({"hidden", "kernels", "norm", "act"})
    norms = ("bn", "ln")

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        assert spec.hidden is not None
        assert spec.kernels is not None
        assert spec.act is not None
        kernel = spec.kernels[0]
        self.on_maps = spec.norm == "bn"
        self.conv_dw = Conv2d(in_width, in_width, kernel, padding=kernel // 2, groups=in_width, bias=spec.norm == "ln")
        self.conv_dw.has_norm = self.on_maps
        self.norm: nn.Module = (BatchNorm2d if self.on_maps else LayerNorm)(in_width, spec.eps)
        self.mlp = Mlp(in_width, spec.hidden, spec.act, on_maps=self.on_maps)
        self.gamma: nn.Parameter | None = nn.Parameter(torch.empty(in_width))

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the map and the inner width."""
        assert spec.hidden is not None
        hidden = draw("ffn", spec.hidden)
        tensors = {**depthwise("conv_dw", x), **norm("norm", x), "gamma": ((x,),)}
        tensors |= {**dense("mlp.fc1", hidden, x), **dense("mlp.fc2", x, hidden)}
        return Channels(tensors=tensors, fields={"hidden": (hidden,)})

    def reset(self, generator: Generator) -> None:
        """Start the layer scale near nothing."""
        assert self.gamma is not None
        self.gamma.fill_(GAMMA_START)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch."""
        y_BCHW = self.conv_dw(x_BCHW)
        if self.on_maps:
            y_BCHW = self.mlp(self.norm(y_BCHW))
            return x_BCHW + (y_BCHW if self.gamma is None else y_BCHW * self.gamma.view(-1, 1, 1))
        y_BHWC = self.mlp(self.norm(y_BCHW.permute(0, 2, 3, 1)))
        y_BHWC = y_BHWC if self.gamma is None else y_BHWC * self.gamma
        return x_BCHW + y_BHWC.permute(0, 3, 1, 2)

    def fold(self) -> None:
        """Fold the BatchNorm into the depthwise convolution and the layer scale into the last layer."""
        if isinstance(self.norm, BatchNorm2d):
            fold_norm_into_previous(self.conv_dw, self.norm)
            self.norm = nn.Identity()
        if self.gamma is not None:
            fold_scale_into_previous(self.mlp.fc2, self.gamma)
            self.gamma = None
