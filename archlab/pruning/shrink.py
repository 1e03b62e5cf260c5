"""From a network to a smaller one: score the channels, drop the least important until a target is met, slice.

The result is a spec plus weights: it builds again from the YAML alone and gives the logits that the large network gives
with those channels left out. Nothing is fine-tuned here.
"""

import bisect
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import PlanError, four_parts
from archlab.model.build import Backbone, build
from archlab.pruning.choose import Choice, Net, choice_of, choose, thresholds
from archlab.pruning.cut import cut_spec, cut_weights
from archlab.pruning.groups import ROLES, Labelled, Layout, layout_of
from archlab.pruning.importance import Importance
from archlab.spec import ArchSpec

__all__ = ["Keep", "Kept", "Macs", "Pruned", "Speedup", "Target", "cut", "kept_rows", "prune", "reach"]


_Net_contra = TypeVar("_Net_contra", bound=Labelled, contravariant=True)


class Target(Protocol[_Net_contra]):
    """How far to prune: the size of a candidate, 1 for the whole network, and the size to come down to."""

    @property
    def goal(self) -> float:
        """The relative size to come down to."""

    def size(self, layout: _Net_contra, gone: frozenset[int]) -> float:
        """Give the relative size of the network without the labels `gone`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keep:
    """Keep a share of the prunable channels; whole heads count by their channels."""

    goal: float

    def size(self, layout: Labelled, gone: frozenset[int]) -> float:
        """Share of the channels kept."""
        labels = [label for label in layout.labels() if layout.roles[label] != "heads"]
        return 1 - len(gone.intersection(labels)) / max(1, len(labels))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Macs:
    """Come down to a share of the multiply-adds."""

    goal: float

    def size(self, layout: Layout, gone: frozenset[int]) -> float:
        """Multiply-adds relative to the whole network's."""
        return _macs(cut_spec(layout, gone)) / _macs(layout.spec)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speedup:
    """Come down to 1 / speed-up of the latency that `clock` gives, in milliseconds, measured or estimated."""

    goal: float
    clock: Callable[[ArchSpec], float]

    def size(self, layout: Layout, gone: frozenset[int]) -> float:
        """Latency relative to the whole network's."""
        return self.clock(cut_spec(layout, gone)) / self.clock(layout.spec)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Channels (for role `heads`: heads) of one stage and role before and after."""

    stage: int
    role: str
    before: int
    after: int

    @property
    def share(self) -> float:
        """What is left of one."""
        return self.after / self.before


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pruned:
    """A pruned network: its spec, its weights in a module, what it kept, and which labels of `layout` went."""

    spec: ArchSpec
    module: Backbone
    kept: tuple[Kept, ...]
    layout: Layout
    gone: frozenset[int]


def prune(
    spec: ArchSpec,
    module: Backbone,
    importance: Importance,
    target: Target[Layout],
    *,
    roles: tuple[str, ...] = ROLES,
    floor: float = 0.125,
) -> Pruned:
    """Prune a network to a target in one shot.

    Args:
        spec: The network.
        module: It with its weights; left as it is.
        importance: Scores every channel; the least important go first, wherever they stand.
        target: How far: `Keep`, `Macs` or `Speedup`.
        roles: Roles that may lose channels.
        floor: Share of every width that stays anyhow.

    Raises:
        PlanError: If the target is out of range, or cannot be reached above the floor.
    """
    layout = layout_of(spec)
    scores = tuple(float(score) for score in importance(module, layout))
    choice = choice_of(layout, scores, roles=roles, floor=floor)
    return cut(layout, module, reach(choice, target))


@torch.no_grad()
def cut(layout: Layout, module: Backbone, gone: frozenset[int]) -> Pruned:
    """Build the network without the labels `gone`, in evaluation mode, on the CPU."""
    spec = cut_spec(layout, gone)
    smaller = build(spec)
    weights = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    smaller.load_state_dict(cut_weights(layout, gone, weights))
    return Pruned(spec=spec, module=smaller.eval(), kept=kept_rows(layout, gone), layout=layout, gone=gone)


@functools.lru_cache(maxsize=256)
def _macs(spec: ArchSpec) -> int:
    return count(trace(spec)).macs


def kept_rows(layout: Layout, gone: frozenset[int]) -> tuple[Kept, ...]:
    """Count what every stage keeps of every role."""
    labels = [(layout.stages[label], ROLES.index(layout.roles[label]), label) for label in layout.labels()]
    before = Counter((stage, role) for stage, role, _ in labels)
    after = Counter((stage, role) for stage, role, label in labels if label not in gone)
    return tuple(
        Kept(stage=stage, role=ROLES[role], before=total, after=after[stage, role])
        for (stage, role), total in sorted(before.items())
    )


def reach(choice: Choice[Net], target: Target[Net]) -> frozenset[int]:
    """Find the labels that go: the smallest loss that meets the target.

    Raises:
        PlanError: If the target is out of range, or cannot be reached above the floor.
    """
    if not 0 < target.goal < 1:
        raise PlanError(
            four_parts(
                "no such target of pruning",
                given=f"{target.goal:.4g} of the network",
                allowed="more than 0 and less than 1 (a speed-up of more than 1)",
                do="choose another --keep, --macs or --speedup",
            )
        )
    found: dict[int, frozenset[int]] = {}

    def is_met(i: int) -> bool:
        found[i] = choose(choice, steps[i])
        return target.size(choice.layout, found[i]) <= target.goal

    steps = thresholds(choice)
    last = len(steps) - 1
    if not is_met(last):
        least = target.size(choice.layout, found[last])
        raise PlanError(
            four_parts(
                "the network cannot be pruned that far",
                given=f"{target.goal:.4g} of it",
                allowed=f"{least:.4g} or more, with {choice.floor:.4g} of every width kept",
                do="ask for less",
            )
        )
    first = bisect.bisect_left(range(last), True, key=is_met)
    return found[first]
