"""Several processes came upon the same network: which of them tries it?

Each writes down what it means to try, then looks at the others. One that looks before the other writes sees nobody, so
looking once is not enough: who is earlier waits until a later one has either taken the network or given it up. The
later one never waits, it gives up as soon as it sees an earlier one. So exactly one goes on, and nobody waits for long.
"""

import dataclasses
from collections.abc import Iterable

__all__ = ["Rival", "verdict"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Rival:
    """Another trial of the same network: closed or still running, and whether it has taken the network for itself."""

    number: int
    is_running: bool
    has_taken: bool


def verdict(number: int, rivals: Iterable[Rival]) -> bool | None:
    """Tell whether trial `number` may try its network; None while a later one has not made up its mind."""
    rivals = list(rivals)
    if any(not rival.is_running or rival.has_taken or rival.number < number for rival in rivals):
        return False
    return None if rivals else True
