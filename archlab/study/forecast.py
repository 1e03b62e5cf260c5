"""What will a measurement say, roughly? A device's own calibration knows, if it was made on the device as it is now.

Like the pace (`pace.py`) it is only ever used to leave hopeless networks out, by the low end of its interval.
"""

from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec
from archlab.latency import PREDICTORS
from archlab.latency.samples import stored
from archlab.study.identity import Fingerprint
from archlab.study.objective import Reading

__all__ = ["forecast"]


def forecast(trace: OpTrace, device: Device, run: RunSpec, fingerprint: Fingerprint) -> Reading | None:
    """Estimate a network's latency on a device that is measured, in ms.

    Returns:
        The estimate with its interval; None without a calibration, or with one for another run, machine or software.

    Raises:
        DeviceError: For a file that is no calibration.
    """
    found = stored(device)
    if found is None or not found.is_for(run, fingerprint):
        return None
    guess = PREDICTORS[found.best].predict(trace, device, run)
    return Reading(value=guess.ms, source=guess.source, interval=(guess.lo_ms, guess.hi_ms))
