"""Which networks were measured on a device of one's own? Stored as plain JSON, and what follows from them.

One file per device, made by `own.calibrate_device`: networks with their specs, latencies and, where the runtime has a
profiler, the times of their operators; and how wrong each predictor was on networks left out. Predictors are trained
again from it when it is read; nothing that was trained is stored. A calibration speaks for one runtime, precision,
batch, layout and number of threads, and for the machine or board that it was made on.
"""

import dataclasses
import functools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace
from archlab.device.catalog import Device, RunSpec
from archlab.errors import ArchlabError, DeviceError, four_parts
from archlab.files import write_text
from archlab.latency.estimate import Estimate, HeldOut, stretch
from archlab.latency.familiarity import Familiarity
from archlab.spec import ArchSpec

__all__ = [
    "Calibration",
    "Learner",
    "Measured",
    "Spread",
    "calibrated",
    "estimate",
    "folder",
    "path_of",
    "predictor_for",
    "stored",
]

FORMAT = 3
"""2: the ends of a spread are for a network that was measured; others' are farther apart (`familiarity`). 3: by other
distances."""

_RUN = ("runtime", "precision", "batch", "layout", "threads")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A network as it was measured: `ops` are operator, module path and ms, in order; empty without a profiler.

    `ms` is the latency of `batch` images together; a calibration's networks all have the batch of its run.
    """

    model: str
    spec: ArchSpec
    ms: float
    quality: str = "ok"
    ops: tuple[tuple[str, str, float], ...] = ()
    batch: int = 1

    @functools.cached_property
    def trace(self) -> OpTrace:
        """The network's operators as counted, at the batch that was measured."""
        return trace(self.spec, batch=self.batch)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = {"model": self.model, "ms": self.ms, "quality": self.quality, "spec": self.spec.to_dict()}
        return plain | {"ops": [list(op) for op in self.ops]}

    @staticmethod
    def from_dict(document: Mapping[str, Any], *, batch: int = 1) -> "Measured":
        """Read what `to_dict` wrote; the batch is that of the calibration's run."""
        return Measured(
            model=str(document["model"]),
            spec=ArchSpec.from_dict(document["spec"]),
            ms=_positive(document["ms"]),
            quality=str(document["quality"]),
            ops=tuple((str(op), str(module), float(ms)) for op, module, ms in document["ops"]),
            batch=batch,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How wrong a predictor was on networks left out; `low` and `high` are ends of log(measured / predicted).

    They are those of a network that was measured; for any other, `Familiarity.scale` says how many times as far apart.
    """

    low: float
    high: float
    held_out: HeldOut


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """The measured networks of one device in one way of running; `before` is the error without them."""

    device: str
    run: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    networks: tuple[Measured, ...]
    spreads: Mapping[str, Spread]
    before: HeldOut

    @property
    def best(self) -> str:
        """The predictor with the least mean error on networks left out."""
        return min(self.spreads, key=lambda name: self.spreads[name].held_out.mean_abs_pct)

    @property
    def range_ms(self) -> tuple[float, float]:
        """Latencies of the fastest and the slowest network, in ms."""
        return min(one.ms for one in self.networks), max(one.ms for one in self.networks)

    @property
    def told_run(self) -> str:
        """The way of running in words."""
        return ", ".join(f"{name} {self.run[name]}" for name in _RUN)

    def is_for(self, run: RunSpec, fingerprint: Mapping[str, str]) -> bool:
        """Whether it was made in this way of running, on this device as it is now."""
        return all(getattr(run, name) == self.run[name] for name in _RUN) and fingerprint == self.fingerprint

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": FORMAT,
            "device": self.device,
            "run": dict(self.run),
            "fingerprint": dict(self.fingerprint),
            "before": dataclasses.asdict(self.before),
            "spreads": {name: dataclasses.asdict(spread) for name, spread in self.spreads.items()},
            "networks": [one.to_dict() for one in self.networks],
        }

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> "Calibration":
        """Read what `to_dict` wrote.

        Raises:
            AttributeError, KeyError, RecursionError, TypeError, ValueError, SpecError: For anything else.
        """
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        run = {name: document["run"][name] for name in _RUN}
        if not document["networks"] or not document["spreads"] or type(run["batch"]) is not int or run["batch"] < 1:
            raise ValueError("no networks, no predictors or no batch")
        spreads = {
            name: Spread(low=one["low"], high=one["high"], held_out=HeldOut(**one["held_out"]))
            for name, one in document["spreads"].items()
        }
        return Calibration(
            device=document["device"],
            run=run,
            fingerprint=dict(document["fingerprint"]),
            networks=tuple(Measured.from_dict(one, batch=run["batch"]) for one in document["networks"]),
            spreads=spreads,
            before=HeldOut(**document["before"]),
        )

    def save(self) -> Path:
        """Write the device's file, in one step, and say where."""
        path = path_of(self.device)
        write_text(path, json.dumps(self.to_dict(), separators=(",", ":")) + "\n")
        return path


SHIPPED = "roofline"
"""What predicts for a device without a calibration of its own."""

Learner: TypeAlias = Callable[[Sequence[Measured], Device, RunSpec], Callable[[OpTrace], float]]
"""Trains on networks that were measured on a device in one way; gives what says the ms of a trace."""


def folder() -> Path:
    """Where calibrations are kept: the folder ARCHLAB_CALIBRATIONS names, else one among the user's data (XDG)."""
    named = os.environ.get("ARCHLAB_CALIBRATIONS")
    if named:
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "archlab" / "calibrations"


def path_of(device: str) -> Path:
    """The file of a device's calibration, whether it is there or not."""
    return folder() / f"{device}.json"


def stored(device: Device) -> Calibration | None:
    """Read a device's calibration; None where there is none.

    Raises:
        DeviceError: For a file that is no calibration.
    """
    path = path_of(device.name)
    try:
        stamp = path.stat()
    except OSError:
        return None
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


def predictor_for(device: Device) -> str:
    """Name the predictor to use: of a device's own calibration the least wrong one, else the one with constants."""
    found = stored(device)
    return SHIPPED if found is None else found.best


def calibrated(device: Device, run: RunSpec | None, predictor: str) -> Calibration:
    """Read the calibration that a predictor rests on.

    Raises:
        DeviceError: Where there is none, it lacks what the predictor needs, or it was made for another run.
    """
    found = stored(device)
    if found is None or predictor not in found.spreads:
        lack = "no networks were measured on it" if found is None else "its runtime gives no times of operators"
        other = found.best if found else SHIPPED if device.calibration else ""
        raise DeviceError(
            four_parts(
                f"the predictor {predictor!r} does not serve {device.name}: {lack}",
                given=device.name,
                allowed="devices with a calibration of their own" + (f", or {other!r} here" if other else ""),
                do=f"archlab device calibrate {device.name}",
            )
        )
    if run is not None:
        _check_run(found, run)
    return found


def _check_run(found: Calibration, run: RunSpec) -> None:
    for name in _RUN:
        if getattr(run, name) != found.run[name]:
            raise DeviceError(
                four_parts(
                    f"the calibration of {found.device} is for another {name}",
                    given=getattr(run, name),
                    allowed=str(found.run[name]),
                    do=f"ask for {found.run[name]}, or calibrate again for this {name}",
                )
            )


def estimate(predictor: str, learner: Learner, trace_: OpTrace, device: Device, run: RunSpec | None) -> Estimate:
    """Estimate from a device's own calibration, with the interval that networks left out gave.

    Raises:
        DeviceError: As `calibrated`; for a trace of another batch.
    """
    found = calibrated(device, run, predictor)
    if trace_.batch != found.run["batch"]:
        _check_run(found, dataclasses.replace(run or RunSpec(**found.run), batch=trace_.batch))
    ms = _trained(found, predictor, learner, device)(trace_)
    spread = found.spreads[predictor]
    scale = _familiar(found).scale(trace_) * stretch(ms, found.range_ms)
    return Estimate(
        ms=ms,
        lo_ms=ms * math.exp(spread.low * scale),
        hi_ms=ms * math.exp(spread.high * scale),
        predictor=predictor,
        device=device.name,
        held_out=spread.held_out,
        seen_ms=found.range_ms,
    )


@functools.lru_cache(maxsize=16)
def _trained(found: Calibration, predictor: str, learner: Learner, device: Device) -> Callable[[OpTrace], float]:
    """Train once for each file as it stands."""
    return learner(found.networks, device, RunSpec(**found.run))


@functools.lru_cache(maxsize=16)
def _familiar(found: Calibration) -> Familiarity:
    return Familiarity([one.trace for one in found.networks])


@functools.lru_cache(maxsize=16)
def _read(path: Path, stamp_ns: int, size: int) -> Calibration:
    try:
        return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError, ArchlabError) as error:
        raise DeviceError(
            four_parts(
                f"{path.name} is no calibration that this version reads",
                given=f"{path}: {type(error).__name__}: {str(error)[:120]}",
                allowed=f"files of format {FORMAT}, written by archlab device calibrate",
                do="calibrate the device again, or remove the file",
            )
        ) from error


def _positive(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"a latency of {value}")
    return number
