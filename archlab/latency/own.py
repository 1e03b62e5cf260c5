"""A calibration of one's own: measure a few networks that are far apart, and train the predictors on them.

`calibrate_device` chooses the networks, has them measured, works out how wrong each predictor is on networks left out,
and stores it all (`samples.py`). What it is compared with: the shipped constants where a device has some, else the pace
in ms per multiply-add of the other networks.
"""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, RunSpec
from archlab.device.measure import backend_of
from archlab.errors import DeviceError
from archlab.latency import fitted, lookup, own_errors, own_roofline
from archlab.latency.choice import FEWEST, candidates, spread
from archlab.latency.estimate import HeldOut, compared, spread_of
from archlab.latency.familiarity import Familiarity
from archlab.latency.own_measure import Measure, Tell, measure_all, measured_on
from archlab.latency.roofline import Roofline
from archlab.latency.samples import Calibration, Learner, Measured, Spread, stored
from archlab.latency.without import without
from archlab.space import SearchSpace, default

__all__ = [
    "LEARNERS",
    "NETWORKS",
    "Calibrated",
    "Row",
    "assemble",
    "calibrate_device",
    "leave_out",
    "paced",
]

NETWORKS = 15
"""Measured unless told otherwise."""

LEARNERS: dict[str, Learner] = {"roofline": own_roofline.learn, "lookup": lookup.learn, "fitted": fitted.learn}
"""What is trained on a device's own measurements, by the predictor's name."""

_FOLDS = 10
"""Networks are left out one by one up to twice as many, else in this many parts."""
_SPACE = "hybrid"

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One network of a calibration, in ms: measured, predicted without it before, and by the best predictor after.

    `macs` are those of one image.
    """

    model: str
    macs: int
    ms: float
    quality: str
    before_ms: float
    after_ms: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What a calibration found; `errors` are those of every predictor on networks left out, `best` the least wrong.

    `refused` says of networks that gave no latency why; `replaced` names the run of an earlier calibration whose place
    in the device's one file this one took, empty where it is the same run or there was none.
    """

    device: str
    path: str
    best: str
    baseline: str
    before: HeldOut
    errors: Mapping[str, HeldOut]
    rows: tuple[Row, ...]
    refused: tuple[tuple[str, str], ...]
    replaced: str = ""

    @property
    def after(self) -> HeldOut:
        """The error of the best predictor."""
        return self.errors[self.best]


def calibrate_device(
    device: Device,
    run: RunSpec,
    *,
    measure: Measure | None = None,
    networks: int = NETWORKS,
    space: SearchSpace | None = None,
    seed: int = 0,
    tell: Tell | None = None,
    fingerprint: Mapping[str, str] | None = None,
) -> Calibrated:
    """Measure some networks on a device, train the predictors on them and store what was found.

    Args:
        device: A device that can be reached.
        run: How to run.
        measure: Gives a name and a spec's measurement; without it, the device is measured by the protocol and its
            operators by the runtime's profiler.
        networks: How many, 10 to 20.
        space: Where random networks come from; `hybrid` unless told otherwise.
        seed: Of the random networks.
        tell: Called after each network with how many are done, how many there are, and a line.
        fingerprint: What identifies the device; without it, its runtime is asked.

    Raises:
        DeviceUnreachable: For a device that cannot be reached.
        DeviceChanged: Where its fingerprint at the end is another one than at the beginning.
        DeviceError: Where fewer than ten networks gave a latency.
        PlanError: For a number of networks outside 10 to 20.
    """
    if device.reach is None:
        raise own_errors.unreachable(device)
    names = candidates(space or default(_SPACE), seed=seed)
    chosen = [names[i] for i in spread([spec for _, spec in names], networks)]
    known = dict(fingerprint) if fingerprint is not None else _fingerprint(device, run)
    found, refused = measure_all(chosen, measure or measured_on(device, run), tell)
    if len(found) < FEWEST:
        raise own_errors.too_few(device, len(found), refused)
    if fingerprint is None and (now := _fingerprint(device, run)) != known:
        raise own_errors.changed(device, known, now)
    calibration, left_out = assemble(found, device, run, fingerprint=known)
    return _finish(calibration, left_out[calibration.best], device, run, refused)


def leave_out(networks: Sequence[Measured], learner: Learner, device: Device, run: RunSpec) -> Floats:
    """Predict each network, in ms, by a learner that did not see it: one by one, or ten parts where there are many."""
    count = len(networks)
    return without(networks, learner, device, run, count if count <= 2 * _FOLDS else _FOLDS)


def paced(networks: Sequence[Measured]) -> Floats:
    """Predict each network, in ms, from its multiply-adds alone, at the median pace of the others."""
    macs = [_macs(one) for one in networks]
    paces = [one.ms / its for one, its in zip(networks, macs, strict=True)]
    return np.array([its * statistics.median(paces[:i] + paces[i + 1 :]) for i, its in enumerate(macs)])


def assemble(
    networks: Sequence[Measured], device: Device, run: RunSpec, *, fingerprint: Mapping[str, str] | None = None
) -> tuple[Calibration, dict[str, Floats]]:
    """Work out how wrong each predictor is on networks, measured at the run's batch, that it did not see.

    Returns:
        The calibration, not stored yet, and the predictions in ms for networks left out, by predictor.
    """
    networks = [dataclasses.replace(one, batch=run.batch) for one in networks]
    ms = np.array([one.ms for one in networks])
    left_out = {name: leave_out(networks, learner, device, run) for name, learner in _learners(networks).items()}
    scales = Familiarity([one.trace for one in networks]).left_out()
    calibration = Calibration(
        device=device.name,
        run=dataclasses.asdict(run),
        fingerprint=fingerprint or {},
        networks=tuple(networks),
        spreads={name: _spread(predicted, ms, scales) for name, predicted in left_out.items()},
        before=compared(_before(networks, device, run)[0], ms),
    )
    return calibration, left_out


def _finish(
    calibration: Calibration, left_out_ms: Floats, device: Device, run: RunSpec, refused: Sequence[tuple[str, str]]
) -> Calibrated:
    networks = calibration.networks
    before_ms, baseline = _before(networks, device, run)
    replaced = _replaced(device, calibration)
    rows = zip(networks, before_ms.tolist(), left_out_ms.tolist(), strict=True)
    return Calibrated(
        device=device.name,
        path=str(calibration.save()),
        replaced=replaced,
        best=calibration.best,
        baseline=baseline,
        before=calibration.before,
        errors={name: one.held_out for name, one in calibration.spreads.items()},
        rows=tuple(
            Row(model=one.model, macs=_macs(one), ms=one.ms, quality=one.quality, before_ms=before, after_ms=after)
            for one, before, after in rows
        ),
        refused=tuple(refused),
    )


def _learners(found: Sequence[Measured]) -> dict[str, Learner]:
    """Those that have what they need: times of operators are needed of most networks."""
    profiled = sum(bool(lookup.timed_layers(one)) for one in found)
    return {name: one for name, one in LEARNERS.items() if name != "lookup" or 2 * profiled > len(found)}


def _spread(predicted_ms: Floats, ms: Floats, scales: Floats) -> Spread:
    (low, high), coverage = spread_of(predicted_ms, ms, scales)
    return Spread(low=low, high=high, held_out=compared(predicted_ms, ms, coverage=coverage))


def _before(found: Sequence[Measured], device: Device, run: RunSpec) -> tuple[Floats, str]:
    """What would have been said without these measurements, and by what."""
    if run.batch != 1 or not own_roofline.has_constants(device, run):
        return paced(found), "multiply-adds alone"
    shipped = Roofline()
    return np.array([shipped.shipped(one.trace, device).ms for one in found]), "shipped constants"


def _macs(one: Measured) -> int:
    return sum(row.macs for row in one.trace.rows) // one.batch


def _fingerprint(device: Device, run: RunSpec) -> dict[str, str]:
    return dict(backend_of(device, run, BACKENDS).fingerprint(device))


def _replaced(device: Device, calibration: Calibration) -> str:
    """The run of the stored calibration, if it is another one; a damaged file has none to lose."""
    try:
        earlier = stored(device)
    except DeviceError:
        return ""
    return "" if earlier is None or earlier.told_run == calibration.told_run else earlier.told_run
