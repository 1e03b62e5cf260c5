"""The kinds of classifiers: from the last map to one number per class.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, T positions and a class token, K classes.
"""

from typing import ClassVar

from torch import Tensor, nn

from archlab.model.block import Problem
from archlab.model.channels import Channels, Labels, conv_norm, dense
from archlab.model.channels import norm as norm_axes
from archlab.model.folding import fold_norm_into_next
from archlab.model.layers import ACTS, BN_EPS, BatchNorm1d, BatchNorm2d, ConvNorm, LayerNorm, Linear, norm_2d
from archlab.spec import HeadSpec

__all__ = ["HEADS", "Head"]


class Head(nn.Module):
    """A classifier on a map `(B, C, H, W)`."""

    norms: ClassVar[tuple[str, ...]]
    """Words that `norm` may be."""
    reads_tokens: ClassVar[bool] = False
    """Whether it reads a sequence with a class token instead of a map."""
    num_widths: ClassVar[int] = 0
    """How many hidden widths the kind takes; only a kind that takes some has an activation."""

    @classmethod
    def problem(cls, spec: HeadSpec) -> Problem | None:
        """Say why this head cannot be built."""
        if len(spec.widths) != cls.num_widths or any(not 1 <= w <= 65_536 for w in spec.widths):
            return Problem(
                f"head kind {spec.kind!r} takes {cls.num_widths} hidden widths",
                f"widths {list(spec.widths)[:4]}",
                f"{cls.num_widths} widths between 1 and 65536",
                "mend the field widths of the head",
            )
        if (spec.act is not None) != (cls.num_widths > 0):
            return Problem(
                f"head kind {spec.kind!r} {'needs an' if cls.num_widths else 'has no'} activation",
                f"act {spec.act!r}",
                ", ".join(ACTS) if cls.num_widths else "no act",
                "mend the field act of the head",
            )
        return None

    @classmethod
    def channels(cls, spec: HeadSpec, x: Labels) -> Channels:
        """Name the channels of the last map along the tensors; the hidden widths of a classifier stay whole."""
        return Channels(tensors={**norm_axes("norm", x), **dense("fc", (), x)})


class PoolHead(Head):
    """Mean over the map, norm (LayerNorm, or BatchNorm over the batch), Linear."""

    norms = ("bn", "ln")

    def __init__(self, spec: HeadSpec, width: int, classes: int) -> None:
        super().__init__()
        self.norm: nn.Module = (BatchNorm1d if spec.norm == "bn" else LayerNorm)(width, spec.eps)
        self.fc = Linear(width, classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the logits `(B, K)`."""
        logits_BK: Tensor = self.fc(self.norm(x_BCHW.mean((2, 3))))
        return logits_BK

    def fold(self) -> None:
        """Fold a BatchNorm into the classifier."""
        if isinstance(self.norm, BatchNorm1d):
            fold_norm_into_next(self.norm, self.fc)
            self.norm = nn.Identity()


class LinearHead(Head):
    """Mean over the map, Linear."""

    norms = ("none",)

    def __init__(self, spec: HeadSpec, width: int, classes: int) -> None:
        super().__init__()
        self.fc = Linear(width, classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the logits `(B, K)`."""
        logits_BK: Tensor = self.fc(x_BCHW.mean((2, 3)))
        return logits_BK


class NormPoolHead(Head):
    """Norm of the map, mean over it, Linear."""

    norms = ("bn", "ln")

    def __init__(self, spec: HeadSpec, width: int, classes: int) -> None:
        super().__init__()
        self.norm: nn.Module = norm_2d(spec.norm, width, spec.eps)
        self.fc = Linear(width, classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the logits `(B, K)`."""
        logits_BK: Tensor = self.fc(self.norm(x_BCHW).mean((2, 3)))
        return logits_BK

    def fold(self) -> None:
        """Fold a BatchNorm into the classifier: the mean over positions commutes with it."""
        if isinstance(self.norm, BatchNorm2d):
            fold_norm_into_next(self.norm, self.fc)
            self.norm = nn.Identity()


class ConvHead(Head):
    """1×1 convolution to widths[0], BN, act; mean; Linear to widths[1] without bias, LN, act; Linear.

    Both norms take the spec's epsilon, 1e-5 by default, as in EfficientViT (MIT).
    """

    norms = ("bn",)
    num_widths = 2

    def __init__(self, spec: HeadSpec, width: int, classes: int) -> None:
        super().__init__()
        assert spec.act is not None
        eps = BN_EPS if spec.eps is None else spec.eps
        self.in_conv = ConvNorm(width, spec.widths[0], act=spec.act, eps=eps)
        self.hidden = Linear(spec.widths[0], spec.widths[1], bias=False)
        self.norm = LayerNorm(spec.widths[1], eps)
        self.act = ACTS[spec.act]()
        self.fc = Linear(spec.widths[1], classes)

    @classmethod
    def channels(cls, spec: HeadSpec, x: Labels) -> Channels:
        """Name the channels of the map that the first convolution reads."""
        return Channels(tensors=conv_norm("in_conv", (), x))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the logits `(B, K)`."""
        pooled_BC = self.in_conv(x_BCHW).mean((2, 3))
        logits_BK: Tensor = self.fc(self.act(self.norm(self.hidden(pooled_BC))))
        return logits_BK


class TokenHead(Head):
    """The class token of a sequence, LayerNorm, Linear."""

    norms = ("ln",)
    reads_tokens = True

    def __init__(self, spec: HeadSpec, width: int, classes: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, spec.eps)
        self.fc = Linear(width, classes)

    def forward(self, x_BCT1: Tensor) -> Tensor:
        """Give the logits `(B, K)`."""
        logits_BK: Tensor = self.fc(self.norm(x_BCT1[:, :, 0, 0]))
        return logits_BK


HEADS: dict[str, type[Head]] = {
    "conv": ConvHead,
    "linear": LinearHead,
    "norm_pool": NormPoolHead,
    "pool": PoolHead,
    "token": TokenHead,
}
"""Word of the spec → classifier."""
