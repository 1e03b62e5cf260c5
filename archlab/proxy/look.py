"""The pass that looks: all images once through the untrained network, and what its activations and maps are like.

Legend of the shape suffixes: B images, U units, G maps of one shape, C channels, H and W rows and columns, P positions.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.overrides import TorchFunctionMode

from archlab.proxy.modes import as_batches, only_differentiable, places, watched

__all__ = ["MAX_PATTERN_IMAGES", "Look", "joined", "look", "smallest_eigenvalues"]

MAX_PATTERN_IMAGES = 52
"""A unit's bits over the images are kept in one number; further images are not looked at."""

_TABLE_IMAGES = 18
"""Up to so many images, all patterns that can be fit in a table; sorting takes longer."""

_ACTIVATIONS: frozenset[Callable[..., Any]] = frozenset(
    {
        nnf.relu, nnf.gelu, nnf.hardswish, nnf.silu, nnf.leaky_relu, nnf.relu6, nnf.hardtanh,
        nnf.relu_, nnf.leaky_relu_, nnf.hardtanh_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_,
    }
)  # fmt: skip
"""Functions whose input's sign is a bit; the module ReLU6 calls hardtanh."""


@dataclasses.dataclass
class Look:
    """What one pass showed; what was not asked for stays empty.

    `shared_BB` counts the activation bits that two images share, of `bits` in all; `patterns` holds the distinct
    columns of bits that the images put on the units, as numbers; `lambdas` the smallest eigenvalue of each layer's
    correlation between channels, of the first image; `maps` the maps after entries and blocks, differentiable by each
    other; `images_BCHW` and `output` are the graph's ends; `entropies` and `trainability` are where the parts of az_nas
    keep what they worked out.
    """

    images_BCHW: Tensor
    shared_BB: Tensor
    bits: int = 0
    patterns: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    lambdas: list[float] = dataclasses.field(default_factory=list)
    maps: list[Tensor] = dataclasses.field(default_factory=list)
    output: Tensor | None = None
    entropies: list[float] | None = None
    trainability: float | None = None


class _Signs(TorchFunctionMode):
    """Shows the input of every activation, as `(B, U)` zeros and ones."""

    def __init__(self, batch: int, see: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.batch, self.see = batch, see

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _ACTIVATIONS:
            entering = (args[0] if args else (kwargs or {})["input"]).detach()
            if entering.shape[0] % self.batch == 0:
                flat_BU = entering.reshape(self.batch, -1)
                self.see(torch.gt(flat_BU, 0, out=torch.empty_like(flat_BU)))
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
    first_images: list[Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(as_batches(module))
        stack.enter_context(only_differentiable(module))
        stack.enter_context(torch.set_grad_enabled(wants_graph))
        if wants_graph:
            stack.enter_context(watched(places(module), lambda layer, output: found.maps.append(output)))
        if "layers" in reads:
            stack.enter_context(watched(list(module.modules()), functools.partial(_keep, first_images, [])))
        if reads & {"kernel", "patterns"}:
            stack.enter_context(_Signs(batch, functools.partial(_note, found, patterns, reads)))
        found.output = joined(module(shown_BCHW.clone()))
    found.lambdas.extend(smallest_eigenvalues(first_images))
    if patterns:
        found.patterns = _distinct(patterns, batch)
    return found


def _note(found: Look, patterns: list[Tensor], reads: frozenset[str], ones_BU: Tensor) -> None:
    if "kernel" in reads:
        units = ones_BU.shape[1]
        both_BB = (ones_BU @ ones_BU.T).double()  # bits that both images have on
        own_B = both_BB.diagonal()
        found.shared_BB += units - own_B[:, None] - own_B[None, :] + 2 * both_BB
        found.bits += units
    if "patterns" in reads:
        _pack(patterns, ones_BU)


def _keep(first_images: list[Tensor], last: list[Tensor], layer: nn.Module, output: Any) -> None:
    """Keep the first image's map as it is now; a container gives what its last layer gave, and that is kept again."""
    if isinstance(output, Tensor) and output.dim() in (3, 4):
        is_again = bool(last) and last[0] is output
        first_images.append(first_images[-1] if is_again else output.detach()[0].clone())  # the next may work in place
        last[:] = [output]


def joined(output: Any) -> Tensor:
    """The output as one tensor `(B, …)`; the maps of a feature extractor follow each other."""
    if isinstance(output, list | tuple):
        return torch.cat([item.flatten(1) for item in output], dim=1)
    assert isinstance(output, Tensor)
    return output


def _pack(patterns: list[Tensor], ones_BU: Tensor) -> None:
    """Columns of bits, each as one whole number: entries of one table, or listed if there are too many images.

    The numbers are exact in float64, and up to 24 images in float32.
    """
    shown_BU = ones_BU[:MAX_PATTERN_IMAGES]
    is_short = len(shown_BU) <= _TABLE_IMAGES
    places_B = 2.0 ** torch.arange(len(shown_BU), dtype=torch.float32 if is_short else torch.float64)
    codes_U = places_B @ shown_BU.to(places_B.dtype)
    if not is_short:
        patterns.append(torch.unique(codes_U))
        return
    if not patterns:
        patterns.append(torch.zeros(2 ** len(shown_BU), dtype=torch.bool))
    patterns[0][codes_U.int()] = True


def _distinct(patterns: list[Tensor], batch: int) -> Tensor:
    """The numbers that `_pack` has seen."""
    if batch <= _TABLE_IMAGES:
        return patterns[0].nonzero().flatten().double()
    return torch.unique(torch.cat(patterns))


def smallest_eigenvalues(maps: Sequence[Tensor]) -> list[float]:
    """Smallest eigenvalue of Pearson's correlation between the channels of each map.

    It is 0 where there are as many channels as positions or more, or a channel is constant (its correlations count as
    0, as in the paper's code). Maps of one shape go through together, the same one once.

    Args:
        maps: `(C, H, W)`, or tokens `(P, C)`, of one image each.
    """
    found: dict[int, float] = {}
    alike: dict[tuple[int, int], dict[int, Tensor]] = {}
    for map_CHW in maps:
        map_CP = map_CHW.flatten(1) if map_CHW.dim() == 3 else map_CHW.T
        channels, positions = map_CP.shape
        if 2 <= channels < positions:
            alike.setdefault((channels, positions), {})[id(map_CHW)] = map_CP
    for group in alike.values():
        values_G = _smallest_eigenvalues(torch.stack(list(group.values())))
        found.update(zip(group, values_G.tolist(), strict=True))
    return [found.get(id(map_CHW), 0.0) for map_CHW in maps]


def _smallest_eigenvalues(maps_GCP: Tensor) -> Tensor:
    centred_GCP = maps_GCP - maps_GCP.mean(dim=2, keepdim=True)
    norm_GC1 = torch.linalg.vector_norm(centred_GCP, dim=2, keepdim=True)
    unit_GCP = centred_GCP.div_(norm_GC1.clamp(min=torch.finfo(norm_GC1.dtype).tiny)).double()
    values_G = torch.linalg.eigvalsh(unit_GCP @ unit_GCP.mT)[:, 0]
    return torch.where((norm_GC1 == 0).any(dim=1).flatten(), 0.0, values_G)
