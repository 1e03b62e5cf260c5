"""The devices: what is known of them, the user's own, whether they answer, and whether this installation is whole."""

import dataclasses
import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from archlab.api.calibration import describe_fit
from archlab.device import registry
from archlab.device.backends import BACKENDS
from archlab.device.catalog import DEVICES, Device, rows
from archlab.device.catalog import device as find_device
from archlab.device.check import Step, cpu_probes, cuda_probes, walk
from archlab.device.check_board import board_probes
from archlab.device.gpu import first_gpu
from archlab.device.nvml import gpus
from archlab.device.telemetry import fingerprint
from archlab.latency import PREDICTORS, predictor_for

__all__ = [
    "add_device",
    "check_device",
    "device_rows",
    "devices",
    "doctor_rows",
    "remove_device",
    "show_device",
]

_NEEDED = ("torch", "optuna", "onnx", "onnxruntime", "pandas", "plotly", "scipy", "scikit-learn", "moocore")
_EXTRAS = {"timm": "timm", "openvino": "openvino", "psycopg": "postgres"}


def _how(device: Device) -> str:
    """How its latency is known; a GPU of this machine is absent where torch sees none."""
    if device.reach == "local" and device.kind == "gpu" and first_gpu() is None:
        return "absent"
    return "measured" if device.reach else "estimated"


def device_rows() -> list[dict[str, Any]]:
    """List the devices as plain rows: name, title, kind, how (`_how`), runtimes, precision, reach."""
    return [
        {
            "name": row.name,
            "title": row.title,
            "kind": row.kind,
            "how": _how(row),
            "runtimes": list(row.backends),
            "precision": row.precision,
            "reach": row.reach,
        }
        for row in rows().values()
    ]


def devices() -> pd.DataFrame:
    """List the devices."""
    return pd.DataFrame(device_rows())


def show_device(name: str) -> dict[str, Any]:
    """Show one device: facts with source; for a calibrated one the points, the fit and its held-out error.

    The fingerprint of a board is null, for showing asks nothing of it; `check_device` reads it.
    """
    device = find_device(name)
    facts = dataclasses.asdict(device) | {"how": _how(device)}
    if device.reach:
        facts |= {"fingerprint": _fingerprint(device)}
    return facts | describe_fit(device)


def _fingerprint(device: Device) -> dict[str, str] | None:
    if device.reach != "local":
        return None
    if device.kind == "gpu" and _how(device) == "measured":
        return BACKENDS[device.backends[0]].fingerprint(device)
    return fingerprint()


def add_device(
    name: str,
    *,
    ssh: str | None = None,
    python: str = "python3",
    runtimes: Sequence[str] = (),
    precision: str | None = None,
    identity: str | Path | None = None,
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """Add a device of your own; a catalog name keeps that device's facts and becomes measured.

    Args:
        name: How it shall be called.
        ssh: Where it answers, ``[user@]host[:port]``; None runs the board's agent in a process on this machine.
        python: The interpreter there, 3.6 or newer; nothing is installed.
        runtimes: ``trtexec`` or ``ort``, the default first; empty takes the catalog's, or ``trtexec``.
        precision: Its precision; None takes the catalog's, or the runtime's own.
        identity: A private key for ssh; None leaves that to ssh's own configuration.
        options: Options for ssh as ``Key=value``.

    Returns:
        Its row, with the file that it is kept in.

    Raises:
        DeviceError: For a name that is taken, a target that ssh would misread, or a damaged file.
        UnknownNameError: For a runtime, precision or option that is not on offer.
    """
    reach = "child:" if ssh is None else f"ssh:{ssh}"
    registry.add(
        name,
        reach=reach,
        backends=runtimes,
        precision=precision,
        python=python,
        identity=identity,
        options=options,
    )
    (row,) = (row for row in device_rows() if row["name"] == name)
    return row | {"file": str(registry.default_path())}


def remove_device(name: str) -> dict[str, Any]:
    """Take a device out again; `how` says what a catalog name is from then on, None for a name that is gone.

    Raises:
        UnknownNameError: When it was not added.
    """
    gone = registry.remove(name)
    return {"name": name, "reach": gone.reach, "how": _how(DEVICES[name]) if name in DEVICES else None}


def check_device(name: str) -> Iterator[dict[str, Any]]:
    """Diagnose a device step by step; yields ``{step, state, detail, do}`` as each is done.

    The states are ``ok``, ``failed`` and ``not tried``: after the first failure nothing more is tried.

    Raises:
        UnknownNameError: With the nearest known name.
    """
    device = find_device(name)
    if device.reach is None:
        steps: Iterable[Step] = _estimated(device)
    else:
        steps = walk(_PROBES.get(device.name, board_probes)(device))
    for step in steps:
        yield dataclasses.asdict(step)


_PROBES = {"cpu": cpu_probes, "cuda": cuda_probes}


def _estimated(device: Device) -> list[Step]:
    held_out = PREDICTORS[predictor_for(device)].held_out(device)
    add = f"to measure it: archlab device add {device.name} --ssh user@host"
    rests = (
        f"fitted on {held_out.points} latencies in {held_out.families} groups; "
        f"on groups left out it errs by {held_out.mean_abs_pct:g} % on average, see: archlab device show {device.name}"
    )
    return [
        Step(step="reach", state="ok", detail="nothing answers for it, so its latencies are estimated", do=add),
        Step(step="estimate", state="ok", detail=rests),
    ]


def doctor_rows() -> list[dict[str, Any]]:
    """Check the installation: versions, optional extras, devices that answer."""
    checks = [{"check": "python", "state": "ok", "detail": sys.version.split()[0]}]
    checks.append({"check": "system", "state": "ok", "detail": platform.platform()})
    for name in ("archlab", *_NEEDED):
        checks.append(_version_row(name))
    for name, extra in _EXTRAS.items():
        here = importlib.util.find_spec(name) is not None
        detail = "installed" if here else f"optional: pip install 'archlab[{extra}]'"
        checks.append({"check": name, "state": "ok" if here else "absent", "detail": detail})
    found = gpus()
    checks.append(
        {
            "check": "nvidia gpu",
            "state": "ok" if found else "absent",
            "detail": ", ".join(str(gpu) for gpu in found)
            or "no driver answers; cpu is measured, boards are estimated",
        }
    )
    for row in device_rows():
        checks.append({"check": f"device {row['name']}", "state": "ok", "detail": f"latency is {row['how']}"})
    return checks


def _version_row(name: str) -> dict[str, Any]:
    try:
        return {"check": name, "state": "ok", "detail": importlib.metadata.version(name)}
    except importlib.metadata.PackageNotFoundError:
        return {"check": name, "state": "missing", "detail": f"install it with: pip install {name}"}
