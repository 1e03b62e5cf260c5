"""What would be said of a network that was not measured? Each is predicted by a learner that saw only others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archlab.device.catalog import Device, RunSpec
from archlab.latency.samples import Learner, Measured

__all__ = ["without"]

Floats = npt.NDArray[np.float64]


def without(networks: Sequence[Measured], learner: Learner, device: Device, run: RunSpec, parts: int) -> Floats:
    """Predict each network, in ms, by a learner that saw the other parts only.

    Networks fall to the parts in turns, so the same networks in the same order give the same predictions.
    """
    part = np.arange(len(networks)) % parts
    ms = np.empty(len(networks))
    for left_out in np.unique(part):
        model = learner([one for one, its in zip(networks, part, strict=True) if its != left_out], device, run)
        for i in np.flatnonzero(part == left_out).tolist():
            ms[i] = model(networks[i].trace)
    return ms
