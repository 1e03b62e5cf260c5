"""Who takes part in a study: the services that evaluate networks, and the store that suggests and keeps them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from archlab.space import Point, SearchSpace
from archlab.spec import ArchSpec
from archlab.study import loop
from archlab.study.identity import Fingerprint
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation, Record

__all__ = ["Services", "Store"]


class Services(Protocol):
    """How networks are evaluated; the real one is `Evaluator`."""

    def evaluate(self, spec: ArchSpec) -> Evaluation:
        """Work out the objectives of a network."""

    def smallest_upper_ms(self, space: SearchSpace) -> tuple[float, str]:
        """Find a small latency in the space, at the upper end of its interval, with its source.

        May stop at the first network that meets the budget.
        """

    def baseline(self, spec: ArchSpec, limit_ms: float) -> Evaluation:
        """Score and time a published model; see `baselines.Judge`."""

    def learn(self, records: Iterable[Record]) -> None:
        """Take what earlier runs found into account."""

    def fingerprint(self) -> Fingerprint:
        """Identify the device and its software, as it is now; empty where it is estimated.

        Raises:
            DeviceUnreachable: When it does not answer.
        """

    def recover(self) -> bool:
        """Call a device that went away once more; True when it has started again since.

        Raises:
            DeviceUnreachable: When it still does not answer.
            DeviceChanged: When it is not what it was.
        """

    def anchor_ms(self) -> float | None:
        """Measure the anchor model, past the cache; None where nothing is measured."""

    def expect_spread(self, spread: float) -> None:
        """Be told how far measurements of one network lie apart (standard deviation, as a share)."""

    def remeasure(self, networks: Sequence[Record], anchor_ms: float | None) -> Iterator[Mapping[str, Any]]:
        """Measure networks again in a fresh process; see `confirm.Remeasure`."""

    def describe(self) -> Mapping[str, Any]:
        """Device, fingerprint, protocol and score, for ``run.json``."""


class Store(loop.Ledger, Protocol):
    """A ledger that can be opened and told what to try first."""

    name: str
    storage_name: str

    def stored(self) -> Mapping[str, Any] | None:
        """What `begin` kept of the study, None when there is none."""

    def begin(self, plan: StudyPlan, space: SearchSpace, seed: int, keep: Mapping[str, Any]) -> None:
        """Open the study for work."""

    def enqueue(self, point: Point, origin: str) -> None:
        """Have a point tried before the sampler is asked."""

    def origins(self) -> set[str]:
        """Origins of all trials there are."""
