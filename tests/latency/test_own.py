"""A calibration from choice to file, on a device that is a formula."""

import dataclasses

import numpy as np
import pytest

from archlab.cost.trace import trace
from archlab.device import registry
from archlab.device.catalog import RunSpec, device, run_for
from archlab.device.runtime import OpTime
from archlab.errors import DeviceChanged, DeviceError, DeviceLost, DeviceUnreachable, PlanError
from archlab.families import published
from archlab.latency import PREDICTORS, own, own_roofline, predictor_for
from archlab.latency.lookup import timed_layers
from archlab.latency.own import calibrate_device, leave_out, paced
from archlab.latency.own_measure import fastest, measured_on
from archlab.latency.samples import Measured, path_of, stored
from archlab.latency.terms import TERMS

CPU, RUN = device("cpu"), RunSpec()
NAMES = (
    "edgenext_xx_small",
    "edgenext_small",
    "efficientvit_m0",
    "efficientvit_m5",
    "efficientvit_b1",
    "convnext_atto",
)


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    """Small networks of families that stay the same, and the learners that take no seconds."""

    def some(space, *, seed):
        found = candidates(space, seed=seed, count=12)
        return [(name, spec) for name, spec in found if not name.startswith(("deit", "resnet", "swin"))]

    candidates = own.candidates
    monkeypatch.setattr(own, "candidates", some)
    monkeypatch.setattr(own, "LEARNERS", {"roofline": own_roofline.learn})


def formula(spec):
    """1 ms, then 40 M multiply-adds per ms: no pace fits all."""
    macs = sum(row.macs for row in Measured(model="", spec=spec, ms=1.0).trace.rows)
    return 1.0 + macs / 40e6


def by_formula(name, spec):
    return Measured(model=name, spec=spec, ms=formula(spec))


def test_it_measures_trains_and_keeps():
    told = []
    found = calibrate_device(
        CPU, RUN, measure=by_formula, networks=12, fingerprint={"cpu": "A"}, tell=lambda *line: told.append(line)
    )
    assert len(found.rows) == 12
    assert [(row.ms, row.quality) for row in found.rows] == [(formula(one.spec), "ok") for one in stored(CPU).networks]
    assert (found.baseline, found.best, found.refused) == ("multiply-adds alone", "roofline", ())
    assert found.after.mean_abs_pct < found.before.mean_abs_pct
    assert found.after.points == 12
    assert told[0][:2] == (1, 12)
    assert told[-1][2].endswith("ms, ok")
    assert found.path == str(path_of("cpu"))
    assert stored(CPU).fingerprint == {"cpu": "A"}
    assert predictor_for(CPU) == "roofline"


def test_afterwards_the_device_is_estimated_from_it():
    calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={})
    unseen = Measured(model="", spec=published("edgenext_x_small").spec, ms=1.0)
    guess = PREDICTORS["roofline"].predict(unseen.trace, CPU, RUN)
    assert guess.source == "estimated:roofline@cpu"
    assert guess.ms == pytest.approx(formula(unseen.spec), rel=0.15)
    assert guess.lo_ms < guess.ms < guess.hi_ms


def test_the_same_seed_chooses_the_same_networks():
    first = calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={})
    again = calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={})
    other = calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={}, seed=1)
    assert [row.model for row in first.rows] == [row.model for row in again.rows]
    assert [row.model for row in first.rows] != [row.model for row in other.rows]


def test_a_device_with_shipped_constants_starts_from_them():
    """A board half as fast as published: before, all is said half as long; the refit learns it from ten networks."""
    registry.add("orin", reach="child:")
    place = device("orin")
    shipped = PREDICTORS["roofline"]

    def measure(name, spec):
        one = Measured(model=name, spec=spec, ms=1.0)
        return dataclasses.replace(one, ms=2 * shipped.shipped(one.trace, place).ms)

    found = calibrate_device(place, run_for(place), measure=measure, networks=10, fingerprint={})
    assert found.baseline == "shipped constants"
    assert found.before.mean_abs_pct == pytest.approx(50.0, abs=0.1)
    assert found.after.mean_abs_pct < 5.0


def test_networks_that_fail_are_told_and_too_few_are_refused():
    calls = []

    def sometimes(name, spec):
        calls.append(name)
        if len(calls) <= 2:
            raise DeviceError("no engine")
        quality = "failed" if len(calls) == 3 else "ok"
        return dataclasses.replace(by_formula(name, spec), quality=quality)

    found = calibrate_device(CPU, RUN, measure=sometimes, networks=13, fingerprint={})
    assert found.refused == ((calls[0], "no engine"), (calls[1], "no engine"), (calls[2], "quality failed"))
    assert len(found.rows) == 10
    calls.clear()
    with pytest.raises(DeviceError) as caught:
        calibrate_device(CPU, RUN, measure=sometimes, networks=12, fingerprint={})
    assert str(caught.value) == (
        "too few networks ran on cpu to calibrate it; given: 9 of 12, the last: quality failed; "
        "allowed: 10 or more; see what is wrong with: archlab device check cpu"
    )


def test_a_link_that_breaks_ends_it_and_a_device_out_of_reach_is_not_begun():
    def lost(name, spec):
        raise DeviceLost("the link broke")

    with pytest.raises(DeviceLost):
        calibrate_device(CPU, RUN, measure=lost, networks=10, fingerprint={})
    assert stored(CPU) is None
    with pytest.raises(DeviceUnreachable) as caught:
        calibrate_device(device("orin"), run_for(device("orin")))
    assert str(caught.value) == (
        "device 'orin' cannot be calibrated: it cannot be reached; given: orin; allowed: devices that are measured; "
        "archlab device add orin --ssh user@host"
    )
    with pytest.raises(PlanError):
        calibrate_device(CPU, RUN, measure=by_formula, networks=9, fingerprint={})


def test_each_network_is_predicted_by_those_without_it():
    networks = [by_formula(name, published(name).spec) for name in NAMES]
    seen = []

    def learner(others, place, run):
        seen.append([one.model for one in others])
        return lambda trace_: float(len(others))

    assert leave_out(networks, learner, CPU, RUN).tolist() == [5.0] * 6
    assert seen == [[name for name in NAMES if name != left] for left in NAMES]


def test_many_networks_are_left_out_in_ten_parts():
    one = by_formula("a", published("convnext_atto").spec)
    sizes = leave_out([one] * 25, lambda others, *_: lambda trace_: float(len(others)), CPU, RUN)
    assert sizes.tolist() == [22.0] * 5 + [23.0] * 5 + [22.0] * 5 + [23.0] * 5 + [22.0] * 5


def test_multiply_adds_alone():
    """Paces of 1, 2 and 4 ms per unit: each network is judged by the median of the other two."""
    networks = [by_formula(name, published(name).spec) for name in NAMES[:3]]
    macs = np.array([sum(row.macs for row in one.trace.rows) for one in networks])
    ones = [
        dataclasses.replace(one, ms=float(pace * its)) for one, pace, its in zip(networks, (1, 2, 4), macs, strict=True)
    ]
    assert paced(ones) == pytest.approx(macs * [3.0, 2.5, 1.5])


def test_the_fastest_of_some_profiles():
    def profile(*ms):
        names = ("Conv", "Add", "Conv")
        return [OpTime(op=op, node=op, module="m", ms=x, calls=1) for op, x in zip(names, ms, strict=False)]

    found = fastest([profile(3.0, 1.0, 2.0), profile(1.0, 5.0, 3.0), profile(0.1, 0.1)])
    assert found == (("Conv", "m", 1.0), ("Add", "m", 1.0), ("Conv", "m", 2.0))
    assert fastest([()]) == ()


def test_what_a_device_promises():
    """T4, FP16: 65 TFLOPS at 60 % of it, 320 GB/s, two bytes per element; half of that rate with four."""
    at = [term.name for term in TERMS].index
    found = np.exp(own_roofline.promised(device("t4"), RunSpec(precision="fp16", runtime="trtexec")))
    assert found[at("conv_macs")] == pytest.approx(2 / 65.0 / 0.6)
    assert found[at("depthwise_macs")] == pytest.approx(2 / 65.0 / 0.2)
    assert found[at("gemm_bytes")] == pytest.approx(1e3 / 320)
    assert found[at("launch_gemm")] == pytest.approx(5.0)
    wide = np.exp(own_roofline.promised(device("t4"), RunSpec(precision="fp32", runtime="cuda")))
    assert wide[at("gemm_bytes")] == pytest.approx(2e3 / 320)
    assert wide[at("conv_macs")] == pytest.approx(2 / 8.1 / 0.6)


def test_the_protocol_measures_and_the_profiler_times_the_operators():
    spec = published("edgenext_xx_small").spec.replace(resolution=64)
    found = measured_on(CPU, RunSpec(warmup_s=0.0, max_s=0.2))("tiny", spec)
    assert (found.model, found.spec) == ("tiny", spec)
    assert found.ms > 0
    assert len(timed_layers(found)) == len(found.trace.segments)
    with pytest.raises(DeviceUnreachable):
        measured_on(device("orin"), run_for(device("orin")))("tiny", spec)


def test_a_batch_is_trained_and_estimated_as_such():
    """1 ms and 40 M multiply-adds per ms, of four images: what is trained on one image would be four times off."""
    four = dataclasses.replace(RUN, batch=4)

    def measure(name, spec):
        return Measured(model=name, spec=spec, ms=4 * formula(spec))

    found = calibrate_device(CPU, four, measure=measure, networks=10, fingerprint={})
    spec = published("edgenext_x_small").spec
    assert [one.trace.batch for one in stored(CPU).networks] == [4] * 10
    assert found.rows[0].macs == sum(row.macs for row in trace(stored(CPU).networks[0].spec).rows)
    guess = PREDICTORS["roofline"].predict(trace(spec, batch=4), CPU, four)
    assert guess.ms == pytest.approx(4 * formula(spec), rel=0.15)
    for asked, run in ((trace(spec), None), (trace(spec), four), (trace(spec, batch=4), RUN)):
        with pytest.raises(DeviceError, match="another batch; given: 1; allowed: 4; ask for 4, or calibrate again"):
            PREDICTORS["roofline"].predict(asked, CPU, run)


def test_the_shipped_constants_are_tensorrts_alone():
    registry.add("orin", reach="child:", backends=("ort", "trtexec"))
    place = dataclasses.replace(device("orin"), precision="fp32")
    found = calibrate_device(place, run_for(place), measure=by_formula, networks=10, fingerprint={})
    assert found.baseline == "multiply-adds alone"
    assert own_roofline.has_constants(place, RunSpec(runtime="trtexec", precision=place.precision))
    assert not own_roofline.has_constants(place, RunSpec(runtime="ort", precision=place.precision))


class Board:
    """Says another power mode each time it is asked."""

    def __init__(self, *modes):
        self.modes = list(modes)

    def fingerprint(self, place):
        return {"board": "A", "power_mode": self.modes.pop(0)}


def test_a_device_that_changed_in_between_is_refused(monkeypatch):
    board = Board("15W", "MAXN", "15W", "15W")
    monkeypatch.setattr(own, "backend_of", lambda *_: board)
    with pytest.raises(DeviceChanged) as caught:
        calibrate_device(CPU, RUN, measure=by_formula, networks=10)
    assert str(caught.value) == (
        "cpu changed while it was calibrated, nothing is stored; given: power_mode 15W → MAXN; allowed: one power mode "
        "and one set of software from the first network to the last; set it up as it shall stay, then calibrate again"
    )
    assert stored(CPU) is None
    calibrate_device(CPU, RUN, measure=by_formula, networks=10)
    assert stored(CPU).fingerprint == {"board": "A", "power_mode": "15W"}


def test_a_change_that_a_measurement_meets_ends_it():
    def measure(name, spec):
        raise DeviceChanged("another power mode")

    with pytest.raises(DeviceChanged):
        calibrate_device(CPU, RUN, measure=measure, networks=10, fingerprint={})


def test_it_says_which_calibration_it_replaces():
    first = calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={})
    again = calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={"cpu": "B"})
    other = calibrate_device(
        CPU, dataclasses.replace(RUN, runtime="openvino"), measure=by_formula, networks=10, fingerprint={}
    )
    assert (first.replaced, again.replaced) == ("", "")
    assert other.replaced == "runtime ort, precision fp32, batch 1, layout nchw, threads 1"
    path_of("cpu").write_text("[]")
    assert calibrate_device(CPU, RUN, measure=by_formula, networks=10, fingerprint={}).replaced == ""
