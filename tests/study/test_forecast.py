"""A device's own calibration guesses what a measurement will say, as long as the device is what it was."""

import dataclasses
import math

import pytest

from archlab.cost.trace import trace
from archlab.device.catalog import RunSpec, device
from archlab.families import published
from archlab.latency import PREDICTORS
from archlab.latency.estimate import HeldOut
from archlab.latency.samples import Calibration, Measured, Spread
from archlab.study.forecast import forecast

SPEC = published("edgenext_xx_small").spec.replace(resolution=64)
RUN = RunSpec()
HELD_OUT = HeldOut(mean_abs_pct=3.0, within_10_share=1.0, kendall_tau=0.9, coverage=0.9, points=3, families=3)


@pytest.fixture
def kept() -> Calibration:
    networks = [Measured(model=str(side), spec=SPEC.replace(resolution=side), ms=side / 16) for side in (64, 96, 128)]
    made = Calibration(
        device="cpu",
        run=dataclasses.asdict(RUN),
        fingerprint={"cpu": "A"},
        networks=tuple(networks),
        spreads={"roofline": Spread(low=-0.2, high=0.1, held_out=HELD_OUT)},
        before=HELD_OUT,
    )
    made.save()
    return made


def test_it_is_the_calibration_s_best_predictor_with_its_interval(kept: Calibration) -> None:
    found = forecast(trace(SPEC), device("cpu"), RUN, {"cpu": "A"})
    expected = PREDICTORS["roofline"].predict(trace(SPEC), device("cpu"), RUN)
    assert found is not None
    assert found.value == expected.ms == pytest.approx(4.0, rel=0.2)
    assert found.interval == pytest.approx((found.value * math.exp(-0.2), found.value * math.exp(0.1)), rel=0.05)
    assert found.source == "estimated:roofline@cpu"


@pytest.mark.parametrize(("run", "fingerprint"), [(RunSpec(threads=2), {"cpu": "A"}), (RUN, {"cpu": "B"}), (RUN, {})])
def test_another_run_or_another_machine_is_not_guessed(kept: Calibration, run: RunSpec, fingerprint: dict) -> None:
    assert forecast(trace(SPEC), device("cpu"), run, fingerprint) is None


def test_without_a_calibration_there_is_no_forecast() -> None:
    assert forecast(trace(SPEC), device("cpu"), RUN, {"cpu": "A"}) is None
