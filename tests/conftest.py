"""No test reads or writes the devices of the person who runs it, their calibrations or their measurements."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the user's devices, which is not there yet."""
    path = tmp_path / "devices.json"
    monkeypatch.setenv("ARCHLAB_DEVICES", str(path))
    return path


@pytest.fixture(autouse=True)
def own_calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's calibrations, which is not there yet."""
    path = tmp_path / "calibrations"
    monkeypatch.setenv("ARCHLAB_CALIBRATIONS", str(path))
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the user's measurements, which is not there yet."""
    path = tmp_path / "own-cache" / "measurements.sqlite"
    monkeypatch.setenv("ARCHLAB_CACHE", str(path))
    return path
