"""The fitted predictor on devices that are a formula."""

import dataclasses
import random

import numpy as np
import pytest

from archlab import space
from archlab.device.catalog import RunSpec, device
from archlab.latency import PREDICTORS, fitted, own_roofline
from archlab.latency.estimate import HeldOut
from archlab.latency.samples import Calibration, Measured, Spread

CPU, RUN = device("cpu"), RunSpec()


@pytest.fixture(scope="module")
def networks():
    """30 networks; 40 M multiply-adds per ms, and half as long again where the space's axis says mbconv."""
    hybrid, rng = space.default("hybrid"), random.Random(5)
    found = []
    for _ in range(30):
        point = hybrid.sample(rng)
        one = Measured(model="", spec=hybrid.decode(point).replace(resolution=96), ms=1.0)
        macs = sum(row.macs for row in one.trace.rows)
        slow = 1.5 if point.get("stem") == "conv" else 1.0
        found.append(dataclasses.replace(one, ms=slow * (0.5 + macs / 40e6)))
    return found


def test_trees_explain_what_the_roofline_cannot(networks):
    seen, unseen = networks[:24], networks[24:]
    roofline, trees = (learn(seen, CPU, RUN) for learn in (own_roofline.learn, fitted.learn))

    def off(model, some):
        return np.mean([abs(model(one.trace) / one.ms - 1) for one in some])

    assert off(trees, seen) < 0.7 * off(roofline, seen)
    assert off(trees, unseen) < 0.2


def test_the_same_networks_give_the_same_predictions(networks):
    first, again = (fitted.learn(networks[:12], CPU, RUN) for _ in range(2))
    assert first(networks[20].trace) == again(networks[20].trace)


def test_it_serves_a_device_with_a_calibration(networks):
    error = HeldOut(mean_abs_pct=4.0, within_10_share=1.0, kendall_tau=1.0, coverage=0.9, points=12, families=12)
    run = dataclasses.asdict(RUN)
    spreads = {"fitted": Spread(low=-0.1, high=0.1, held_out=error)}
    made = Calibration(
        device="cpu", run=run, fingerprint={}, networks=tuple(networks[:12]), spreads=spreads, before=error
    )
    made.save()
    found = PREDICTORS["fitted"].predict(networks[3].trace, CPU, RUN)
    assert found.ms == fitted.learn(networks[:12], CPU, RUN)(networks[3].trace)
    assert (found.source, found.held_out) == ("estimated:fitted@cpu", error)
    assert PREDICTORS["fitted"].held_out(CPU) == error
