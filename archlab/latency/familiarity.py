"""How like the networks that were measured is another one? Uncertainty grows with the distance to the nearest.

A calibration measures networks that are far apart on purpose, so each one that is left out lies farther from the others
than a usual network does, and is predicted worse: what it was missed by says little until that distance is divided out.
Distances are Euclidean over `choice.described`, each number in standard deviations of the measured networks.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archlab.cost.rows import OpTrace
from archlab.latency.choice import described

__all__ = ["Familiarity"]

Floats = npt.NDArray[np.float64]

_FAR = 1.5
"""At this distance the part of the error that grows is as large as the part that does not; `studies/predictors`
(calibrate_coverage.md) shows the choice."""


class Familiarity:
    """Tells how uncertain a network is, relative to one that was measured.

    Args:
        traces: The measured networks, at least two.
    """

    def __init__(self, traces: Sequence[OpTrace]) -> None:
        table = np.array([described(one) for one in traces])
        self._mean, self._deviation = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
        self._table = (table - self._mean) / self._deviation

    def scale(self, trace: OpTrace) -> float:
        """The factor for a network by its distance to the nearest measured one; 1 where that is none."""
        asked = (described(trace) - self._mean) / self._deviation
        return float(_scale(np.square(self._table - asked).sum(axis=1).min()))

    def left_out(self) -> Floats:
        """The factor for each measured network, `(networks,)`, as if it had not been measured."""
        square = np.square(self._table[:, None] - self._table[None]).sum(axis=2)
        np.fill_diagonal(square, np.inf)
        return _scale(square.min(axis=1))


def _scale(square: npt.ArrayLike) -> Floats:
    return np.asarray(np.sqrt(1 + np.asarray(square) / _FAR**2), np.float64)
