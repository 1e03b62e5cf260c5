"""Which networks are worth a longer training? Successive halving over several objectives, as a table of rungs.

A rung is a number of epochs; a few of those that reach it go on to the next. Who is better is not the loss alone: a
small network would always lose. Networks at a rung are ranked by how many others there dominate them, having at most
their loss for at most as many multiply-adds (Fonseca and Fleming, ICGA 1993), then by the loss. The loss on images held
out orders young networks better than their top-1, which counts a few images more or less (studies/hybrid_bench).

Sources: K. Jamieson and A. Talwalkar, AISTATS 2016, arXiv 1502.07943 (successive halving); L. Li et al., MLSys 2020,
arXiv 1810.05934, algorithm 2 (asynchronous). Deviations: the rank above; and a network that comes one by one is judged
once, when it arrives at a rung, and not called back when later ones turn out worse.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Rungs", "Standing", "best"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A network at a rung: `val_loss` (nats) and `top1` (%) after `epochs`, `seconds` of training up to there."""

    digest: str
    macs: int
    rung: int
    epochs: int
    top1: float
    val_loss: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON."""
        return dataclasses.asdict(self)


class Rungs:
    """Who stood where, rung by rung."""

    def __init__(self, count: int, standings: Iterable[Standing] = ()) -> None:
        self._rungs: list[dict[str, Standing]] = [{} for _ in range(count)]
        for standing in standings:
            self.add(standing)

    def add(self, standing: Standing) -> None:
        """Enter, or replace, a network at its rung."""
        self._rungs[standing.rung][standing.digest] = standing

    def at(self, rung: int, digest: str) -> Standing | None:
        """Where a network stood at a rung; None if it never was there."""
        return self._rungs[rung].get(digest)

    def goes_on(self, standing: Standing, eta: int) -> bool:
        """Tell whether a network that has arrived is among the best 1/eta of those seen at its rung; the first is."""
        kept = best(list(self._rungs[standing.rung].values()), eta)
        return standing.rung + 1 < len(self._rungs) and standing.digest in {one.digest for one in kept}

    def expected_loss(self, standing: Standing) -> float:
        """Loss (nats) that a network would have at the last rung: its own less what others typically shed since.

        What is typical is the median, over the networks at two rungs, of the earlier loss less the later one.
        """
        loss = standing.val_loss
        for low, high in zip(self._rungs[standing.rung :], self._rungs[standing.rung + 1 :], strict=False):
            shed = [low[digest].val_loss - high[digest].val_loss for digest in low.keys() & high.keys()]
            loss -= statistics.median(shed) if shed else 0.0
        return max(0.0, loss)


def best(standings: Sequence[Standing], eta: int) -> list[Standing]:
    """Keep the best 1/eta, rounded up, best first; equal ranks go by loss, then by digest."""

    def rank(one: Standing) -> tuple[int, float, str]:
        return sum(_dominates(other, one) for other in standings), one.val_loss, one.digest

    return sorted(standings, key=rank)[: math.ceil(len(standings) / eta)]


def _dominates(one: Standing, other: Standing) -> bool:
    is_as_good = one.val_loss <= other.val_loss and one.macs <= other.macs
    return is_as_good and (one.val_loss, one.macs) != (other.val_loss, other.macs)
