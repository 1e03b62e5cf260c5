"""What of a network can be pruned? Every channel with all that goes with it, from what the kinds of blocks say.

A label is a channel that may go. Labels go in units: one channel by itself, one of every head where heads keep a common
width, one of every group where a kind cuts its map into groups. The map of a stage is one width through the entry, all
its residual branches and the next entry; where a kind says nothing of its channels, that width stays.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from archlab.model.blocks import BLOCKS
from archlab.model.channels import EMPTY, Axes, Channels, Follower, Labels, Scaled, Strata
from archlab.model.heads import HEADS
from archlab.spec import ArchSpec, BlockSpec

__all__ = ["ROLES", "Labelled", "Layer", "Layout", "Pool", "layout_of"]

ROLES = ("embedding", "qk", "q", "kv", "qkv", "v", "ffn", "heads")
"""What a label can be: a channel of a stage's map; queries with keys, values, or what cross-covariance and linear
attention couple of them; the inner width of a feed-forward part or convolution; a whole head."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One entry or block, its path, the map it writes and what it says of its channels."""

    path: str
    spec: BlockSpec
    x: Labels
    y: Labels
    channels: Channels


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Members of one kind of choice: a unit takes `step` of the least important members from every stratum."""

    stage: int
    role: str
    strata: Strata
    step: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled:
    """The channels of a network: which are there, which weights they run over, which may go and what goes with them.

    `roles`, `stages` and `blocks` are by label, `blocks` the number of the residual branch within its stage (0 for the
    entry, and for the map, which belongs to them all); `tensors` maps full names to parts; `widths` are the sets of
    labels that must not become empty; `follows` says which labels go when one goes.
    """

    roles: tuple[str, ...]
    stages: tuple[int, ...]
    blocks: tuple[int, ...]
    tensors: Mapping[str, tuple[Axes, ...]]
    pools: tuple[Pool, ...]
    widths: tuple[Labels, ...]
    follows: Mapping[int, Labels] = dataclasses.field(default_factory=dict)
    followers: tuple[Follower, ...] = ()

    def labels(self, *, role: str | None = None, stage: int | None = None) -> Labels:
        """All labels that can be pruned, of a role and a stage; followers are not among them."""
        return tuple(
            label
            for label, (own, at) in enumerate(zip(self.roles, self.stages, strict=True))
            if own in ROLES and role in (None, own) and stage in (None, at)
        )

    def with_followers_of(self, labels: Iterable[int]) -> frozenset[int]:
        """The labels and all that go with them."""
        gone = set(labels)
        waiting = list(gone)
        while waiting:
            more = [each for each in self.follows.get(waiting.pop(), ()) if each not in gone]
            gone.update(more)
            waiting += more
        return frozenset(gone)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout(Labelled):
    """The channels of a network with a spec, by its layers, so that it can be cut.

    `aligned` pairs inner labels with the channels of the map that they are added to.
    """

    spec: ArchSpec
    layers: tuple[Layer, ...]
    scaled: tuple[Scaled, ...]
    aligned: tuple[tuple[int, int], ...]


class _Drawn:
    """Labels as they are handed out: their roles and stages, and the runs they came in."""

    def __init__(self) -> None:
        self.roles: list[str] = []
        self.stages: list[int] = []
        self.blocks: list[int] = []
        self.runs: list[Labels] = []
        self.stage = self.block = 0

    def __call__(self, role: str, size: int) -> Labels:
        """Hand out `size` new labels for the present stage."""
        run = tuple(range(len(self.roles), len(self.roles) + size))
        self.roles += [role] * size
        self.stages += [self.stage] * size
        self.blocks += [self.block] * size
        self.runs.append(run)
        return run


def layout_of(spec: ArchSpec) -> Layout:
    """Number the channels of a network and say which go together."""
    drawn = _Drawn()
    layers, maps, fixed = _layers(spec, drawn)
    tensors = {f"{layer.path}.{name}": parts for layer in layers for name, parts in layer.channels.tensors.items()}
    if spec.head is not None:
        found = HEADS[spec.head.kind].channels(spec.head, maps[-1])
        tensors |= {f"head.{name}": parts for name, parts in found.tensors.items()}
    aligned = tuple(pair for layer in layers for pair in layer.channels.aligned)
    return Layout(
        spec=spec,
        layers=tuple(layers),
        roles=tuple(drawn.roles),
        stages=tuple(drawn.stages),
        blocks=tuple(drawn.blocks),
        tensors=tensors,
        pools=_pools(layers, maps, fixed, drawn),
        widths=tuple(w for layer in layers for widths in layer.channels.fields.values() for w in widths) + tuple(maps),
        follows=_follows(layers, aligned),
        scaled=tuple(
            dataclasses.replace(scaled, tensors=tuple(f"{layer.path}.{name}" for name in scaled.tensors))
            for layer in layers
            for scaled in layer.channels.scaled
        ),
        followers=tuple(follower for layer in layers for follower in layer.channels.followers),
        aligned=aligned,
    )


def _layers(spec: ArchSpec, drawn: _Drawn) -> tuple[list[Layer], list[Labels], set[int]]:
    """All layers, the labels of each stage's map, and the numbers of the stages whose width stays."""
    layers: list[Layer] = []
    maps: list[Labels] = []
    fixed: set[int] = set()
    for i, stage in enumerate(spec.stages):
        drawn.stage, drawn.block = i, 0
        before = maps[-1] if maps else ()
        maps.append(drawn("embedding", stage.width))
        for j, block in enumerate((stage.entry, *stage.blocks)):
            x, drawn.block = maps[-1] if j else before, max(0, j - 1)
            found = BLOCKS[block.kind].channels(block, x, maps[-1], drawn)
            if found is None:
                fixed |= {i} if j else {i, i - 1}
            path = f"stages.{i}.blocks.{j - 1}" if j else f"stages.{i}.entry"
            layers.append(Layer(path=path, spec=block, x=x, y=maps[-1], channels=found or EMPTY))
    return layers, maps, fixed


def _follows(layers: Iterable[Layer], aligned: Iterable[tuple[int, int]]) -> dict[int, Labels]:
    follows: dict[int, Labels] = {}
    for inner, outer in aligned:
        follows[outer] = (*follows.get(outer, ()), inner)
    for layer in layers:
        for head, labels in layer.channels.owned:
            follows[head] = (*follows.get(head, ()), *labels)
    return follows


def _pools(layers: list[Layer], maps: list[Labels], fixed: set[int], drawn: _Drawn) -> tuple[Pool, ...]:
    pools = [pool for i, x in enumerate(maps) if i not in fixed for pool in _map_pools(i, x, layers)]
    taken = {label for x in maps for label in x}
    taken |= {inner for layer in layers for inner, _ in layer.channels.aligned}
    for layer in layers:
        taken |= set(layer.channels.pinned)
        for strata in layer.channels.strata:
            first = strata[0][0][0]
            if first not in taken:
                pools.append(Pool(stage=drawn.stages[first], role=drawn.roles[first], strata=strata))
        taken |= {each for strata in layer.channels.strata for stratum in strata for m in stratum for each in m}
    for run in drawn.runs:
        free = tuple((label,) for label in run if label not in taken)
        if free and drawn.roles[run[0]] in ROLES:
            pools.append(Pool(stage=drawn.stages[run[0]], role=drawn.roles[run[0]], strata=(free,)))
    return tuple(pools)


def _map_pools(stage: int, x: Labels, layers: list[Layer]) -> list[Pool]:
    """The choices among the channels of a stage's map, and of what is added to it place by place."""
    inside = set(x)
    found = [s for layer in layers for s in layer.channels.strata if s[0][0][0] in inside]
    if len(set(found)) > 1:
        return []
    strata = found[0] if found else (tuple((label,) for label in x),)
    multiple = math.lcm(*(layer.channels.multiple for layer in layers if layer.y == x))
    unit = sum(len(stratum[0]) for stratum in strata)
    pools = [Pool(stage=stage, role="embedding", strata=strata, step=multiple // math.gcd(multiple, unit))]
    return pools + _aligned_pools(stage, strata, layers)


def _aligned_pools(stage: int, strata: Strata, layers: list[Layer]) -> list[Pool]:
    """Values that are added to one place of the map go together, in all blocks of the stage."""
    partners: dict[int, list[int]] = {}
    for layer in layers:
        for inner, outer in layer.channels.aligned:
            partners.setdefault(outer, []).append(inner)
    pinned = {label for layer in layers for label in layer.channels.pinned}
    pools = []
    for stratum in strata:
        members = [tuple(partners[outer]) for member in stratum for outer in member if outer in partners]
        members = [member for member in members if not pinned & set(member)]
        if members:
            pools.append(Pool(stage=stage, role="v", strata=(tuple(members),)))
    return pools
