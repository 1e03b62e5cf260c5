"""Patches as a sequence: one convolution, a class token in front, a learned position for each.

Sources: ViT (arXiv 2010.11929) §3.1; DeiT (arXiv 2012.12877).

Legend of the shape suffixes: B batch, C channels, H and W rows and columns of the patches, N = H·W, T = N + 1.
"""

import torch
from torch import Generator, Tensor, nn

from archlab.model.channels import Channels, Draw, Labels, dense
from archlab.model.layers import Conv2d
from archlab.model.patches import PatchEntry
from archlab.spec import BlockSpec

__all__ = ["PatchTokens"]

STD = 0.02


class PatchTokens(PatchEntry):
    """(class token, k×k convolution of stride k) + position, as a map of N + 1 rows and one column."""

    needs = frozenset({"kernels"})
    allows = frozenset({"position"})
    norms = ()
    positions = ("learned",)
    makes_tokens = True

    def __init__(self, spec: BlockSpec, in_width: int, in_side: int) -> None:
        super().__init__()
        count = (in_side // spec.stride) ** 2
        self.patches = Conv2d(in_width, spec.width, spec.stride, stride=spec.stride)
        self.class_token_11C = nn.Parameter(torch.empty(1, 1, spec.width))
        has_position = spec.position is not None
        self.position_1TC = nn.Parameter(torch.empty(1, count + 1, spec.width)) if has_position else None

    def reset(self, generator: Generator) -> None:
        """Draw the class token and the positions."""
        self.class_token_11C.normal_(0, STD, generator=generator)
        if self.position_1TC is not None:
            self.position_1TC.normal_(0, STD, generator=generator)

    @classmethod
    def fixes_side(cls, spec: BlockSpec) -> bool:
        """There is one position per patch."""
        return spec.position is not None

    @classmethod
    def channels(cls, spec: BlockSpec, x: Labels, y: Labels, draw: Draw) -> Channels:
        """Name the sequence it writes."""
        last: tuple[Labels, ...] = ((), (), y)
        return Channels(tensors={**dense("patches", y, x), "class_token_11C": (last,), "position_1TC": (last,)})

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the sequence as a map `(B, C, N + 1, 1)`."""
        patches_BNC = self.patches(x_BCHW).flatten(2).transpose(1, 2)
        class_B1C = self.class_token_11C.expand(patches_BNC.shape[0], -1, -1)
        x_BTC = torch.cat([class_B1C, patches_BNC], dim=1)
        if self.position_1TC is not None:
            x_BTC = x_BTC + self.position_1TC
        return x_BTC.transpose(1, 2).unflatten(2, (-1, 1))
