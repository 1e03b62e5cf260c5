"""How slow must a network be, judged by its multiply-adds and by what was measured so far?

A rough guess that spares measuring what is hopeless: the fastest and the slowest pace seen bound the latency, and only
the fast end is ever used to leave a network out. Nothing is guessed before enough networks were measured.
"""

import statistics

from archlab.study.objective import Reading

__all__ = ["Pace"]

_ENOUGH = 8


class Pace:
    """Collects milliseconds per multiply-add."""

    def __init__(self) -> None:
        self._ratios: list[float] = []

    def learn(self, macs: int, latency_ms: float) -> None:
        """Take one measured network."""
        if macs > 0:
            self._ratios.append(latency_ms / macs)

    def guess(self, macs: int, device: str) -> Reading | None:
        """Bound the latency of a network; None until enough is known."""
        if len(self._ratios) < _ENOUGH:
            return None
        low, high = min(self._ratios), max(self._ratios)
        return Reading(
            value=macs * statistics.median(self._ratios),
            source=f"estimated:pace@{device}",
            interval=(macs * low, macs * high),
        )
