"""The stepwise half of `published`: gradient-boosted trees as arrays, walked without the library that grew them.

Source: J. Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29, 2001.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

__all__ = ["NO_TREES", "Trees"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trees:
    """Trees in one row of nodes. `first` are the roots; a node asks whether column `column` is at most `threshold`.

    Then it goes to node `left`, else to `right`; a leaf has column -1 and adds `value`. The prediction is `start` plus
    the leaves of all trees.
    """

    first: npt.NDArray[np.int32]
    column: npt.NDArray[np.int16]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    start: float

    def predict(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Predictions, `(rows,)`, for a table `(rows, columns)`; columns are compared in single precision."""
        numbers = np.asarray(table, np.float32)
        nodes = np.repeat(self.first[None], len(numbers), axis=0)
        rows = np.arange(len(numbers))[:, None]
        while (inner := self.column[nodes] >= 0).any():
            goes_left = numbers[rows, self.column[nodes]] <= self.threshold[nodes]
            nodes = np.where(inner, np.where(goes_left, self.left[nodes], self.right[nodes]), nodes)
        result: npt.NDArray[np.float64] = self.start + self.value[nodes].sum(axis=1)
        return result


_NONE = np.empty(0, np.int32)
NO_TREES = Trees(
    first=_NONE,
    column=_NONE.astype(np.int16),
    threshold=np.empty(0),
    left=_NONE,
    right=_NONE,
    value=np.empty(0),
    start=0.0,
)
"""Predicts 0."""
