"""How sure is a mean? Two intervals of 95 %: one for a few repeats, one for many images."""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["Floats", "Mean", "bootstrap", "of_repeats", "share_text"]

Floats: TypeAlias = npt.NDArray[np.float64]
Mean: TypeAlias = tuple[float, float, float]
"""Mean, low end and high end."""

_RESAMPLES = 1000


def of_repeats(values: Floats) -> Mean:
    """Mean of a few repeats with Student's interval; of a single one no interval is known: its ends are nan."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return mean, math.nan, math.nan
    half = float(special.stdtrit(count - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return mean, mean - half, mean + half


def bootstrap(values: Floats, seed: int = 0) -> Mean:
    """Mean over images with the percentile bootstrap's interval.

    Args:
        values: One number per image.
        seed: Of the resampling.
    """
    draw = np.random.default_rng(seed)
    picks = draw.integers(0, len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return float(np.mean(values)), float(low), float(high)


def share_text(mean: Mean) -> str:
    """Write a share and its interval in percent: ``16.3 % (16.1 to 16.5)``; without an interval the share alone."""
    share, low, high = (100 * value for value in mean)
    return f"{share:.1f} %" if math.isnan(low) else f"{share:.1f} % ({max(low, 0):.1f} to {min(high, 100):.1f})"
