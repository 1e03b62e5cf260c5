"""Which channels go at a threshold? Units whose score is below it, as far as every width keeps its floor.

A unit's score is the mean importance of its channels, so that one channel of each of eight heads compares with one
channel of a hidden layer. Whole heads are judged first; where a head goes, its channels no longer count in the units of
the heads that stay.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import Any, Generic, TypeVar

from archlab.model.channels import Labels
from archlab.pruning.groups import ROLES, Labelled, Pool

__all__ = ["Choice", "choice_of", "choose", "thresholds"]


Net = TypeVar("Net", bound=Labelled)

_Ranked = tuple[tuple[tuple[float, int, Labels], ...], ...]
"""Per stratum of a pool: score, number of channels and labels of every member, the least important first."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choice(Generic[Net]):
    """How to choose: the score of every label, the roles that may lose channels, and the share that stays anyhow."""

    layout: Net
    scores: tuple[float, ...]
    roles: tuple[str, ...]
    floor: float
    ranked: tuple[tuple[Pool, _Ranked], ...]


def choice_of(
    layout: Net, scores: Sequence[float], *, roles: Sequence[str] = ROLES, floor: float = 0.125
) -> Choice[Net]:
    """Rank what may go; whole heads come first, then the maps, then what else there is."""
    order = ["heads", "embedding", *(role for role in ROLES if role not in ("heads", "embedding"))]
    pools = sorted((p for p in layout.pools if p.role in roles), key=lambda pool: order.index(pool.role))
    ranked = tuple((pool, _rank(layout, scores, pool)) for pool in pools)
    return Choice(layout=layout, scores=tuple(scores), roles=tuple(roles), floor=floor, ranked=ranked)


def _rank(layout: Labelled, scores: Sequence[float], pool: Pool) -> _Ranked:
    def judged(member: Labels) -> tuple[float, int, Labels]:
        all_of_it = layout.with_followers_of(member)
        size = max(1, len(all_of_it) - 1) if pool.role == "heads" else len(member)
        return sum(scores[label] for label in all_of_it), size, member

    return tuple(tuple(sorted(judged(member) for member in stratum)) for stratum in pool.strata)


def choose(choice: Choice[Any], threshold: float) -> frozenset[int]:
    """Give the labels that go when every unit below `threshold` goes, followers of other widths included."""
    gone: set[int] = set()
    left = _Left(choice)
    for pool, ranked in choice.ranked:
        for score, unit in _units(pool, ranked, gone):
            more = choice.layout.with_followers_of(unit) - gone
            if score >= threshold or not left.can_lose(more):
                break
            left.lose(more)
            gone |= more
    return frozenset(gone | _followers(choice, gone))


def thresholds(choice: Choice[Any]) -> list[float]:
    """Every threshold at which the choice may change, rising; the last lets everything go that may."""
    return [*sorted({score for pool, ranked in choice.ranked for score, _ in _units(pool, ranked, set())}), math.inf]


def _units(pool: Pool, ranked: _Ranked, gone: Set[int]) -> Iterator[tuple[float, Labels]]:
    """The units of a pool with their scores, the least important first."""
    strata = [[one for one in stratum if not set(one[2]) <= gone] for stratum in ranked]
    strata = [stratum for stratum in strata if stratum]
    shortest = min((len(stratum) for stratum in strata), default=0)
    for i in range(shortest // pool.step):
        members = [one for stratum in strata for one in stratum[i * pool.step : (i + 1) * pool.step]]
        size = sum(size for _, size, _ in members)
        yield sum(score for score, _, _ in members) / size, tuple(label for *_, labels in members for label in labels)


def _followers(choice: Choice[Any], gone: Set[int]) -> set[int]:
    """The least important labels of widths that follow another."""
    more: set[int] = set()
    for follower in choice.layout.followers:
        kept = follower.size(len(set(follower.leader) - gone))
        ranked = sorted(follower.labels, key=lambda label: (choice.scores[label], label))
        more.update(ranked[: len(ranked) - kept])
    return more


class _Left:
    """How many channels every width still has, and how many it must keep."""

    def __init__(self, choice: Choice[Any]) -> None:
        self.layout = choice.layout
        self.width_of: dict[int, list[int]] = {}
        for i, width in enumerate(self.layout.widths):
            for label in width:
                self.width_of.setdefault(label, []).append(i)
        self.counts = [len(width) for width in self.layout.widths]
        self.least = [max(1, math.ceil(choice.floor * count)) for count in self.counts]

    def can_lose(self, labels: Set[int]) -> bool:
        """Whether no width falls below its floor; a width that goes with its head altogether may."""
        loss = self._loss(labels)
        with_head = {each for label in labels if self.layout.roles[label] == "heads" for each in self._owned(label)}
        left = {i: self.counts[i] - lost for i, lost in loss.items()}
        return all(
            count >= self.least[i] or (count == 0 and with_head.issuperset(self.layout.widths[i]))
            for i, count in left.items()
        )

    def lose(self, labels: Set[int]) -> None:
        """Count the loss."""
        for i, lost in self._loss(labels).items():
            self.counts[i] -= lost

    def _owned(self, head: int) -> Labels:
        return self.layout.follows.get(head, ())

    def _loss(self, labels: Set[int]) -> Counter[int]:
        return Counter(i for label in labels for i in self.width_of.get(label, ()))
