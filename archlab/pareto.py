"""Which points are not dominated, how much they dominate, and where the bend is; thin over moocore.

Every function takes an array of `n` points by `m` objectives and one flag per objective that says whether more is
better. Values must be finite: a missing value has no place in a comparison.
"""

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["hypervolume", "knee", "nondominated"]


def nondominated(values: ArrayLike, maximise: tuple[bool, ...]) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates.

    Points with equal values do not dominate each other: all copies are marked, so a tie is shown as a tie.

    Args:
        values: `(n, m)` array, one row per point; `n` may be 0.
        maximise: One flag per objective, True where more is better.

    Returns:
        `(n,)` mask.
    """
    points = _points(values, maximise)
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    mask: NDArray[np.bool_] = moocore.is_nondominated(points, maximise=list(maximise), keep_weakly=True)
    return mask


def hypervolume(values: ArrayLike, reference: ArrayLike, maximise: tuple[bool, ...]) -> float:
    """Measure the region between the points and the reference, in the product of the objectives' units.

    A point that is not better than the reference in every objective adds nothing.

    Args:
        values: `(n, m)` array, one row per point; without points the volume is 0.
        reference: `(m,)` the worst values that still count.
        maximise: One flag per objective, True where more is better.
    """
    points = _points(values, maximise)
    corner = np.asarray(reference, dtype=float)
    assert corner.shape == (len(maximise),), "the reference needs one value per objective"
    if len(points) == 0:
        return 0.0
    return float(moocore.hypervolume(points, ref=corner, maximise=list(maximise)))


def knee(values: ArrayLike, maximise: tuple[bool, ...]) -> int:
    """Find the point of the front that bulges farthest beyond the line between its two ends.

    Each objective of the non-dominated points is stretched to 0 (worst) … 1 (best); the knee has the greatest sum,
    which for two objectives is the greatest distance from the chord. Of equal points the first is taken.

    Source: I. Das, "On characterizing the knee of the Pareto curve based on normal-boundary intersection", 1999.

    Args:
        values: `(n, m)` array with at least one point; dominated points are never the knee.
        maximise: One flag per objective, True where more is better.

    Returns:
        Index into `values`.
    """
    points = _points(values, maximise)
    assert len(points) > 0, "an empty front has no knee"
    front = np.flatnonzero(nondominated(points, maximise))
    goodness = points[front] * np.where(maximise, 1.0, -1.0)
    low, high = goodness.min(axis=0), goodness.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    bulge = ((goodness - low) / span).sum(axis=1)
    return int(front[np.argmax(np.round(bulge, 12))])


def _points(values: ArrayLike, maximise: tuple[bool, ...]) -> NDArray[np.float64]:
    points = np.asarray(values, dtype=float)
    if points.size == 0:
        points = points.reshape(0, len(maximise))
    assert points.ndim == 2 and points.shape[1] == len(maximise), "one column per objective"
    assert np.isfinite(points).all(), "a missing value has no place in a comparison"
    return points
