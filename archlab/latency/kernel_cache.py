"""A sum over kinds of kernels for what a compiler makes for a CPU: work, traffic, and what leaves the caches.

Beyond multiply-adds and bytes (`kernel_sums`) it counts, by kind: bytes of weights, which no inference finds in a cache
that the last one filled with others; bytes of one kernel beyond 4 and beyond 16 MB, around which a desktop's second and
last level end (Intel i9-10940X: 14 × 1 MB and 19.25 MB); elementary operations of loops; multiply-adds of products with
few rows, which cannot occupy all cores. Layer norms whose result a convolution reads are counted apart: the compiler's
loops for them run across memory.

The fit is a non-negative least squares of the relative error, repeated with less weight for what is far off.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from archlab.latency.launches import LAUNCH_KINDS, Launches

__all__ = ["CacheRoofline", "cache_sums_of"]

Floats = npt.NDArray[np.float64]

_LEVELS_BYTES = (4e6, 16e6)
_FEW_ROWS = 64
_ROBUST = 0.1
_ROUNDS = 6
_LEAST_MS = 1e-3
_LAYER_NORM = LAUNCH_KINDS.index("layer_norm")


_BY_KIND: tuple[Callable[[Launches], Floats], ...] = (
    lambda one: one.column("macs"),
    lambda one: one.traffic_bytes,
    lambda one: one.column("weight_bytes"),
    lambda one: np.maximum(0, one.traffic_bytes - _LEVELS_BYTES[0]),
    lambda one: np.maximum(0, one.traffic_bytes - _LEVELS_BYTES[1]),
    lambda one: one.column("steps"),
    lambda one: one.column("macs") * (one.column("rows") < _FEW_ROWS),
)
"""What each kernel has of a number that is summed by kind."""


def cache_sums_of(networks: Sequence[Launches]) -> Floats:
    """Kernels, map norms, their bytes, then every number by kind, `(networks, 3 + 7 · kinds)`."""
    kinds = len(LAUNCH_KINDS)
    sums = np.zeros((len(networks), 3 + len(_BY_KIND) * kinds))
    for row, one in zip(sums, networks, strict=True):
        count = one.column("count")
        map_norms = count * one.column("is_inner") * (one.kinds == _LAYER_NORM)
        row[:3] = count.sum(), map_norms.sum(), map_norms @ one.traffic_bytes
        for i, number in enumerate(_BY_KIND):
            np.add.at(row, 3 + i * kinds + one.kinds, count * number(one))
    return sums


class CacheRoofline:
    """The sum with what each of its numbers costs, none negative."""

    def __init__(self, networks: Sequence[Launches], ms: Floats) -> None:
        sums = cache_sums_of(networks)
        scale = np.where(sums.any(axis=0), sums.mean(axis=0), 1.0)
        table, weight = sums / scale / ms[:, None], np.ones(len(ms))
        for _ in range(_ROUNDS):
            found, _ = nnls(table * weight[:, None], weight)
            off = np.log(np.maximum(table @ found, _LEAST_MS))
            weight = (1 + (off / _ROBUST) ** 2) ** -0.25
        self._found = found / scale

    def predict(self, networks: Sequence[Launches]) -> Floats:
        """The ms of each network."""
        result: Floats = np.maximum(cache_sums_of(networks) @ self._found, _LEAST_MS)
        return result
