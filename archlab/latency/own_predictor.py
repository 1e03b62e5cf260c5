"""Predictors that learn from networks measured on the device: `lookup` and `fitted` differ in what they learn."""

import dataclasses

from archlab.cost.rows import OpTrace
from archlab.device.catalog import Device, RunSpec
from archlab.latency.estimate import Estimate, HeldOut
from archlab.latency.samples import Learner, calibrated, estimate

__all__ = ["OwnPredictor"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OwnPredictor:
    """One way to learn from a device's own calibration, by its name."""

    name: str
    learn: Learner

    def predict(self, trace: OpTrace, device: Device, run: RunSpec | None = None) -> Estimate:
        """Estimate the latency of a network, in ms.

        Args:
            trace: The network's operators.
            device: A device with a calibration of its own, for `lookup` with times of operators.
            run: What would be asked of the device; it must be as calibrated.

        Raises:
            DeviceError: For a device without such a calibration, or another run.
        """
        return estimate(self.name, self.learn, trace, device, run)

    def held_out(self, device: Device) -> HeldOut:
        """The error on measured networks that were left out.

        Raises:
            DeviceError: For a device without such a calibration.
        """
        return calibrated(device, None, self.name).spreads[self.name].held_out
