"""The roofline's coefficients from one's own measurements: few networks, so they stay near what is known beforehand.

For a device with shipped constants that is the fit on published latencies; ten new networks then correct it where they
disagree. For any other device it is what the data sheet, or the operating system, promises, with usual efficiencies.
Three steps that all floors, all compute and all traffic share come cheap, so a device that is merely slower than
promised needs no more than those.
"""

import math
from collections.abc import Sequence

import numpy as np

from archlab.cost.rows import OpTrace
from archlab.device import telemetry
from archlab.device.catalog import Device, RunSpec
from archlab.latency.features import features
from archlab.latency.fit import Floats, Points, Prior, fit
from archlab.latency.fusion import RUNTIMES
from archlab.latency.samples import Measured
from archlab.latency.tables import CALIBRATED, constants
from archlab.latency.terms import TERMS, design

__all__ = ["OwnRoofline", "fusion_of", "has_constants", "learn", "promised"]

TIGHTNESS = 0.2
"""How hard coefficients are to move from what is known beforehand; `studies/predictors/hybrid.md` shows the choice."""

_FUSION = {"ort": "ort", "trtexec": "trt", "torch": "eager", "cuda": "eager", "cuda_graph": "eager"}

_TFLOPS = {"cpu": 0.05, "gpu": 10.0, "board": 1.0}
_GBS = {"cpu": 10.0, "gpu": 300.0, "board": 50.0}
"""Where nothing is known of a device of that kind; of a CPU, for one thread."""

_LAUNCH_US = {"cpu": 3.0, "gpu": 5.0, "board": 8.0}
_EFFICIENCY = {"depthwise_macs": 0.2, "grouped_macs": 0.4, "product_macs": 0.4}
_PLAIN_EFFICIENCY = 0.6
_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}


def fusion_of(runtime: str) -> str:
    """The fusion rules that describe a runtime best."""
    return runtime if runtime in RUNTIMES else _FUSION.get(runtime, "ort")


class OwnRoofline:
    """What `learn` gives: the ms of a trace, and how they fall on the terms."""

    def __init__(self, coefficients: Floats, fusion: str) -> None:
        self.coefficients, self._fusion = coefficients, fusion

    def __call__(self, trace: OpTrace) -> float:
        return float(design(features(trace, self._fusion)).group_ms(self.coefficients).sum())

    def shares(self, trace: OpTrace) -> Floats:
        """The share of the time that each of `TERMS` has."""
        parts = design(features(trace, self._fusion)).weighted(self.coefficients)[0] * self.coefficients
        result: Floats = parts / parts.sum()
        return result


def learn(networks: Sequence[Measured], device: Device, run: RunSpec) -> OwnRoofline:
    """Fit the coefficients to measured networks."""
    fusion = fusion_of(run.runtime)
    names = np.array([str(i) for i in range(len(networks))])
    points = Points(
        design=design(*(features(one.trace, fusion).merged() for one in networks)),
        log_ms=np.log([one.ms for one in networks]),
        families=names,
        networks=names,
        addends=np.full(len(networks), -1),
    )
    prior = Prior(log_coefficients=_before(device, run), log_addends=np.empty(0), tightness=TIGHTNESS, is_shared=True)
    return OwnRoofline(np.exp(fit(points, prior).log_coefficients), fusion)


def promised(device: Device, run: RunSpec) -> Floats:
    """Logarithms of the coefficients that a device's facts promise, in the order and the units of `TERMS`."""
    tflops = (device.peak_fp32_tflops if run.precision == "fp32" else device.peak_fp16_tflops) or _TFLOPS[device.kind]
    if device.kind == "cpu" and device.peak_fp32_tflops:
        tflops *= run.threads / telemetry.cpu().cores
    gbs = device.mem_bw_gbs or _GBS[device.kind]
    byte_ps = 1e3 / gbs * _BYTES[run.precision] / _BYTES["fp16"]
    mac_ps = 2 / tflops
    values = {"us": _LAUNCH_US[device.kind], "ns": 1.0, "ps_per_byte": byte_ps, "ps_per_score": byte_ps}
    return np.array(
        [math.log(values.get(t.unit) or mac_ps / _EFFICIENCY.get(t.name, _PLAIN_EFFICIENCY)) for t in TERMS]
    )


def has_constants(device: Device, run: RunSpec) -> bool:
    """Whether the shipped constants, which are TensorRT's in the device's own precision, speak for a way of running."""
    is_theirs = run.runtime == "trtexec" and run.precision == device.precision
    return is_theirs and device.calibration in CALIBRATED


def _before(device: Device, run: RunSpec) -> Floats:
    if has_constants(device, run) and device.calibration is not None:
        return np.log(np.array(constants(device.calibration).coefficients))
    return promised(device, run)
