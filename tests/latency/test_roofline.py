"""Estimates: closed form on one convolution, never faster when larger, an interval that widens where it must."""

import math

import numpy as np
import pytest

from archlab.cost.trace import trace
from archlab.device.catalog import DEVICES, RunSpec, run_for
from archlab.errors import DeviceError
from archlab.families import FAMILIES, published
from archlab.latency import PREDICTORS
from archlab.latency.roofline import Roofline, score_scale
from archlab.latency.tables import CALIBRATED, constants
from archlab.latency.terms import TERMS
from archlab.model import timm_gate

ROOFLINE = PREDICTORS["roofline"]
MODELS = ("convnext_atto", "edgenext_xx_small", "efficientvit_b1", "efficientvit_m2")


def ms(spec, device):
    return ROOFLINE.predict(trace(spec), DEVICES[device]).ms


@pytest.mark.parametrize("device", CALIBRATED)
def test_one_convolution_by_the_shipped_constants(sketch, device):
    net = sketch(1, 16, 8, 8)
    net.conv(-1, 32, 3)
    c = dict(zip([term.name for term in TERMS], constants(device).coefficients, strict=True))
    compute = c["conv_macs"] * 1e-9 * 64 * 32 * 16 * 9
    traffic = 2e-9 * (c["weight_bytes"] * 32 * 16 * 9 + c["gemm_bytes"] * 64 * 48)
    by_hand = 1e-3 * c["launch_gemm"] + 1e-6 * c["depth"] * 144 + math.hypot(compute, traffic)
    assert ROOFLINE.predict(net.trace(), DEVICES[device]).ms == pytest.approx(by_hand)


@pytest.mark.parametrize("device", CALIBRATED)
@pytest.mark.parametrize("name", MODELS)
def test_a_higher_resolution_is_never_faster(name, device):
    spec = published(name).spec
    sides = (128, 160, 192, 224, 256, 320, 384)
    times = [ms(spec.replace(resolution=side), device) for side in sides]
    assert times == sorted(times)
    assert times[-1] > times[0]


@pytest.mark.parametrize("device", CALIBRATED)
def test_a_wider_or_deeper_network_is_never_faster(device):
    make = FAMILIES["convnext"].make
    axes = dict(published("convnext_pico").axes)
    wider = [ms(make(**(axes | {"width": width})), device) for width in range(32, 129, 8)]
    deeper = [ms(make(**(axes | {"unit": unit})), device) for unit in (1, 2, 3)]
    assert wider == sorted(wider)
    assert deeper == sorted(deeper)


def test_the_devices_stand_in_their_order():
    """T4 before AGX Orin before Nano, for every published network."""
    for row in FAMILIES["edgenext"].published + FAMILIES["efficientvit_mit"].published:
        t4, orin, nano = (ms(row.spec, device) for device in CALIBRATED)
        assert t4 < orin < nano / 2


@pytest.mark.parametrize("device", CALIBRATED)
def test_an_estimate_says_where_it_comes_from(device):
    found = ROOFLINE.predict(trace(published("edgenext_small").spec), DEVICES[device], run_for(DEVICES[device]))
    assert found.source == f"estimated:roofline@{device}"
    assert 0 < found.lo_ms < found.ms < found.hi_ms < 2 * found.ms
    assert found.held_out == ROOFLINE.held_out(DEVICES[device]) == constants(device).held_out


def test_the_groups_add_up_to_the_network():
    found = trace(published("efficientvit_m2").spec)
    groups, times = ROOFLINE.group_ms(found, DEVICES["orin"])
    assert times.sum() == pytest.approx(ROOFLINE.predict(found, DEVICES["orin"]).ms)
    assert len(times) == groups.count() == len(groups.anchors)
    assert {found.rows[i].module.split(".")[0] for i in groups.anchors} == {"stages", "head"}


def test_scale_by_hand():
    spread = np.diag([0.04, 0.09, 1.0])
    shares = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    expected = [math.sqrt(1 + 5 * 0.04), math.sqrt(1 + 5 * (0.25 * 0.04 + 0.25 * 0.09))]
    assert score_scale(shares, spread) == pytest.approx(expected)


def test_an_unfamiliar_network_has_a_wider_interval(sketch):
    """Nearly all time in linear layers of odd width, of which the fit saw one family."""

    def width(found):
        return math.log(found.hi_ms / found.lo_ms)

    net = sketch(1, 4001, 501)
    net.linear(net.linear(-1, 501), 501)
    strange = ROOFLINE.predict(net.trace(), DEVICES["t4"])
    plain = ROOFLINE.predict(trace(published("convnext_tiny").spec), DEVICES["t4"])
    assert width(strange) > 1.2 * width(plain)


def test_beyond_the_fitted_range_the_interval_grows():
    known = constants("orin")
    spec = published("convnext_xlarge").spec.replace(resolution=512)
    inside = ROOFLINE.predict(trace(published("convnext_small").spec), DEVICES["orin"])
    beyond = ROOFLINE.predict(trace(spec), DEVICES["orin"])
    assert known.range_ms[0] < inside.ms < known.range_ms[1] < beyond.ms / 2
    assert math.log(beyond.hi_ms / beyond.ms) > 1.5 * math.log(inside.hi_ms / inside.ms)


def test_the_cpu_is_measured_not_estimated():
    found = trace(published("convnext_atto").spec)
    with pytest.raises(DeviceError) as caught:
        Roofline().predict(found, DEVICES["cpu"])
    assert str(caught.value) == (
        "device 'cpu' is not estimated: it is reached from here, so measure it or calibrate it; given: cpu; "
        "allowed: estimates for t4, orin, nano and devices with a calibration of their own; "
        "archlab measure MODEL --device cpu, or archlab device calibrate cpu"
    )


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            RunSpec(batch=8, precision="fp16", runtime="trtexec"),
            "one image at a time; given: batch 8; allowed: batch 1",
        ),
        (RunSpec(precision="fp32", runtime="trtexec"), "for one precision; given: fp32; allowed: fp16"),
    ],
)
def test_a_run_that_the_constants_do_not_describe_is_refused(run, message):
    with pytest.raises(DeviceError, match=f"estimates for orin are {'for ' if 'image' in message else ''}{message}"):
        ROOFLINE.predict(trace(published("convnext_atto").spec), DEVICES["orin"], run)


def test_a_trace_of_a_batch_is_refused():
    with pytest.raises(DeviceError, match="given: batch 4"):
        ROOFLINE.predict(trace(published("convnext_atto").spec, batch=4), DEVICES["orin"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext_atto", "edgenext_xx_small", "efficientvit_b0", "efficientvit_m0"])
def test_timms_network_is_estimated_like_ours(name):
    """Layer by layer or as a whole, our blocks or timm's: the same operators fuse to the same time within 3 %."""
    theirs = ROOFLINE.predict(trace(timm_gate.create(name), resolution=published(name).resolution), DEVICES["orin"]).ms
    assert theirs == pytest.approx(ms(published(name).spec, "orin"), rel=0.03)
