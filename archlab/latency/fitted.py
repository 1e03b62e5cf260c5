"""Latency from measured networks alone: kernels that learn what whole networks took, and an interval that was tried.

Train on networks of one device and runtime; a group is what is new together (the file that implements a family, say).
The interval comes from groups that were left out while the rest was learnt: the logarithm of measured over predicted,
by quantile. Nothing is stored: a training is repeated from its samples, which gives the same result on one machine.
"""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archlab.errors import PlanError, four_parts
from archlab.latency.kernel_net import KernelNet
from archlab.latency.launches import Launches

__all__ = ["Sample", "Trained", "folds", "left_out", "train"]

Floats = npt.NDArray[np.float64]

_FOLDS = 4
_LEVEL = 0.9
_LEAST_GROUPS = 2


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

    net: KernelNet
    low: float
    high: float

    def predict(self, launches: Launches) -> tuple[float, float, float]:
        """Predict the ms of a network, and the ends of the interval that holds the truth nine times in ten."""
        ms = float(self.net.predict([launches]).sum())
        return ms, ms * self.low, ms * self.high

    def parts(self, launches: Launches) -> Floats:
        """The predicted ms by kind of kernel, `(len(LAUNCH_KINDS),)`."""
        found: Floats = self.net.predict([launches])[0]
        return found


def train(samples: Sequence[Sample], *, seed: int = 0) -> Trained:
    """Learn from measured networks.

    Args:
        samples: Networks of one device, runtime and precision.
        seed: Of the first values that learning starts from.

    Raises:
        PlanError: For fewer than two groups: what is new cannot be tried then.
    """
    fold = folds([s.group for s in samples], min(_FOLDS, len({s.group for s in samples})))
    low, high = _ends(_log_ms(samples) - np.log(_tried(samples, fold, seed)))
    return Trained(net=_learn(samples, seed), low=low, high=high)


def left_out(samples: Sequence[Sample], *, count: int, seed: int = 0) -> Floats:
    """Predict every network by a training that saw nothing of its fold of groups.

    The interval is that of the errors in the other folds (the trainings behind those errors saw this fold, which hardly
    moves a quantile of many errors).

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
    found = _tried(samples, fold, seed)
    errors = _log_ms(samples) - np.log(found)
    ends = np.array([_ends(errors[fold != one]) for one in range(count)])
    return np.column_stack([found, found * ends[fold, 0], found * ends[fold, 1]])


def folds(groups: Sequence[str], count: int) -> npt.NDArray[np.intp]:
    """Share groups out, the largest first, each to the fold that is smallest yet: a fold for every network."""
    sizes = [0] * count
    fold: dict[str, int] = {}
    for group, members in sorted(collections.Counter(groups).items(), key=lambda item: (-item[1], item[0])):
        fold[group] = sizes.index(min(sizes))
        sizes[fold[group]] += members
    return np.array([fold[group] for group in groups], np.intp)


def _tried(samples: Sequence[Sample], fold: npt.NDArray[np.intp], seed: int) -> Floats:
    """The ms of every network as predicted by a training without its fold."""
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
    found = np.empty(len(samples))
    for one in np.unique(fold):
        net = _learn([s for s, f in zip(samples, fold, strict=True) if f != one], seed)
        left = [s.launches for s, f in zip(samples, fold, strict=True) if f == one]
        found[fold == one] = net.predict(left).sum(axis=1)
    return found


def _log_ms(samples: Sequence[Sample]) -> Floats:
    return np.log([s.ms for s in samples])


def _ends(errors: Floats) -> tuple[float, float]:
    """The interval over a prediction, from logarithms of measured over predicted."""
    low, high = np.exp(np.quantile(errors, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]))
    return float(low), float(high)


def _learn(samples: Sequence[Sample], seed: int) -> KernelNet:
    ms, weights = np.array([s.ms for s in samples]), np.array([s.weight for s in samples])
    return KernelNet.fit([s.launches for s in samples], ms, weights, seed=seed)
