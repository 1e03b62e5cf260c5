"""The pass that looks: all images once through the untrained network, and what its activations and maps are like.

Legend of the shape suffixes: B images, U units, C channels, H and W rows and columns, P positions.
"""

import dataclasses
import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archlab.proxy.modes import as_batches, only_differentiable, places, watched

__all__ = ["MAX_PATTERN_IMAGES", "Look", "joined", "look", "smallest_eigenvalue"]

MAX_PATTERN_IMAGES = 52
"""A unit's bits over the images are kept in one number; further images are not looked at."""

_TABLE_IMAGES = 18
"""Up to so many images, all patterns that can be fit in a table; sorting takes longer."""

_aten = torch.ops.aten
_ACTIVATIONS = frozenset(
    {_aten.relu, _aten.relu_, _aten.gelu, _aten.hardswish, _aten.hardswish_, _aten.silu, _aten.silu_,
     _aten.leaky_relu, _aten.hardtanh, _aten.hardtanh_}
)  # fmt: skip
"""Operators whose input's sign is a bit; hardtanh is ReLU6."""


@dataclasses.dataclass
class Look:
    """What one pass showed; what was not asked for stays empty.

    `shared_BB` counts the activation bits that two images share, of `bits` in all; `patterns` holds the distinct
    columns of bits that the images put on the units, as numbers; `lambdas` the smallest eigenvalue of each layer's
    correlation between channels, of the first image; `maps` the maps after entries and blocks, differentiable by each
    other; `images_BCHW` and `output` are the graph's ends; `entropies` and `trainability` are
    where the parts of az_nas keep what they worked out, `last` where `lambdas` keeps the last map.
    """

    images_BCHW: Tensor
    shared_BB: Tensor
    bits: int = 0
    patterns: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    lambdas: list[float] = dataclasses.field(default_factory=list)
    maps: list[Tensor] = dataclasses.field(default_factory=list)
    output: Tensor | None = None
    last: tuple[Tensor, float] | None = None
    entropies: list[float] | None = None
    trainability: float | None = None


class _Signs(TorchDispatchMode):
    """Shows the input of every activation, as `(B, U)` bits."""

    def __init__(self, batch: int, see: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.batch, self.see = batch, see

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket in _ACTIVATIONS and args[0].shape[0] % self.batch == 0:
            self.see(args[0].detach().reshape(self.batch, -1) > 0)
        return func(*args, **(kwargs or {}))


def look(module: nn.Module, images_BCHW: Tensor, reads: frozenset[str]) -> Look:
    """Run all images once and note what is read.

    An activation whose input does not begin with the images, as inside some attention windows, is counted where its
    first axis is a multiple of them: images vary slowest there.
    """
    batch, wants_graph = len(images_BCHW), "graph" in reads
    shown_BCHW = images_BCHW.detach().clone().requires_grad_(wants_graph)
    found = Look(images_BCHW=shown_BCHW, shared_BB=torch.zeros(batch, batch, dtype=torch.float64))
    patterns: list[Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(as_batches(module))
        stack.enter_context(only_differentiable(module))
        stack.enter_context(torch.set_grad_enabled(wants_graph))
        if wants_graph:
            stack.enter_context(watched(places(module), lambda layer, output: found.maps.append(output)))
        if "layers" in reads:
            stack.enter_context(watched(list(module.modules()), functools.partial(_correlate, found)))
        if reads & {"kernel", "patterns"}:
            stack.enter_context(_Signs(batch, functools.partial(_note, found, patterns, reads)))
        found.output = joined(module(shown_BCHW.clone()))
    if patterns:
        found.patterns = torch.unique(torch.cat(patterns))
    return found


def _note(found: Look, patterns: list[Tensor], reads: frozenset[str], bits_BU: Tensor) -> None:
    ones_BU = bits_BU.float()
    if "kernel" in reads:
        units = ones_BU.shape[1]
        both_BB = (ones_BU @ ones_BU.T).double()  # bits that both images have on
        own_B = both_BB.diagonal()
        found.shared_BB += units - own_B[:, None] - own_B[None, :] + 2 * both_BB
        found.bits += units
    if "patterns" in reads:
        patterns.append(_pack(ones_BU))


def _correlate(found: Look, layer: nn.Module, output: Any) -> None:
    if not isinstance(output, Tensor) or output.dim() not in (3, 4):
        return
    if not found.last or found.last[0] is not output:  # a container gives what its last layer gave
        found.last = (output, smallest_eigenvalue(output.detach()[0]))
    found.lambdas.append(found.last[1])


def joined(output: Any) -> Tensor:
    """The output as one tensor `(B, …)`; the maps of a feature extractor follow each other."""
    if isinstance(output, list | tuple):
        return torch.cat([item.flatten(1) for item in output], dim=1)
    assert isinstance(output, Tensor)
    return output


def _pack(ones_BU: Tensor) -> Tensor:
    """Distinct columns of bits, each as one whole number, exact in float64 and up to 24 images in float32."""
    shown_BU = ones_BU[:MAX_PATTERN_IMAGES]
    is_short = len(shown_BU) <= _TABLE_IMAGES
    places_B = 2.0 ** torch.arange(len(shown_BU), dtype=torch.float32 if is_short else torch.float64)
    codes_U = places_B @ shown_BU.to(places_B.dtype)
    if not is_short:
        return torch.unique(codes_U)
    is_seen = torch.zeros(2 ** len(shown_BU), dtype=torch.bool)
    is_seen[codes_U.long()] = True
    return is_seen.nonzero().flatten().double()


def smallest_eigenvalue(map_CHW: Tensor) -> float:
    """Smallest eigenvalue of Pearson's correlation between the channels of one image's map.

    It is 0 where there are as many channels as positions or more, or a channel is constant (its correlations count as
    0, as in the paper's code). A map of two axes is positions by channels.

    Args:
        map_CHW: `(C, H, W)`, or tokens `(P, C)`.
    """
    map_CP = map_CHW.flatten(1) if map_CHW.dim() == 3 else map_CHW.T
    channels, positions = map_CP.shape
    if channels >= positions or channels < 2:
        return 0.0
    centred_CP = map_CP - map_CP.mean(dim=1, keepdim=True)
    norm_C1 = centred_CP.norm(dim=1, keepdim=True)
    if bool((norm_C1 == 0).any()):
        return 0.0
    unit_CP = (centred_CP / norm_C1).double()
    return float(torch.linalg.eigvalsh(unit_CP @ unit_CP.T)[0])
