"""The predictor `fitted`: a roofline fitted to a device's own measurements, and trees for what it leaves unexplained.

    log ms = log roofline(network) + n / (n + 30) · trees(sizes, shares of work by kind, shares of the roofline's time)

The trees (extremely randomised, Geurts et al. 2006) learn from what rooflines miss that had not seen the network, so
they do not learn that a fit flatters itself. Of few networks n they learn what extreme ones are missed by, which helps
those of them that are left out and misleads about others: hence the weight (`studies/predictors`). It needs latencies
of networks alone, no times of operators.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor

from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec
from archlab.latency import own_roofline
from archlab.latency.choice import described
from archlab.latency.own_roofline import OwnRoofline
from archlab.latency.samples import Measured
from archlab.latency.trees import forest_mean
from archlab.latency.without import without

__all__ = ["learn"]

_FOLDS = 10
_TREES = 300
_LEAF = 2
_SHARE = 0.5
_HALF = 30
"""With so many networks the trees' word counts by half."""

Floats = npt.NDArray[np.float64]


def learn(networks: Sequence[Measured], device: Device, run: RunSpec) -> Callable[[OpTrace], float]:
    """Fit roofline and trees to measured networks; gives what says the ms of a trace.

    The same networks in the same order give the same predictions.
    """
    whole = own_roofline.learn(networks, device, run)
    unseen_ms = without(networks, own_roofline.learn, device, run, min(len(networks), _FOLDS))
    missed = np.log(np.array([one.ms for one in networks]) / unseen_ms)
    trees = ExtraTreesRegressor(_TREES, min_samples_leaf=_LEAF, max_features=_SHARE, random_state=0, n_jobs=1)
    trees.fit(np.array([_numbers(one.trace, whole) for one in networks]), missed)
    weight = len(networks) / (len(networks) + _HALF)

    def predict(trace: OpTrace) -> float:
        return whole(trace) * float(np.exp(weight * forest_mean(trees, _numbers(trace, whole)[None])[0]))

    return predict


def _numbers(trace: OpTrace, roofline: OwnRoofline) -> Floats:
    return np.concatenate([described(trace), roofline.shares(trace)])
