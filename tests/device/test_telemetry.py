import json
import platform
import socket
from pathlib import Path

import pytest

from archlab.device import telemetry
from archlab.device.telemetry import Cpu, cpu, fingerprint, state

CPUINFO = """processor\t: 0
model name\t: Intel(R) Xeon(R) Test
cpu MHz\t\t: 2512.345
flags\t\t: fpu sse2 avx2 fma avx512f amx_tile nothing_we_know

processor\t: 1
model name\t: another
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "proc/cpuinfo": CPUINFO,
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2000000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "3000000\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4\n",
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "5\n",
        "sys/devices/system/cpu/cpufreq/ignored": "1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_cpu_is_read_from_the_system(root: Path) -> None:
    found = cpu(root)
    assert found.model == "Intel(R) Xeon(R) Test"
    assert found.isa == ("avx2", "fma", "avx512f", "amx_tile")
    assert found.max_mhz == 2500.0  # the clock of the moment, rounded, for want of a limit


def test_the_limit_of_the_clock_goes_before_the_moments(root: Path) -> None:
    limit = root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
    limit.write_text("3800000")
    assert cpu(root).max_mhz == 3800.0


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    found = cpu(tmp_path)
    assert found.model
    assert found.isa == ()
    assert found.max_mhz is None
    assert found.peak_fp32_tflops is None
    assert state(tmp_path).keys() <= {"load_1min"}
    assert fingerprint(tmp_path)["governor"] == "not readable"


@pytest.mark.parametrize(
    ("model", "isa", "tflops"),
    [
        ("Intel Xeon", ("avx2", "fma", "avx512f"), 0.256),  # 2 cores · 2 GHz · 64
        ("AMD EPYC", ("avx2", "fma", "avx512f"), 0.128),
        ("Intel Core", ("avx2", "fma"), 0.128),
        ("Cortex", ("asimd",), 0.064),
        ("old", (), 0.032),
    ],
)
def test_peak_is_cores_times_clock_times_rate(model: str, isa: tuple[str, ...], tflops: float) -> None:
    assert Cpu(model=model, machine="", cores=2, isa=isa, max_mhz=2000.0).peak_fp32_tflops == tflops


def test_fingerprint_says_what_moves_a_latency(root: Path) -> None:
    found = fingerprint(root)
    assert found["cpu"] == "Intel(R) Xeon(R) Test"
    assert found["governor"] == "schedutil"
    assert found["python"] == platform.python_version()
    assert set(found) == {
        *("cpu", "machine", "cores", "isa", "os", "governor", "python", "torch", "onnxruntime", "onnx", "numpy")
    }
    assert found == fingerprint(root)


def test_fingerprint_names_no_host() -> None:
    text = json.dumps(fingerprint())
    assert socket.gethostname() not in text or len(socket.gethostname()) < 4


def test_an_absent_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_VERSIONS", ("no-such-package-here",))
    assert fingerprint()["no-such-package-here"] == "absent"


def test_state_takes_the_fastest_clock_and_all_events(root: Path) -> None:
    found = state(root)
    assert found["mhz"] == 3000.0
    assert found["throttle_events"] == 9
    assert found["load_1min"] >= 0
