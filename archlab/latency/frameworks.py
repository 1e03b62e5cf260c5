"""Latency from measured networks alone: kernels that learn what whole networks took, and an interval that was tried.

Train on networks of one device and runtime; a group is what is new together (the file that implements a family, say).
What is predicted is a mean of logarithms of two ways, kernels that learn and a sum over kinds of kernels. Its shares
and the interval come from groups that were left out while the rest was learnt; the interval is a quantile of the
logarithm of measured over predicted. Nothing is stored: a training is repeated from its samples, with one result on one
machine.
"""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archlab.errors import PlanError, four_parts
from archlab.latency.estimate import LEVEL
from archlab.latency.kernel_cache import CacheRoofline
from archlab.latency.kernel_net import KernelNet
from archlab.latency.kernel_sums import KindRoofline
from archlab.latency.launches import Launches

__all__ = ["Mixed", "Sample", "Trained", "folds", "left_out", "mixed_by_fold", "train"]

Floats = npt.NDArray[np.float64]

_FOLDS = 4
_LEAST_GROUPS = 2
_SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25)
"""How much of the mean the kernels that learn may have; the sum over kinds has the rest."""
_SUMS: dict[str, type[KindRoofline] | type[CacheRoofline]] = {"inductor": CacheRoofline}
"""The sum over kinds by runtime; all others have the plain one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A measured network: its kernels, ms, what it is new together with, and how much it counts."""

    launches: Launches
    ms: float
    group: str
    weight: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """What `train` gives. `low` and `high` are the interval's ends over the prediction."""

    mixed: "Mixed"
    low: float
    high: float

    def predict(self, launches: Launches) -> tuple[float, float, float]:
        """Predict the ms of a network, and the ends of the interval that holds the truth nine times in ten."""
        ms = float(self.mixed.predict([launches])[0])
        return ms, ms * self.low, ms * self.high

    def parts(self, launches: Launches) -> Floats:
        """The predicted ms by kind of kernel, `(len(LAUNCH_KINDS),)`."""
        parts = self.mixed.net.predict([launches])[0]
        found: Floats = parts / parts.sum() * self.mixed.predict([launches])[0]
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixed:
    """Kernels that learn, and a sum over kinds; the mean of their logarithms, the first by `share`."""

    net: KernelNet
    roofline: KindRoofline | CacheRoofline
    share: float

    def predict(self, networks: Sequence[Launches]) -> Floats:
        """The ms of each network."""
        return _mixed(np.column_stack(_ways(self.net, self.roofline, networks)), self.share)


def train(samples: Sequence[Sample], *, seed: int = 0) -> Trained:
    """Learn from measured networks.

    Args:
        samples: Networks of one device, runtime and precision.
        seed: Of the first values that learning starts from.

    Raises:
        PlanError: For fewer than two groups: what is new cannot be tried then.
    """
    fold = folds([s.group for s in samples], min(_FOLDS, len({s.group for s in samples})))
    tried, ms = _tried(samples, fold, seed), _ms(samples)
    share = _best_share(tried, ms)
    low, high = _ends(np.log(ms / _mixed(tried, share)))
    net, roofline = _learn(samples, seed)
    return Trained(mixed=Mixed(net=net, roofline=roofline, share=share), low=low, high=high)


def left_out(samples: Sequence[Sample], *, count: int, seed: int = 0) -> Floats:
    """Predict every network by a training that saw nothing of its fold of groups.

    The mixture and the interval come from the errors in the other folds (the trainings behind those errors saw this
    fold, which hardly moves a mean or a quantile of many errors).

    Args:
        samples: Networks of one device, runtime and precision.
        count: Number of folds.
        seed: Of the trainings.

    Returns:
        Prediction and the ends of the interval in ms, `(samples, 3)`.

    Raises:
        PlanError: For fewer than two groups.
    """
    fold = folds([s.group for s in samples], count)
    return mixed_by_fold(_tried(samples, fold, seed), _ms(samples), fold)


def mixed_by_fold(tried: Floats, ms: Floats, fold: npt.NDArray[np.intp]) -> Floats:
    """Mix two predictions of each network, `(samples, 2)`, as the folds other than its own suggest: ms and the ends of
    the interval, `(samples, 3)`."""
    found = np.empty((len(ms), 3))
    for one in np.unique(fold):
        here, others = fold == one, fold != one
        share = _best_share(tried[others], ms[others])
        low, high = _ends(np.log(ms[others] / _mixed(tried[others], share)))
        point = _mixed(tried[here], share)
        found[here] = np.column_stack([point, point * low, point * high])
    return found


def folds(groups: Sequence[str], count: int) -> npt.NDArray[np.intp]:
    """Share groups out, the largest first, each to the fold that is smallest yet: a fold for every network."""
    sizes = [0] * count
    fold: dict[str, int] = {}
    for group, members in sorted(collections.Counter(groups).items(), key=lambda item: (-item[1], item[0])):
        fold[group] = sizes.index(min(sizes))
        sizes[fold[group]] += members
    return np.array([fold[group] for group in groups], np.intp)


def _tried(samples: Sequence[Sample], fold: npt.NDArray[np.intp], seed: int) -> Floats:
    """The ms of every network as predicted, both ways, by a training without its fold: `(samples, 2)`."""
    groups = len({s.group for s in samples})
    if groups < _LEAST_GROUPS:
        raise PlanError(
            four_parts(
                "an interval needs networks that were left out",
                given=f"{groups} groups in {len(samples)} measured networks",
                allowed=f"{_LEAST_GROUPS} groups or more",
                do="measure networks of another family, or name the groups more finely",
            )
        )
    found = np.empty((len(samples), 2))
    for one in np.unique(fold):
        ways = _learn([s for s, f in zip(samples, fold, strict=True) if f != one], seed)
        left = [s.launches for s, f in zip(samples, fold, strict=True) if f == one]
        found[fold == one] = np.column_stack(_ways(*ways, left))
    return found


def _ways(
    net: KernelNet, roofline: KindRoofline | CacheRoofline, networks: Sequence[Launches]
) -> tuple[Floats, Floats]:
    return net.predict(networks).sum(axis=1), roofline.predict(networks)


def _mixed(ways: Floats, share: float) -> Floats:
    result: Floats = np.exp(np.log(ways) @ [share, 1 - share])
    return result


def _best_share(tried: Floats, ms: Floats) -> float:
    """The share with the least mean error."""
    return min(_SHARES, key=lambda share: float(np.abs(_mixed(tried, share) / ms - 1).mean()))


def _ms(samples: Sequence[Sample]) -> Floats:
    return np.array([s.ms for s in samples])


def _ends(errors: Floats) -> tuple[float, float]:
    """The interval over a prediction, from logarithms of measured over predicted."""
    low, high = np.exp(np.quantile(errors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return float(low), float(high)


def _learn(samples: Sequence[Sample], seed: int) -> tuple[KernelNet, KindRoofline | CacheRoofline]:
    networks, ms = [s.launches for s in samples], _ms(samples)
    weights = np.array([s.weight for s in samples])
    sums = _SUMS.get(networks[0].runtime, KindRoofline)
    return KernelNet.fit(networks, ms, weights, seed=seed), sums(networks, ms)
