from typing import Any

import pytest

from archlab.device.catalog import DEVICES, RunSpec, device, run_for
from archlab.errors import DeviceError, UnknownNameError


def test_every_row_is_named_by_its_key_and_has_a_source() -> None:
    assert list(DEVICES) == ["cpu", "cuda", "orin", "nano", "t4"]
    for name, row in DEVICES.items():
        assert row.name == name
        assert row.source
        assert row.backends
        assert row.kind in {"cpu", "gpu", "board"}


@pytest.mark.parametrize(
    ("name", "fp32", "fp16", "bandwidth"),
    [("orin", 5.327, 42.61, 204.8), ("nano", 0.236, 0.472, 25.6), ("t4", 8.1, 65.0, 320.0)],
)
def test_facts_of_the_boards(name: str, fp32: float, fp16: float, bandwidth: float) -> None:
    row = device(name)
    assert (row.peak_fp32_tflops, row.peak_fp16_tflops, row.mem_bw_gbs) == (fp32, fp16, bandwidth)
    assert (row.reach, row.precision, row.backends) == (None, "fp16", ("trtexec",))


def test_orins_peaks_follow_from_its_clock() -> None:
    # 16 SM · 128 cores · 2 FLOP · 1.3005 GHz; tensor cores: 2048 FLOP per SM and clock; 256 bit at 6398 MT/s
    row = device("orin")
    assert row.peak_fp32_tflops == pytest.approx(16 * 128 * 2 * 1.3005e-3, rel=1e-3)
    assert row.peak_fp16_tflops == pytest.approx(16 * 2048 * 1.3005e-3, rel=1e-3)
    assert row.mem_bw_gbs == pytest.approx(32 * 6.398, rel=1e-3)


def test_the_cpu_is_this_machine() -> None:
    row = device("cpu")
    assert row.reach == "local"
    assert row.title != DEVICES["cpu"].title
    assert "cores" in row.title
    assert device("cpu") is row


def test_an_unknown_device() -> None:
    with pytest.raises(UnknownNameError) as error:
        device("orinn")
    assert str(error.value) == (
        "no device 'orinn'; given: 'orinn'; allowed: cpu, cuda, nano, orin, t4; did you mean 'orin'?"
    )


def test_a_run_takes_the_devices_defaults() -> None:
    assert run_for(device("cpu")) == RunSpec(runtime="ort", precision="fp32", threads=1, batch=1, layout="nchw")
    assert run_for(device("orin")) == RunSpec(runtime="trtexec", precision="fp16")
    assert run_for(device("cpu"), batch=4, max_s=2.0) == RunSpec(runtime="ort", batch=4, max_s=2.0)
    assert run_for(device("cpu"), runtime="torch", precision="bf16").precision == "bf16"
    assert run_for(device("cuda"), layout="channels_last") == RunSpec(
        runtime="cuda_graph", precision="fp16", layout="channels_last"
    )


@pytest.mark.parametrize(
    "asked", [{"batch": 4}, {"threads": 2}, {"runtime": "ort"}, {"precision": "int8"}, {"layout": "channels_last"}]
)
def test_an_estimate_knows_one_run(asked: dict[str, Any]) -> None:
    (name,) = asked
    with pytest.raises(
        DeviceError, match=f"its estimate knows one {name} only; given: .*; allowed: .*; leave {name} out"
    ):
        run_for(device("orin"), **asked)


def test_a_batch_has_an_image() -> None:
    with pytest.raises(DeviceError, match="no such batch; given: 0; allowed: 1 or more"):
        run_for(device("cpu"), batch=0)
