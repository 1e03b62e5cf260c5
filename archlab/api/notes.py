"""What must be said beside a study's numbers."""

from collections.abc import Callable
from typing import Protocol

from archlab.cost.trace import trace
from archlab.device.catalog import device
from archlab.errors import ArchlabError, StudyError
from archlab.latency import PREDICTORS
from archlab.spec import ArchSpec

__all__ = ["note_on"]


class Best(Protocol):
    """A network with the source of its latency, e.g. ``estimated:roofline@orin``."""

    @property
    def spec(self) -> ArchSpec:
        """The network."""

    @property
    def latency_source(self) -> str:
        """Where its latency is from."""


def note_on(best: Callable[[], Best]) -> dict[str, str]:
    """Give a `note` where the best network's estimate lies far outside of what its fit has seen, else nothing.

    Args:
        best: Finds the best network; raises a StudyError where none is within the budget.
    """
    try:
        found = best()
    except StudyError:
        return {}
    note = _note_of(found.spec, found.latency_source)
    return {} if note is None else {"note": note}


def _note_of(spec: ArchSpec, source: str) -> str | None:
    kind, _, rest = source.partition(":")
    predictor, _, place = rest.partition("@")
    if kind != "estimated" or predictor not in PREDICTORS:
        return None
    try:
        return PREDICTORS[predictor].predict(trace(spec), device(place)).note
    except ArchlabError:  # the study is from elsewhere, and its device is not known here
        return None
