"""No test reads or writes the devices of the person who runs it, their calibrations or their measurements.

Tests run beside each other, one process per core: with a thread per core in each of them, threads that are done spin
for one that waits for a core, and small networks train many times slower. So one thread, unless told otherwise.
"""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch when it is loaded, and by the processes that tests start

import pytest
import torch


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


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of networks come out the same on one thread, and small ones sooner."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
