import json

import numpy as np
import pytest

from archlab.device.catalog import RunSpec
from archlab.device.measurement import QUALITIES, Measurement, Samples, joined


def measurement(**changes: object) -> Measurement:
    fields = {
        "digest": "abc",
        "device": "cpu",
        "run": RunSpec(batch=2),
        "samples_ms": tuple(float(i) for i in range(1, 41)),
        "cpu_ms": (0.5,) * 40,
        "switches": (0,) * 40,
        "quality": "ok",
        "environment": {"fingerprint": {"cpu": "some"}, "runs": 40},
    }
    return Measurement(**(fields | changes))


def test_statistics_of_the_runs_that_count() -> None:
    found = measurement()
    assert found.median_ms == 20.5
    assert found.p90_ms == pytest.approx(36.1)  # 1 + 0.9 · 39
    assert found.iqr_ms == pytest.approx(19.5)  # 30.25 - 10.75
    assert found.ci95_ms[0] < 20.5 < found.ci95_ms[1]
    assert (found.n, found.statistic) == (40, "wall_clean")
    assert found.source == "measured:ort@cpu"


def test_interrupted_runs_do_not_count() -> None:
    found = measurement(switches=(0,) * 30 + (1,) * 10)
    assert found.n == 30
    assert found.median_ms == 15.5
    assert len(found.samples_ms) == 40


def test_runs_beside_which_the_machine_was_not_calm_do_not_count() -> None:
    found = measurement(calm=(False,) * 10 + (True,) * 30)
    assert (found.n, found.median_ms) == (30, 25.5)


def test_a_tools_own_times_need_no_other_clock() -> None:
    found = measurement(cpu_ms=(), switches=())
    assert (found.statistic, found.n) == ("reported", 40)


def test_summary_holds_the_public_keys() -> None:
    assert measurement().summary() == {
        "digest": "abc",
        "device": "cpu",
        "runtime": "ort",
        "precision": "fp32",
        "batch": 2,
        "source": "measured:ort@cpu",
        "median_ms": 20.5,
        "p90_ms": pytest.approx(36.1),
        "iqr_ms": pytest.approx(19.5),
        "ci95_ms": list(measurement().ci95_ms),
        "n": 40,
        "quality": "ok",
    }


def test_there_and_back_through_json() -> None:
    found = measurement()
    again = Measurement.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert again.median_ms == found.median_ms


def test_the_qualities() -> None:
    assert QUALITIES == ("ok", "noisy", "throttled", "failed")


def test_joining_blocks_keeps_the_order_and_any_throttling() -> None:
    one = Samples(wall_ns=np.array([1, 2]), cpu_ns=np.array([3, 4]), switches=np.array([0, 1]))
    two = Samples(wall_ns=np.array([5]), cpu_ns=np.array([6]), switches=np.array([2]), is_throttled=True)
    both = joined([one, two])
    assert both.wall_ns.tolist() == [1, 2, 5]
    assert both.cpu_ns is not None
    assert both.cpu_ns.tolist() == [3, 4, 6]
    assert both.switches is not None
    assert both.switches.tolist() == [0, 1, 2]
    assert both.is_throttled
    assert joined([one, Samples(wall_ns=np.array([9]))]).cpu_ns is None
