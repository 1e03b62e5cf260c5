"""What a search can aim at: one row per objective, with its unit, its direction and how it is read."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

__all__ = ["OBJECTIVES", "Objective", "Reading", "Subject"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """One value with its source, its interval in the same unit and, if measured, its quality.

    The interval of a measurement is the one that holds the median of a second measurement (`anchor.repeat_interval`),
    that of an estimate the predictor's own. `wall_mean_ms` is the plain mean of all wall times, beside the latency;
    `seconds` what working out a score took.
    """

    value: float
    source: str
    interval: tuple[float, float] | None = None
    quality: str | None = None
    wall_mean_ms: float | None = None
    seconds: float | None = None


class Subject(Protocol):
    """A network under evaluation; every answer is worked out once."""

    def score(self) -> Reading:
        """Accuracy score of the plan's proxy."""

    def latency_ms(self) -> Reading:
        """Latency on the plan's device."""

    def macs(self) -> Reading:
        """Multiply-adds at the network's own resolution."""

    def params(self) -> Reading:
        """Number of parameters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """One axis of the search: `is_maximised` says whether more is better; `unit` is empty for plain numbers."""

    name: str
    title: str
    unit: str
    is_maximised: bool
    read: Callable[[Subject], Reading]


OBJECTIVES: dict[str, Objective] = {
    "score": Objective(
        name="score", title="accuracy score", unit="", is_maximised=True, read=lambda subject: subject.score()
    ),
    "latency_ms": Objective(
        name="latency_ms", title="latency", unit="ms", is_maximised=False, read=lambda subject: subject.latency_ms()
    ),
    "macs": Objective(
        name="macs", title="multiply-adds", unit="", is_maximised=False, read=lambda subject: subject.macs()
    ),
    "params": Objective(
        name="params", title="parameters", unit="", is_maximised=False, read=lambda subject: subject.params()
    ),
}
