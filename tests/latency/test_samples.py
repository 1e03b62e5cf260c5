"""Calibrations of one's own as stored: read as written, refused in four parts, estimated with their intervals."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from archlab.cost.trace import trace
from archlab.device.catalog import RunSpec, device
from archlab.errors import DeviceError
from archlab.families import published
from archlab.latency import PREDICTORS, samples
from archlab.latency.estimate import HeldOut, central, compared, ends_of, spread_of, stretch
from archlab.latency.samples import Calibration, Measured, Spread, path_of, predictor_for, stored

SPEC = published("edgenext_xx_small").spec.replace(resolution=64)
RUN = RunSpec()
CPU = device("cpu")


def error(mean_abs_pct=3.0):
    return HeldOut(mean_abs_pct=mean_abs_pct, within_10_share=1.0, kendall_tau=0.9, coverage=0.9, points=2, families=2)


def spread(mean_abs_pct=3.0):
    return Spread(low=-0.3, high=0.2, held_out=error(mean_abs_pct))


def calibration(**changes):
    networks = (
        Measured(model="a", spec=SPEC, ms=2.0, ops=(("Conv", "stages.0.entry", 0.5),)),
        Measured(model="b", spec=SPEC.replace(resolution=96), ms=4.0, quality="noisy"),
    )
    plain = {
        "device": "cpu",
        "run": dataclasses.asdict(RUN),
        "fingerprint": {"cpu": "A"},
        "networks": networks,
        "spreads": {"roofline": spread(5.0), "fitted": spread(3.0)},
        "before": error(20.0),
    }
    return Calibration(**(plain | changes))


def half_of(networks, place, run):
    """A learner whose networks all take half as long as the first one measured."""
    return lambda trace_: networks[0].ms / 2


def test_it_is_read_as_it_was_written():
    made = calibration()
    path = made.save()
    assert path == path_of("cpu")
    found = stored(CPU)
    assert found is not None
    assert json.loads(path.read_text()) == json.loads(json.dumps(made.to_dict()))
    assert [one.to_dict() for one in found.networks] == [one.to_dict() for one in made.networks]
    assert (found.spreads, found.before, found.range_ms) == (made.spreads, made.before, (2.0, 4.0))
    assert stored(CPU) is found


def test_the_predictor_is_the_one_that_errs_least(own_calibrations: Path):
    assert predictor_for(CPU) == predictor_for(device("orin")) == "roofline"
    calibration().save()
    assert predictor_for(CPU) == "fitted"
    assert predictor_for(device("orin")) == "roofline"


def test_where_they_are_kept(monkeypatch):
    monkeypatch.delenv("ARCHLAB_CALIBRATIONS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert path_of("orin") == Path("/data/archlab/calibrations/orin.json")


def test_the_interval_is_that_of_networks_left_out_and_grows_beyond_what_was_seen():
    """2 ms / 2 = 1 ms lies a factor of two below the fastest: 1 + log 2 times the width."""
    calibration().save()
    found = samples.estimate("fitted", half_of, trace(SPEC), CPU, RUN)
    wide = 1 + math.log(2)
    assert (found.ms, found.source) == (1.0, "estimated:fitted@cpu")
    assert (found.lo_ms, found.hi_ms) == pytest.approx((math.exp(-0.3 * wide), math.exp(0.2 * wide)))
    assert found.held_out == error(3.0)


def message(call):
    with pytest.raises(DeviceError) as caught:
        call()
    return str(caught.value)


def test_without_a_calibration_each_predictor_says_whom_it_serves():
    found = trace(SPEC)
    assert message(lambda: PREDICTORS["lookup"].predict(found, CPU)) == (
        "the predictor 'lookup' does not serve cpu: no networks were measured on it; given: cpu; "
        "allowed: devices with a calibration of their own; archlab device calibrate cpu"
    )
    assert message(lambda: PREDICTORS["fitted"].held_out(device("orin"))) == (
        "the predictor 'fitted' does not serve orin: no networks were measured on it; given: orin; "
        "allowed: devices with a calibration of their own, or 'roofline' here; archlab device calibrate orin"
    )


def test_a_runtime_without_a_profiler_has_no_lookup():
    calibration().save()
    assert message(lambda: PREDICTORS["lookup"].held_out(CPU)) == (
        "the predictor 'lookup' does not serve cpu: its runtime gives no times of operators; given: cpu; "
        "allowed: devices with a calibration of their own, or 'fitted' here; archlab device calibrate cpu"
    )


def test_it_speaks_for_one_way_of_running():
    calibration().save()
    two = RunSpec(threads=2)
    assert message(lambda: samples.estimate("fitted", half_of, trace(SPEC), CPU, two)) == (
        "the calibration of cpu is for another threads; given: 2; allowed: 1; "
        "ask for 1, or calibrate again for this threads"
    )
    four = trace(SPEC, batch=4)
    assert "another batch; given: 4; allowed: 1" in message(
        lambda: samples.estimate("fitted", half_of, four, CPU, None)
    )
    assert calibration().is_for(RunSpec(max_s=1.0), {"cpu": "A"})
    assert not calibration().is_for(two, {"cpu": "A"})
    assert not calibration().is_for(RUN, {"cpu": "B"})


@pytest.mark.parametrize(
    "change",
    [
        lambda doc: "[]",
        lambda doc: "{",
        lambda doc: json.dumps(doc | {"format": 1}),
        lambda doc: json.dumps({k: v for k, v in doc.items() if k != "networks"}),
        lambda doc: json.dumps(doc | {"networks": [doc["networks"][0] | {"ms": -1}]}),
        lambda doc: json.dumps(doc | {"networks": [doc["networks"][0] | {"ms": "inf"}]}),
        lambda doc: json.dumps(doc | {"spreads": []}),
        lambda doc: json.dumps(doc | {"spreads": {}}),
        lambda doc: json.dumps(doc | {"networks": []}),
        lambda doc: json.dumps(doc | {"run": doc["run"] | {"batch": "1"}}),
        lambda doc: "[" * 100_000,
        lambda doc: json.dumps(doc | {"networks": [doc["networks"][0] | {"spec": {"stages": []}}]}),
    ],
)
def test_a_damaged_file_is_refused(change):
    path = calibration().save()
    path.write_text(change(json.loads(path.read_text())))
    text = message(lambda: stored(CPU))
    assert text.startswith("cpu.json is no calibration that this version reads; given: ")
    assert text.endswith(
        "; allowed: files of format 3, written by archlab device calibrate; "
        "calibrate the device again, or remove the file"
    )


def test_a_folder_in_its_place_is_refused():
    path_of("cpu").mkdir(parents=True)
    assert message(lambda: stored(CPU)).startswith("cpu.json is no calibration that this version reads; given: ")


def test_errors_by_hand():
    """Off by 0, 5, 20 and 20 %; of six pairs one is the wrong way round."""
    found = compared([1.0, 2.1, 2.4, 4.8], [1.0, 2.0, 3.0, 4.0])
    assert (found.mean_abs_pct, found.within_10_share, found.points) == (11.25, 0.5, 4)
    assert found.kendall_tau == 1.0
    assert compared([1.0, 2.5, 2.4, 4.8], [1.0, 2.0, 3.0, 4.0]).kendall_tau == pytest.approx(4 / 6, abs=1e-4)


def test_few_scores_span_the_interval_and_many_are_cut():
    assert central([3.0, 1.0, 2.0]) == (1.0, 3.0)
    low, high = central(np.arange(1001) / 1000)
    assert (low, high) == pytest.approx((0.05, 0.95), abs=2e-3)


def test_the_spread_and_how_often_the_others_would_have_held_each():
    """Four factors; tables of t say 2.132 for four degrees and 2.353 for three."""
    (low, high), coverage = spread_of([1.0, 1.0, 1.0, 1.0], [math.exp(-1), math.exp(0.1), math.exp(-0.1), math.e])
    assert (low, high) == pytest.approx((-2.132 * math.sqrt(0.505), 2.132 * math.sqrt(0.505)), rel=1e-3)
    assert coverage == 1.0
    (_, high), coverage = spread_of([1.0] * 4, [1.0, 1.0, 1.0, math.e])
    assert (high, coverage) == (pytest.approx(2.132 / 2, rel=1e-3), 0.75)


def test_many_scores_are_cut_at_their_quantiles_few_go_by_their_size():
    many = np.arange(39) / 10
    assert ends_of(many) == central(many)
    assert ends_of(many[:38])[0] == -ends_of(many[:38])[1]


def test_a_network_that_was_harder_to_predict_counts_by_as_much_less():
    plain, _ = spread_of([1.0] * 4, [math.exp(one) for one in (-0.2, 0.1, 0.3, -0.1)])
    scaled, _ = spread_of([1.0] * 4, [math.exp(one) for one in (-0.4, 0.1, 0.9, -0.1)], [2.0, 1.0, 3.0, 1.0])
    assert scaled == pytest.approx(plain)


def test_the_stretch():
    assert stretch(3.0, (2.0, 4.0)) == 1.0
    assert stretch(4.0 * math.e, (2.0, 4.0)) == pytest.approx(2.0)
    assert stretch(2.0 / math.e**2, (2.0, 4.0)) == pytest.approx(3.0)
