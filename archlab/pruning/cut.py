"""Take the channels out: the spec of the smaller network, and its weights as slices of the larger one's.

Kept channels stay in their order, but for one case: where heads of a cascade add their outputs to the first channels of
the next head's group, the channels of a group that still have such a partner come first. Queries of a head whose width
shrinks are scaled up, because attention divides by the root of the width.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from archlab.model.channels import Axes, Labels
from archlab.pruning.groups import Layer, Layout
from archlab.spec import ArchSpec, BlockSpec, StageSpec

__all__ = ["cut_spec", "cut_weights"]


def cut_spec(layout: Layout, gone: frozenset[int]) -> ArchSpec:
    """Write the spec of the network without the labels `gone`."""
    blocks = {layer.path: _cut_block(layer, gone) for layer in layout.layers}
    stages = tuple(
        StageSpec(
            entry=blocks[f"stages.{i}.entry"],
            blocks=tuple(blocks[f"stages.{i}.blocks.{j}"] for j in range(stage.depth)),
        )
        for i, stage in enumerate(layout.spec.stages)
    )
    return layout.spec.replace(stages=stages)


def _cut_block(layer: Layer, gone: frozenset[int]) -> BlockSpec:
    """The layer with its new widths; one that loses nothing stays as it is written."""
    widths = layer.channels.fields
    if gone.isdisjoint((*layer.x, *layer.y, *(each for groups in widths.values() for g in groups for each in g))):
        return layer.spec
    changes: dict[str, Any] = {"width": len(layer.y) - len(gone.intersection(layer.y))}
    for name, groups in widths.items():
        counts = [len(group) - len(gone.intersection(group)) for group in groups]
        counts = [count for count in counts if count]
        changes[name] = counts[0] if len(set(counts)) == 1 else tuple(counts)
    return dataclasses.replace(layer.spec, **changes)


def cut_weights(layout: Layout, gone: frozenset[int], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Slice every tensor of a state dict.

    Args:
        layout: Of the network the weights belong to.
        gone: The labels that go.
        weights: Parameters and buffers of the whole network.

    Returns:
        Parameters and buffers of the network of `cut_spec`.
    """
    slot = _slots(layout, gone)
    scaled = _scaled(layout, gone, weights)
    return {
        name: torch.cat(list(_parts(tensor, layout.tensors[name], gone, slot))) if name in layout.tensors else tensor
        for name, tensor in scaled.items()
    }


def _parts(tensor: Tensor, parts: tuple[Axes, ...], gone: frozenset[int], slot: Mapping[int, int]) -> list[Tensor]:
    found, start = [], 0
    for axes in parts:
        stop = start + len(axes[0]) if axes[0] else tensor.shape[0]
        part = tensor[start:stop]
        start = stop
        if axes[0] and gone.issuperset(axes[0]):
            continue
        for axis, labels in enumerate(axes):
            if labels:
                part = part.index_select(axis, torch.tensor(_kept(labels, gone, slot), device=part.device))
        found.append(part)
    return found


def _kept(labels: Labels, gone: frozenset[int], slot: Mapping[int, int]) -> list[int]:
    """Old places of the labels that stay, in their new order."""
    moved = {label: place for place, label in enumerate(labels) if label in slot}
    places = [moved[slot[label]] if label in slot else place for place, label in enumerate(labels)]
    return [place for place in places if labels[place] not in gone]


def _slots(layout: Layout, gone: frozenset[int]) -> dict[int, int]:
    """Label whose place it is → label that stands there, for the channels that a cascade reorders."""
    partners: dict[int, list[int]] = {}
    for inner, outer in layout.aligned:
        partners.setdefault(outer, []).append(inner)
    slot: dict[int, int] = {}
    for run in _runs(layout, partners):
        alive = {outer: sum(inner not in gone for inner in partners.get(outer, ())) for outer in run}
        order = sorted(run, key=lambda outer: (-alive[outer], outer))
        slot |= dict(zip(run, order, strict=True))
    for layer in layout.layers:
        pairs = dict(layer.channels.aligned)
        inner_of = {outer: inner for inner, outer in pairs.items()}
        for run in {_run_of(outer, layout) for outer in inner_of}:
            order = [inner_of[slot[outer]] for outer in run if slot[outer] in inner_of]
            places = sorted(inner_of[outer] for outer in run if outer in inner_of)
            slot |= dict(zip(places, order, strict=True))
    return slot


def _runs(layout: Layout, partners: Mapping[int, list[int]]) -> set[Labels]:
    return {_run_of(outer, layout) for outer in partners}


def _run_of(outer: int, layout: Layout) -> Labels:
    """The group of the map that a channel belongs to."""
    for pool in layout.pools:
        for stratum in pool.strata if pool.role == "embedding" else ():
            run = tuple(label for member in stratum for label in member)
            if outer in run:
                return run
    return (outer,)


def _scaled(layout: Layout, gone: frozenset[int], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    grown = dict(weights)
    for scaled in layout.scaled:
        kept = len(scaled.labels) - len(gone.intersection(scaled.labels))
        if kept in (0, len(scaled.labels)):
            continue
        factor = math.sqrt(kept / len(scaled.labels))
        for name in (name for name in scaled.tensors if name in grown):
            tensor = grown[name].clone()
            tensor[scaled.start : scaled.stop] *= factor
            grown[name] = tensor
    return grown
