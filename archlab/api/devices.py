"""The devices, what is known of them, and whether this installation is whole."""

import dataclasses
import importlib.metadata
import importlib.util
import platform
import sys
from typing import Any

import pandas as pd

from archlab.device.catalog import DEVICES, Device
from archlab.device.catalog import device as find_device
from archlab.device.telemetry import fingerprint, gpus
from archlab.latency import PREDICTORS

__all__ = ["device_rows", "devices", "doctor_rows", "show_device"]

_NEEDED = ("torch", "optuna", "onnx", "onnxruntime", "pandas", "plotly", "scipy", "scikit-learn", "moocore")
_EXTRAS = {"timm": "timm", "psycopg": "postgres"}


def _how(device: Device) -> str:
    return "measured" if device.reach else "estimated"


def device_rows() -> list[dict[str, Any]]:
    """List the devices as plain rows: name, title, kind, how (measured or estimated), runtimes, precision."""
    return [
        {
            "name": row.name,
            "title": row.title,
            "kind": row.kind,
            "how": _how(row),
            "runtimes": list(row.backends),
            "precision": row.precision,
        }
        for row in DEVICES.values()
    ]


def devices() -> pd.DataFrame:
    """List the devices."""
    return pd.DataFrame(device_rows())


def show_device(name: str) -> dict[str, Any]:
    """Show one device: facts with source; for an estimated one the calibration's points and held-out error."""
    device = find_device(name)
    facts = dataclasses.asdict(device) | {"how": _how(device)}
    if device.reach:
        return facts | {"fingerprint": fingerprint()}
    predictor = PREDICTORS["roofline"]
    return facts | {"held_out": dataclasses.asdict(predictor.held_out(device))}


def doctor_rows() -> list[dict[str, Any]]:
    """Check the installation: versions, optional extras, devices that answer."""
    rows = [{"check": "python", "state": "ok", "detail": sys.version.split()[0]}]
    rows.append({"check": "system", "state": "ok", "detail": platform.platform()})
    for name in ("archlab", *_NEEDED):
        rows.append(_version_row(name))
    for name, extra in _EXTRAS.items():
        here = importlib.util.find_spec(name) is not None
        detail = "installed" if here else f"optional: pip install 'archlab[{extra}]'"
        rows.append({"check": name, "state": "ok" if here else "absent", "detail": detail})
    found = gpus()
    rows.append(
        {
            "check": "nvidia gpu",
            "state": "ok" if found else "absent",
            "detail": ", ".join(str(gpu) for gpu in found)
            or "no driver answers; cpu is measured, boards are estimated",
        }
    )
    for row in device_rows():
        rows.append({"check": f"device {row['name']}", "state": "ok", "detail": f"latency is {row['how']}"})
    return rows


def _version_row(name: str) -> dict[str, Any]:
    try:
        return {"check": name, "state": "ok", "detail": importlib.metadata.version(name)}
    except importlib.metadata.PackageNotFoundError:
        return {"check": name, "state": "missing", "detail": f"install it with: pip install {name}"}
