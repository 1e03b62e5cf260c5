"""How long would a network take on a device that nobody asks? A calibrated roofline over its fused groups.

Convention. The time is a sum over groups (`terms.py`). On a device with a calibration of its own the coefficients are
fitted to the networks that were measured there (`own_roofline.py`). Elsewhere it is TensorRT, FP16, batch 1, without
host transfer, and the coefficients were fitted on published latencies (`calibrate.py`).

The interval holds the truth nine times in ten: it comes from the errors on networks, or on model families, that the
fit had not seen. It is wider for one that is faster or slower than any that the fit saw, and among published ones for a
network whose time goes where the fit saw little.
"""

import math

import numpy as np
import numpy.typing as npt

from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec
from archlab.errors import DeviceError, four_parts
from archlab.latency.estimate import Estimate, HeldOut, stretch
from archlab.latency.features import Features, features
from archlab.latency.own_roofline import learn
from archlab.latency.samples import calibrated, estimate, stored
from archlab.latency.tables import CALIBRATED, Constants, constants
from archlab.latency.terms import design

__all__ = ["Roofline", "score_scale"]

_UNFAMILIAR = 5.0
"""How much the uncertainty of the coefficients widens an interval, in units of what all networks share."""


class Roofline:
    """The predictor `roofline`; holds nothing."""

    name = "roofline"

    def predict(self, trace: OpTrace, device: Device, run: RunSpec | None = None) -> Estimate:
        """Estimate the latency of a network, in ms.

        Args:
            trace: The network's operators.
            device: A device with a calibration of its own, or with constants.
            run: What would be asked of the device; it must be as calibrated.

        Raises:
            DeviceError: For a device with neither, or a run that they do not describe.
        """
        if stored(device) is not None:
            return estimate(self.name, learn, trace, device, run)
        return self.shipped(trace, device, run)

    def shipped(self, trace: OpTrace, device: Device, run: RunSpec | None = None) -> Estimate:
        """Estimate by the constants that were fitted on published latencies, whatever was measured since; in ms.

        Raises:
            DeviceError: For a device without constants, or a run that they do not describe.
        """
        known = _constants(device)
        _check_run(trace, device, run)
        laid_out = design(features(trace))
        coefficients = np.array(known.coefficients)
        parts = laid_out.weighted(coefficients)[0] * coefficients
        ms = float(parts.sum())
        scale = float(score_scale(parts[None] / ms, np.array(known.spread))[0]) * stretch(ms, known.range_ms)
        return Estimate(
            ms=ms,
            lo_ms=ms * math.exp(known.low * scale),
            hi_ms=ms * math.exp(known.high * scale),
            predictor=self.name,
            device=device.name,
            held_out=known.held_out,
            seen_ms=known.range_ms,
        )

    def group_ms(self, trace: OpTrace, device: Device) -> tuple[Features, npt.NDArray[np.float64]]:
        """Estimate the time of each fused group, in ms; they add up to the network's.

        Raises:
            DeviceError: For a device without constants.
        """
        known = _constants(device)
        found = features(trace)
        return found, design(found).group_ms(np.array(known.coefficients))

    def held_out(self, device: Device) -> HeldOut:
        """The error on measured networks that were left out, or on families of published ones.

        Raises:
            DeviceError: For a device with neither.
        """
        if stored(device) is not None:
            return calibrated(device, None, self.name).spreads[self.name].held_out
        return _constants(device).held_out


def score_scale(shares: npt.NDArray[np.float64], spread: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How uncertain each network is, relative to one whose coefficients are known exactly.

    Args:
        shares: Each network's time by term, `(networks, terms)`, rows adding up to 1 or less.
        spread: Covariance of the coefficients' logarithms, in units of the residuals' variance.
    """
    variance = np.einsum("ni,ij,nj->n", shares, spread, shares)
    result: npt.NDArray[np.float64] = np.sqrt(1.0 + _UNFAMILIAR * variance)
    return result


def _constants(device: Device) -> Constants:
    if device.calibration not in CALIBRATED:
        how = "it is reached from here, so measure it or calibrate it" if device.reach else "it has no constants"
        raise DeviceError(
            four_parts(
                f"device {device.name!r} is not estimated: {how}",
                given=device.name,
                allowed=f"estimates for {', '.join(CALIBRATED)} and devices with a calibration of their own",
                do=f"archlab measure MODEL --device {device.name}, or archlab device calibrate {device.name}"
                if device.reach
                else "choose one of those devices",
            )
        )
    return constants(device.calibration)


def _check_run(trace: OpTrace, device: Device, run: RunSpec | None) -> None:
    batch = trace.batch if run is None or trace.batch != 1 else run.batch
    if batch != 1:
        raise DeviceError(
            four_parts(
                f"estimates for {device.name} are for one image at a time",
                given=f"batch {batch}",
                allowed="batch 1",
                do="ask for batch 1, or for a device that can be measured",
            )
        )
    if run is not None and run.precision != device.precision:
        raise DeviceError(
            four_parts(
                f"estimates for {device.name} are for one precision",
                given=run.precision,
                allowed=device.precision,
                do=f"ask for {device.precision}, or for a device that can be measured",
            )
        )
