"""NAS-Bench-201's networks, built from their strings.

Source: X. Dong, Y. Yang, "NAS-Bench-201: extending the scope of reproducible neural architecture search", ICLR 2020,
section 2 and figure 1. Three groups of five cells of 16, 32 and 64 channels, residual blocks of stride 2 between them.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Network", "edges"]

WIDTHS = (16, 32, 64)
CELLS = 5


def edges(text: str) -> list[list[tuple[str, int]]]:
    """Operations and origins of each node: ``|skip_connect~0|+|none~0|none~1|+|...|``."""
    nodes = [[item.rpartition("~") for item in node.strip("|").split("|")] for node in text.split("+")]
    return [[(name, int(origin)) for name, _, origin in node] for node in nodes]


class Zero(nn.Module):
    """An edge that is not there."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give zeros."""
        return x_BCHW * 0.0


def conv(in_width: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    """ReLU, convolution, BatchNorm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(in_width, width, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
    )


OPERATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: Zero(),
    "skip_connect": lambda width: nn.Identity(),
    "nor_conv_1x1": lambda width: conv(width, width, 1),
    "nor_conv_3x3": lambda width: conv(width, width, 3),
    "avg_pool_3x3": lambda width: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
}


class Cell(nn.Module):
    """Four nodes; each is the sum of what its edges make of earlier ones."""

    def __init__(self, text: str, width: int) -> None:
        super().__init__()
        self.plan = edges(text)
        self.edges = nn.ModuleList([OPERATIONS[name](width) for node in self.plan for name, _ in node])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the last node."""
        nodes, layers = [x_BCHW], iter(self.edges)
        for node in self.plan:
            nodes.append(torch.stack([next(layers)(nodes[origin]) for _, origin in node]).sum(dim=0))
        return nodes[-1]


class Reduction(nn.Module):
    """A basic residual block that halves the map."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(in_width, width, 3, stride=2), conv(width, width, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_width, width, 1, bias=False))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        y_BCHW: Tensor = self.second(self.first(x_BCHW)) + self.shortcut(x_BCHW)
        return y_BCHW


class Stage(nn.Module):
    """An entry and cells, named as in networks of archlab, so that scores find the maps between them."""

    def __init__(self, entry: nn.Module, text: str, width: int) -> None:
        super().__init__()
        self.entry = entry
        self.blocks = nn.Sequential(*[Cell(text, width) for _ in range(CELLS)])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the group's map."""
        y_BCHW: Tensor = self.blocks(self.entry(x_BCHW))
        return y_BCHW


class Network(nn.Module):
    """A network of the benchmark with torch's own first weights."""

    def __init__(self, text: str, classes: int = 10) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]))
        entries = [stem, Reduction(WIDTHS[0], WIDTHS[1]), Reduction(WIDTHS[1], WIDTHS[2])]
        self.stages = nn.ModuleList([Stage(entry, text, width) for entry, width in zip(entries, WIDTHS, strict=True)])
        self.last = nn.Sequential(nn.BatchNorm2d(WIDTHS[2]), nn.ReLU())
        self.head = nn.Linear(WIDTHS[2], classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the logits."""
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        y_BK: Tensor = self.head(self.last(x_BCHW).mean(dim=(2, 3)))
        return y_BK
