"""Fit a device's constants on published latencies, and say how wrong they are on families that were left out.

T4 has the most rows; its prior are multiples of what the data sheet promises. Orin and Nano start from the T4's
coefficients, scaled by their data sheets, and leave them only as far as their few rows ask (`TIGHTNESS`). When a family
is left out, it is left out of the T4's fit as well. Boards without tensor cores have no use for widths that are
multiples of 8, so their prior treats aligned and unaligned linear layers alike.

Two rules refuse rows that cannot be what they claim: the source states other multiply-adds than the network has (by
more than a quarter: other formulations of attention differ by up to a fifth), or the row claims more than twice the
multiply-adds per second of every other row of the device.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from archlab.device.catalog import DEVICES, Device
from archlab.latency.estimate import HeldOut, central, compared
from archlab.latency.fit import Fit, Floats, Points, Prior, fit, leave_out
from archlab.latency.roofline import score_scale
from archlab.latency.tables import Constants, Published, latencies, networks
from archlab.latency.terms import TERMS, design

__all__ = ["TIGHTNESS", "Calibration", "calibrate", "points_of", "refusal", "t4_prior", "usable"]

TIGHTNESS = {"t4": 0.3, "orin": 0.5, "nano": 0.2}
"""How hard coefficients are to move from their prior; chosen among 0.1, 0.2, 0.3, 0.5 and 1 by the errors on
left-out families and networks, which are therefore a little too kind."""

_MACS_TOLERANCE = 0.25
_RATE = 2.0
_ADDEND_MS = {"orin": 0.1, "nano": 0.5}
_NO_TENSOR_CORES = {"nano"}

_PRIOR = {
    "launch_gemm": 4.0,
    "launch_depthwise": 4.0,
    "launch_product": 4.0,
    "launch_first_norm": 8.0,
    "launch_norm": 6.0,
    "launch_light": 4.0,
    "crossing": 4.0,
    "depth": 1.0,
    "crossing_bytes": 4.0,
    "conv_macs": 2.5,
    "grouped_macs": 4.0,
    "depthwise_macs": 1.0,
    "pointwise_macs": 2.5,
    "pointwise_even_macs": 25.0,
    "pointwise_odd_macs": 50.0,
    "product_macs": 2.0,
    "scores": 2.0,
    "biased_scores": 4.0,
    "scaled_scores": 8.0,
    "weight_bytes": 1.0,
    "gemm_bytes": 1.0,
    "depthwise_bytes": 1.0,
    "first_norm_bytes": 8.0,
    "norm_bytes": 3.0,
    "light_bytes": 1.5,
}
"""Before any data: µs per launch, ns per step of depth, else multiples of the time at the data sheet's peak."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """A device's constants, and for every row used: published ms, the fit's, and those of fits that left out its
    family or its network, with the 90 % interval around the former."""

    constants: Constants
    rows: tuple[Published, ...]
    families: tuple[str, ...]
    fitted_ms: Floats
    family_out_ms: Floats
    network_out_ms: Floats
    low_ms: Floats
    high_ms: Floats


def refusal(row: Published) -> str:
    """Why a row is not used; empty for one that is."""
    macs = networks()[row.key].macs
    if row.why_not:
        return row.why_not
    if row.stated_macs is not None and abs(macs / row.stated_macs - 1) > _MACS_TOLERANCE:
        return f"the source states {row.stated_macs / 1e9:.3g} G multiply-adds, the network has {macs / 1e9:.3g} G"
    others = (o for o in latencies() if o.device == row.device and not o.why_not and o.key != row.key)
    most = max(networks()[o.key].macs / o.ms for o in others)
    if macs / row.ms > _RATE * most:
        return f"claims {macs / row.ms / most:.1f} times the multiply-adds per second of every other row"
    return ""


def usable(device: str) -> tuple[Published, ...]:
    """The rows that a device's fit uses."""
    return tuple(row for row in latencies() if row.device == device and not refusal(row))


def calibrate(device: str) -> Calibration:
    """Fit a device and work out its held-out errors; takes seconds."""
    rows = usable(device)
    points = points_of(device, rows)
    base = _Base(device)
    whole = fit(points, base.prior(device, points, ""))

    def prior(group: str) -> Prior:
        return base.prior(device, points, group)

    log_ms, folds = leave_out(points, points.families, prior, whole.steps)
    lone_ms, _ = leave_out(points, points.networks, lambda _: prior(""), whole.steps)
    scales = _scales(points, folds)
    scores = (points.log_ms - log_ms) / scales
    low, high = _held_out_quantiles(points, scores)
    quantiles = central(scores)
    known = Constants(
        device=device,
        coefficients=tuple(float(f"{c:.5g}") for c in np.exp(whole.log_coefficients)),
        addends_ms=dict(zip(_addends(rows), map(float, np.exp(whole.log_addends).round(4)), strict=True)),
        spread=tuple(tuple(float(f"{v:.4g}") for v in row) for row in whole.spread),
        low=round(quantiles[0], 4),
        high=round(quantiles[1], 4),
        range_ms=(min(row.ms for row in rows), max(row.ms for row in rows)),
        held_out=_held_out(points, log_ms, (low <= scores) & (scores <= high)),
        leave_network_out=_held_out(points, lone_ms, None),
    )
    return Calibration(
        constants=known,
        rows=rows,
        families=tuple(map(str, points.families)),
        fitted_ms=np.exp(whole.log_ms),
        family_out_ms=np.exp(log_ms),
        network_out_ms=np.exp(lone_ms),
        low_ms=np.exp(log_ms + low * scales),
        high_ms=np.exp(log_ms + high * scales),
    )


class _Base:
    """What a device's fit starts from, with or without a family."""

    def __init__(self, device: str) -> None:
        self._points = None if device == "t4" else points_of("t4", usable("t4"))
        self._whole = None if self._points is None else fit(self._points, t4_prior())
        self._without: dict[str, Floats] = {}

    def prior(self, device: str, points: Points, family: str) -> Prior:
        if self._points is None or self._whole is None:
            return t4_prior()
        if family not in self._without:
            self._without[family] = self._t4(family)
        log_coefficients = self._without[family] + _log_units(DEVICES[device]) - _log_units(DEVICES["t4"])
        if device in _NO_TENSOR_CORES:
            aligned = _index("pointwise_macs")
            log_coefficients[[_index("pointwise_even_macs"), _index("pointwise_odd_macs")]] = log_coefficients[aligned]
        return Prior(
            log_coefficients=log_coefficients,
            log_addends=np.full(points.addends.max() + 1, math.log(_ADDEND_MS[device])),
            tightness=TIGHTNESS[device],
            is_shared=True,
        )

    def _t4(self, family: str) -> Floats:
        assert self._points is not None
        assert self._whole is not None
        keep = self._points.families != family
        if keep.all():
            return self._whole.log_coefficients.copy()
        return fit(self._points, t4_prior(), keep=keep, start=self._whole.steps).log_coefficients


def t4_prior() -> Prior:
    """Where the T4's fit starts: usual multiples of what its data sheet promises."""
    multiples = np.log([_PRIOR[term.name] for term in TERMS])
    return Prior(
        log_coefficients=multiples + _log_units(DEVICES["t4"]),
        log_addends=np.empty(0),
        tightness=TIGHTNESS["t4"],
        is_shared=False,
    )


def _log_units(device: Device) -> Floats:
    """What one multiply-add, score or byte costs at the data sheet's peak; a launch costs the same everywhere."""
    assert device.peak_fp16_tflops is not None
    assert device.peak_fp32_tflops is not None
    assert device.mem_bw_gbs is not None
    byte = 1e3 / device.mem_bw_gbs
    units = {"us": 1.0, "ns": 1.0, "ps_per_byte": byte, "ps_per_score": byte}
    vector, matrix = 2 / device.peak_fp32_tflops, 2 / device.peak_fp16_tflops
    macs = {"depthwise_macs": vector}
    return np.log([units.get(term.unit) or macs.get(term.name, matrix) for term in TERMS])


def _index(name: str) -> int:
    return [term.name for term in TERMS].index(name)


def _addends(rows: Iterable[Published]) -> list[str]:
    return sorted({row.addend for row in rows} - {""})


def points_of(device: str, rows: tuple[Published, ...]) -> Points:
    """Lay some of a device's rows out for a fit."""
    found = [networks()[row.key] for row in rows]
    names = _addends(rows)
    return Points(
        design=design(*(network.groups for network in found)),
        log_ms=np.log([row.ms for row in rows]),
        families=np.array([network.family for network in found]),
        networks=np.array([network.key[0] for network in found]),
        addends=np.array([names.index(row.addend) if row.addend else -1 for row in rows], np.intp),
    )


def _scales(points: Points, folds: list[tuple[npt.NDArray[np.bool_], Fit]]) -> Floats:
    scales = np.empty(len(points.log_ms))
    for left, without in folds:
        scales[left] = score_scale(without.shares[left], without.spread)
    return scales


def _held_out_quantiles(points: Points, scores: Floats) -> tuple[Floats, Floats]:
    """For each point the quantiles that the other families' scores give."""
    low, high = np.empty(len(scores)), np.empty(len(scores))
    for name in np.unique(points.families):
        left = points.families == name
        low[left], high[left] = central(scores[~left])
    return low, high


def _held_out(points: Points, log_ms: Floats, is_held: npt.NDArray[np.bool_] | None) -> HeldOut:
    coverage = None if is_held is None else float(is_held.mean())
    return compared(np.exp(log_ms), np.exp(points.log_ms), coverage=coverage, groups=len(np.unique(points.families)))
