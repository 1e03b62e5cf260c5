"""Which channels do the weights of a layer run over? What a kind says here is all that pruning knows of it.

Every channel that may go has a number, its label; a label stands for everything that goes with the channel: the row of
the layer that makes it, the column of the layer that reads it, its norm. A kind draws labels for its inner widths, is
given those of the maps it reads and writes, and names the labels along the axes of each of its tensors. What must hold
for the kind to stay buildable (heads of one width, groups cut from the map, widths that follow another) is said beside
it, as plain tuples of labels.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

__all__ = [
    "EMPTY",
    "Axes",
    "Channels",
    "Draw",
    "Follower",
    "Labels",
    "Scaled",
    "Strata",
    "conv_norm",
    "dense",
    "depthwise",
    "heads_of",
    "norm",
    "together",
]

Labels = tuple[int, ...]
"""The channels along one axis of a tensor, or of one width."""

Axes = tuple[Labels, ...]
"""The labels of a tensor's first axes; further axes stay whole. An empty tuple: this axis stays whole."""

Strata = tuple[tuple[Labels, ...], ...]
"""Groups that lose equally many members; a member is the labels that only go together."""


class Draw(Protocol):
    """Hands out new labels."""

    def __call__(self, role: str, size: int) -> Labels:
        """Give `size` new labels of a role: `ffn`, `qk`, `v`, `q`, `kv`, `qkv`, `heads` or `follower`."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scaled:
    """Rows whose weights grow by sqrt(kept / before) of `labels`, because the layer divides by that root itself."""

    tensors: tuple[str, ...]
    start: int
    stop: int
    labels: Labels


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Follower:
    """A width that is no field of the spec: `size` computes it from how many of `leader` are kept."""

    labels: Labels
    leader: Labels
    size: Callable[[int], int]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Channels:
    """What one layer says of its channels.

    `tensors` maps the name of a parameter or buffer to its parts: blocks of rows laid end to end along the first axis,
    one for all but grouped convolutions; names that the layer lacks are skipped. `fields` maps a field of the spec to
    the widths it holds, one per head where it has heads. `strata` are the sets of labels that keep a common size;
    labels in none go one by one. `aligned` pairs an inner label with the one of the incoming map to which it is added:
    it cannot outlive that one. `pinned` labels go with another only. `owned` lists what goes with a head. `multiple`
    divides the width of the outgoing map.
    """

    tensors: Mapping[str, tuple[Axes, ...]]
    fields: Mapping[str, tuple[Labels, ...]] = dataclasses.field(default_factory=dict)
    strata: tuple[Strata, ...] = ()
    aligned: tuple[tuple[int, int], ...] = ()
    pinned: Labels = ()
    owned: tuple[tuple[int, Labels], ...] = ()
    scaled: tuple[Scaled, ...] = ()
    followers: tuple[Follower, ...] = ()
    multiple: int = 1


EMPTY = Channels(tensors={})
"""A layer without tensors that run over channels."""


def dense(name: str, rows: Labels, columns: Labels = ()) -> dict[str, tuple[Axes, ...]]:
    """Name the axes of a linear layer or full convolution that makes `rows` from `columns`."""
    return {f"{name}.weight": ((rows, columns),), f"{name}.bias": ((rows,),)}


def depthwise(name: str, rows: Labels) -> dict[str, tuple[Axes, ...]]:
    """Name the axes of a convolution that keeps channels apart."""
    return dense(name, rows)


def norm(name: str, labels: Labels) -> dict[str, tuple[Axes, ...]]:
    """Name the axes of a BatchNorm or LayerNorm."""
    return {f"{name}.{part}": ((labels,),) for part in ("weight", "bias", "running_mean", "running_var")}


def conv_norm(name: str, rows: Labels, columns: Labels = ()) -> dict[str, tuple[Axes, ...]]:
    """Name the axes of a `ConvNorm`; without columns a depthwise one, or one that reads the image."""
    return {**dense(f"{name}.conv", rows, columns), **norm(f"{name}.norm", rows)}


def heads_of(labels: Labels, heads: int) -> tuple[Labels, ...]:
    """Cut labels into one run per head."""
    width = len(labels) // heads
    return tuple(labels[i * width : (i + 1) * width] for i in range(heads))


def together(*groups: Labels) -> Strata:
    """Groups of single channels that stay equally long."""
    return tuple(tuple((label,) for label in group) for group in groups)
