"""A row of the table of proxies, and what one answers."""

import dataclasses
from collections.abc import Callable

from archlab.proxy.passes import Subject

__all__ = ["NEEDS", "Proxy", "ProxyScore"]

NEEDS = ("nothing", "weights", "images", "data")
"""What a score looks at: the layout alone; the weights; generated images too; the user's own images."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proxy:
    """An accuracy score; higher is better.

    `needs` is one of `NEEDS`; `note` says what it rewards, in words; `reads` names what it takes from passes that
    several scores share (see `passes.READS`); `score` answers a finite number or raises ProxyError, and leaves the
    network as it was. `area_power` tells, for a number of images, what the score grows by when the area of the images
    grows by a factor e: 0 where it does not.
    """

    name: str
    title: str
    source: str
    needs: str
    note: str
    score: Callable[[Subject], float]
    reads: frozenset[str] = frozenset()
    area_power: Callable[[int], float] = lambda batch: 0.0

    @property
    def trains(self) -> bool:
        """Whether it trains the network, on images of the user's: minutes, not seconds."""
        return self.needs == "data"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProxyScore:
    """A score and the seconds it took.

    The first score of a run also pays for building the network, and the first that reads a shared pass for the pass.
    """

    proxy: str
    score: float
    seconds: float
