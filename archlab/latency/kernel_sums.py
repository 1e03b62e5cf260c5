"""The plain way from a network's kernels to its ms: a sum over kinds of kernels.

It errs elsewhere than `kernel_net.py`, so a mean of the two may err less; `frameworks.py` finds out.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from archlab.latency.launches import LAUNCH_KINDS, Launches

__all__ = ["KindRoofline", "sums_of"]

Floats = npt.NDArray[np.float64]

_LEAST_MS = 1e-3


def sums_of(networks: Sequence[Launches]) -> Floats:
    """Kernels, then multiply-adds and bytes by kind, `(networks, 1 + 2 · kinds)`."""
    sums = np.zeros((len(networks), 1 + 2 * len(LAUNCH_KINDS)))
    for row, one in zip(sums, networks, strict=True):
        count = one.column("count")
        row[0] = count.sum()
        np.add.at(row, 1 + one.kinds, count * one.column("macs"))
        np.add.at(row, 1 + len(LAUNCH_KINDS) + one.kinds, count * one.traffic_bytes)
    return sums


class KindRoofline:
    """A plain sum: so much per kernel, and per multiply-add and byte of each kind; non-negative, least relative
    error."""

    def __init__(self, networks: Sequence[Launches], ms: Floats) -> None:
        self._found, _ = nnls(sums_of(networks) / ms[:, None], np.ones(len(ms)))

    def predict(self, networks: Sequence[Launches]) -> Floats:
        """The ms of each network."""
        result: Floats = np.maximum(sums_of(networks) @ self._found, _LEAST_MS)
        return result
