"""How long does an operator run that was never timed? Learned from operators that were.

Operators with multiply-adds: seen ones have their mean time. For the others

    log ms = log base(operator) + trees of its kind(operator),   base = a + b · work + c · bytes + d · weight bytes

where `work` are multiply-adds with channels rounded up to a vector of 16, a depthwise convolution counted apart, and
the base is fitted to relative errors. The trees (extremely randomised, Geurts et al. 2006) learn what is left: which
shapes a kernel likes. A kind that was never timed has the base alone.

All other operators: of each layer their sum is fitted by a count and a size for each name, none of them negative.
"""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from sklearn.ensemble import ExtraTreesRegressor

from archlab.latency.operators import TAILS, LayerOperators, Light, Operator
from archlab.latency.trees import forest_mean

__all__ = ["KernelTimes", "TimedLayer", "train"]

Floats = npt.NDArray[np.float64]

_TREES = 200
_SHARE = 0.6
_FEWEST = 8
"""Different shapes of a kind that trees are worth."""
_VECTOR = 16
_LEAST_MS = 1e-3
_FLOOR_MS = 0.02
"""Sums of light operators below this weigh alike: the profiler's clock is no finer."""
_MILLION = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimedLayer:
    """A layer as it was timed: ms of each operator with multiply-adds, and of all others together."""

    layer: LayerOperators
    heavy_ms: tuple[float, ...]
    light_ms: float


@dataclasses.dataclass(kw_only=True)
class KernelTimes:
    """Times of operators in ms, looked up or learned; what was asked before is remembered."""

    seen: Mapping[Operator, float]
    base: Floats
    trees: Mapping[str, ExtraTreesRegressor]
    light: Mapping[str, tuple[float, float]]
    _guessed: dict[Operator, float] = dataclasses.field(default_factory=dict)

    def heavy_ms(self, asked: Sequence[Operator]) -> Floats:
        """Time of each operator with multiply-adds, in ms."""
        new = [one for one in dict.fromkeys(asked) if one not in self.seen and one not in self._guessed]
        by_kind: dict[str, list[Operator]] = collections.defaultdict(list)
        for one in new:
            by_kind[one.kind].append(one)
        for kind, ones in by_kind.items():
            table = _numbers(ones)
            log_ms = np.log(np.maximum(_base_table(ones) @ self.base, _LEAST_MS))
            if kind in self.trees:
                log_ms = log_ms + forest_mean(self.trees[kind], table)
            self._guessed.update(zip(ones, np.exp(log_ms).tolist(), strict=True))
        return np.array([self.seen.get(one) or self._guessed[one] for one in asked])

    def light_ms(self, found: Mapping[str, Light]) -> float:
        """Time of a layer's other operators, in ms; a name that was never timed costs what a plain sum costs."""
        plain = self.light.get("add", (0.0, 0.0))
        total = 0.0
        for name, one in found.items():
            each, per_million = self.light.get(name, (0.0, 0.0) if "+" in name or name == "view" else plain)
            total += each * one.count + per_million * one.elems / _MILLION
        return total

    def seen_share(self, asked: Sequence[Operator]) -> float:
        """Share of the time of operators with multiply-adds that was looked up."""
        ms = self.heavy_ms(asked)
        return float(ms[[one in self.seen for one in asked]].sum() / ms.sum()) if len(ms) else 0.0


def train(layers: Iterable[TimedLayer], *, seed: int = 0) -> KernelTimes:
    """Learn from timed layers; the same layers in the same order give the same times.

    Args:
        layers: Layers of any networks, all of one device and run.
        seed: Of the trees.
    """
    timed = list(layers)
    seen = _means(timed)
    ones, ms = list(seen), np.array(list(seen.values()))
    table = _base_table(ones)
    base = nnls(table / ms[:, None], np.ones(len(ms)))[0]
    off = np.log(ms) - np.log(np.maximum(table @ base, _LEAST_MS))
    kinds = np.array([one.kind for one in ones])
    trees = {}
    for kind in sorted(set(kinds.tolist())):
        mine = kinds == kind
        if mine.sum() >= _FEWEST:
            model = ExtraTreesRegressor(_TREES, max_features=_SHARE, random_state=seed, n_jobs=1)
            trees[kind] = model.fit(_numbers([ones[i] for i in np.flatnonzero(mine)]), off[mine])
    return KernelTimes(seen=seen, base=base, trees=trees, light=_light(timed))


def _means(timed: Sequence[TimedLayer]) -> dict[Operator, float]:
    sums: dict[Operator, list[float]] = collections.defaultdict(list)
    for one in timed:
        for operator, ms in zip(one.layer.heavy, one.heavy_ms, strict=True):
            sums[operator].append(max(ms, _LEAST_MS))
    return {operator: math.fsum(all_ms) / len(all_ms) for operator, all_ms in sums.items()}


def _light(timed: Sequence[TimedLayer]) -> dict[str, tuple[float, float]]:
    names = sorted({name for one in timed for name in one.layer.light})
    ms = np.array([one.light_ms for one in timed])
    none = Light(count=0, elems=0)
    found = [[one.layer.light.get(name, none) for name in names] for one in timed]
    counts = np.array([[light.count for light in row] for row in found], np.float64)
    elems = np.array([[light.elems / _MILLION for light in row] for row in found])
    weights = 1 / np.sqrt(ms + _FLOOR_MS)
    table = np.hstack([counts, elems]) * weights[:, None]
    each, per_million = np.split(nnls(table, ms * weights)[0], 2) if names else (np.empty(0), np.empty(0))
    return {name: (float(a), float(b)) for name, a, b in zip(names, each, per_million, strict=True)}


def _up(channels: int) -> int:
    return -(-channels // _VECTOR) * _VECTOR


def _work(one: Operator) -> float:
    """Multiply-adds with whole vectors of channels."""
    lanes = _up(one.width) * (1 if one.kind == "depthwise" else _up(one.depth))
    return float(one.items * one.rows * lanes * one.kernel**2)


def _base_table(ones: Sequence[Operator]) -> Floats:
    rows = []
    for one in ones:
        work = _work(one) / _MILLION
        is_depthwise = one.kind == "depthwise"
        moved = (one.in_elems + one.out_elems) / _MILLION
        rows.append(
            [1.0, 0.0 if is_depthwise else work, work if is_depthwise else 0.0, moved, one.weight_elems / _MILLION]
        )
    return np.array(rows)


def _numbers(ones: Sequence[Operator]) -> Floats:
    """What the trees see."""
    logs = [
        [one.rows, one.depth, one.width, one.groups, one.items, one.in_elems, one.out_elems, one.weight_elems]
        for one in ones
    ]
    work = [[_work(one), one.depth * one.kernel**2, one.macs] for one in ones]
    plain = [
        [
            one.kernel,
            one.stride,
            TAILS.index(one.tail),
            one.width % _VECTOR,
            one.depth % _VECTOR,
            _up(one.width) // _VECTOR % 4,
            math.isqrt(one.rows) % 8,
        ]
        for one in ones
    ]
    return np.hstack(
        [np.log(np.array(logs, np.float64)), np.log(np.array(work, np.float64)), np.array(plain, np.float64)]
    )
