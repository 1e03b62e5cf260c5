"""What the estimates of a device rest on, and measuring some networks there to make them better."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from archlab.device.catalog import Device, RunSpec, run_for
from archlab.device.catalog import device as find_device
from archlab.latency import PREDICTORS, predictor_for
from archlab.latency.calibrate import usable
from archlab.latency.own import NETWORKS, Calibrated, calibrate_device
from archlab.latency.samples import Calibration, path_of, stored
from archlab.latency.tables import CALIBRATED, constants, networks
from archlab.latency.terms import design

__all__ = ["NETWORKS", "calibrate", "describe_fit"]


def calibrate(
    name: str,
    *,
    networks: int = NETWORKS,
    runtime: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    tell: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Measure networks that are far apart on a device, and train its estimates on them.

    Args:
        name: A device that can be reached.
        networks: How many are chosen, 10 to 20.
        runtime: A runtime of the device; None takes its first.
        precision: A precision of the runtime; None takes the device's.
        threads: CPU threads; None takes one.
        seed: Of the networks among which is chosen.
        tell: Called after each network with how many are done, how many there are, and a line.

    Returns:
        ``networks`` with measured and predicted ms (each by fits that did not see it), the error ``before`` and
        ``after`` with Kendall's tau, those of every predictor, what they were compared with, the file, and as
        ``replaced`` the run of an earlier calibration that it held, where that was another one.

    Raises:
        DeviceUnreachable: For a device that cannot be reached.
        DeviceChanged: Where its power mode or software changed in between.
        DeviceError: Where fewer than ten networks gave a latency.
        PlanError: For a number of networks outside 10 to 20.
    """
    device = find_device(name)
    run = run_for(device, runtime=runtime, precision=precision, threads=threads) if device.reach else run_for(device)
    found = calibrate_device(device, run, networks=networks, seed=seed, tell=tell)
    return _told(found, run)


def describe_fit(device: Device) -> dict[str, Any]:
    """Say what a device's estimates rest on: the points, what the fit makes of them, and the held-out error.

    Returns:
        ``fit`` (how the predictor came about), ``held_out`` and ``points`` (model, input side in pixels, measured
        or published ms, the fit's ms, the source); nothing for a device that is not calibrated.
    """
    own = stored(device)
    if own is not None:
        return _own(device, own)
    return _shipped(device.calibration) if device.calibration in CALIBRATED and device.calibration else {}


def _told(found: Calibrated, run: RunSpec) -> dict[str, Any]:
    """A calibration as plain values."""
    return {
        "device": found.device,
        "runtime": run.runtime,
        "precision": run.precision,
        "batch": run.batch,
        "threads": run.threads,
        "networks": [dataclasses.asdict(row) for row in found.rows],
        "refused": [{"model": model, "why": why} for model, why in found.refused],
        "baseline": found.baseline,
        "before": dataclasses.asdict(found.before),
        "predictor": found.best,
        "after": dataclasses.asdict(found.after),
        "errors": {predictor: dataclasses.asdict(error) for predictor, error in found.errors.items()},
        "path": found.path,
        "replaced": found.replaced,
    }


def _own(device: Device, own: Calibration) -> dict[str, Any]:
    best = PREDICTORS[predictor_for(device)]
    source = f"measured:{own.run['runtime']}@{device.name}"
    return {
        "held_out": dataclasses.asdict(best.held_out(device)),
        "fit": {"predictor": own.best, "on": f"{len(own.networks)} networks measured there"}
        | {key: own.run[key] for key in ("runtime", "precision", "batch", "threads")}
        | {"path": str(path_of(device.name))},
        "points": [
            {
                "model": one.model,
                "resolution": one.spec.resolution,
                "ms": one.ms,
                "fitted_ms": round(best.predict(one.trace, device).ms, 4),
                "source": source,
            }
            for one in own.networks
        ],
    }


def _shipped(name: str) -> dict[str, Any]:
    known, rows = constants(name), usable(name)
    document = known.to_dict()
    laid_out = design(*(networks()[row.key].groups for row in rows))
    coefficients = np.array(known.coefficients)
    fitted_ms = laid_out.weighted(coefficients) @ coefficients
    return {
        "held_out": dataclasses.asdict(known.held_out),
        "leave_network_out": dataclasses.asdict(known.leave_network_out),
        "fit": {"predictor": "roofline", "on": f"{len(rows)} published latencies"} | document["coefficients"],
        "points": [
            {
                "model": row.model,
                "resolution": row.key[1],
                "ms": row.ms,
                "fitted_ms": round(float(ms) + known.addends_ms.get(row.addend, 0.0), 4),
                "source": f"published:{row.source}",
            }
            for row, ms in zip(rows, fitted_ms, strict=True)
        ],
    }
