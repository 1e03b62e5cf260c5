"""The small layers that blocks are made of, and how each of them starts.

Nothing here draws its first values while it is constructed: `build.initialise` calls `reset` on every layer
afterwards, with one generator. So a network can be laid out on the meta device in no time, and a seed fixes every
weight.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from archlab.model.folding import fold_norm_into_previous

__all__ = [
    "ACTS",
    "BN_EPS",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvNorm",
    "Foldable",
    "LayerNorm",
    "LayerNorm2d",
    "Linear",
    "Mlp",
    "Resettable",
    "is_jit_tracing",
    "norm_2d",
]

ACTS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "hardswish": nn.Hardswish,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
}
"""Word of the spec → activation."""

BN_EPS = 1e-5
LN_EPS = 1e-6
_STD = 0.02


@runtime_checkable
class Resettable(Protocol):
    """A layer that sets its own parameters and buffers (not those of its children)."""

    def reset(self, generator: Generator) -> None:
        """Fill parameters and buffers with their first values."""


@runtime_checkable
class Foldable(Protocol):
    """A layer or block that becomes cheaper, with the same outputs, once training is over."""

    def fold(self) -> None:
        """Fold in place; children were folded before."""


class Conv2d(nn.Conv2d):
    """nn.Conv2d whose weights start as a normal of 0.02 (ConvNeXt, EdgeNeXt), or as torch does before a BatchNorm.

    The papers' truncation at ±2 lies a hundred deviations out and is left away. Before a BatchNorm the scale of the
    weights is normalised away, so torch's own start serves there.
    """

    has_norm = False

    def reset_parameters(self) -> None:
        """Leave the first values to `reset`."""

    def reset(self, generator: Generator) -> None:
        """Draw the weights; the bias starts at zero."""
        if self.has_norm:
            bound = 1 / math.sqrt(self.weight[0].numel())
            self.weight.uniform_(-bound, bound, generator=generator)
        else:
            self.weight.normal_(0, _STD, generator=generator)
        if self.bias is not None:
            self.bias.zero_()


class Linear(nn.Linear):
    """nn.Linear whose weights start as a normal of 0.02."""

    def reset_parameters(self) -> None:
        """Leave the first values to `reset`."""

    def reset(self, generator: Generator) -> None:
        """Draw the weights; the bias starts at zero."""
        self.weight.normal_(0, _STD, generator=generator)
        if self.bias is not None:
            self.bias.zero_()


class BatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d that may start at weight 0, so that its residual branch starts as nothing."""

    starts_at_zero = False

    def __init__(self, width: int, eps: float | None = None) -> None:
        super().__init__(width, eps=BN_EPS if eps is None else eps)

    def reset_parameters(self) -> None:
        """Leave the first values to `reset`."""

    def reset(self, generator: Generator) -> None:
        """Set the identity, or zero."""
        self.reset_running_stats()
        self.weight.fill_(0.0 if self.starts_at_zero else 1.0)
        self.bias.zero_()


class BatchNorm1d(nn.BatchNorm1d):
    """nn.BatchNorm1d with a late start."""

    def __init__(self, width: int, eps: float | None = None) -> None:
        super().__init__(width, eps=BN_EPS if eps is None else eps)

    def reset_parameters(self) -> None:
        """Leave the first values to `reset`."""

    def reset(self, generator: Generator) -> None:
        """Set the identity."""
        self.reset_running_stats()
        self.weight.fill_(1.0)
        self.bias.zero_()


class LayerNorm(nn.LayerNorm):
    """nn.LayerNorm over the last axis, with a late start."""

    def __init__(self, width: int, eps: float | None = None) -> None:
        super().__init__(width, eps=LN_EPS if eps is None else eps)

    def reset_parameters(self) -> None:
        """Leave the first values to `reset`."""

    def reset(self, generator: Generator) -> None:
        """Set the identity."""
        self.weight.fill_(1.0)
        self.bias.zero_()


class LayerNorm2d(LayerNorm):
    """LayerNorm over the channels of a map `(B, C, H, W)`."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalise every position over its channels."""
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        return super().forward(x_BHWC).permute(0, 3, 1, 2)


def norm_2d(norm: str, width: int, eps: float | None) -> nn.Module:
    """Build the norm of a map: `bn` or `ln`, with the word's own epsilon when `eps` is None."""
    return LayerNorm2d(width, eps) if norm == "ln" else BatchNorm2d(width, eps)


def is_jit_tracing() -> bool:
    """Whether shapes are recorded now, so that none may be compared."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined]


class ConvNorm(nn.Module):
    """Convolution, norm, activation; it has a bias unless a BatchNorm follows (`norm` None: no norm, bias)."""

    def __init__(
        self,
        in_width: int,
        width: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        depthwise: bool = False,
        norm: str | None = "bn",
        act: str | None = None,
        eps: float | None = None,
        starts_at_zero: bool = False,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.conv = Conv2d(
            in_width,
            width,
            kernel,
            stride=stride,
            padding=kernel // 2 if padding is None else padding,
            groups=in_width if depthwise else 1,
            bias=norm != "bn",
        )
        self.conv.has_norm = norm == "bn"
        self.norm = nn.Identity() if norm is None else norm_2d(norm, width, eps)
        if isinstance(self.norm, BatchNorm2d):
            self.norm.starts_at_zero = starts_at_zero
        self.act = nn.Identity() if act is None else ACTS[act]()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Convolve, normalise, activate."""
        y_BCHW: Tensor = self.act(self.norm(self.conv(x_BCHW)))
        return y_BCHW

    def fold(self) -> None:
        """Fold a BatchNorm into the convolution before it."""
        if isinstance(self.norm, BatchNorm2d):
            fold_norm_into_previous(self.conv, self.norm)
            self.norm = nn.Identity()


class Mlp(nn.Module):
    """Pointwise to `hidden`, activation, pointwise back: on the last axis (Linear), or on maps (1×1 convolutions)."""

    def __init__(self, width: int, hidden: int, act: str, *, on_maps: bool) -> None:
        super().__init__()
        self.fc1 = Conv2d(width, hidden, 1) if on_maps else Linear(width, hidden)
        self.act = ACTS[act]()
        self.fc2 = Conv2d(hidden, width, 1) if on_maps else Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix channels; `x` is `(..., C)`, or `(B, C, H, W)` on maps."""
        y: Tensor = self.fc2(self.act(self.fc1(x)))
        return y
