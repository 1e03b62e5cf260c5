import json
import math
from pathlib import Path

import pytest

from archlab.study.anchor import PRIOR_SHARE, Anchor, Reading, repeat_interval, spread_share


class Device:
    """Answers one latency after the other and counts how often it was asked."""

    def __init__(self, *answers: float | None) -> None:
        self.answers = list(answers)
        self.spreads: list[float] = []
        self.waits: list[float] = []

    def ms(self) -> float | None:
        return self.answers.pop(0)

    def anchor(self, path: Path) -> Anchor:
        return Anchor(path, self.ms, self.spreads.append, sleep=self.waits.append)


def test_it_is_measured_first_every_twenty_and_at_the_end(tmp_path: Path) -> None:
    device = Device(10.0, 10.1, 10.2, 10.1)
    anchor = device.anchor(tmp_path / "a.jsonl")
    for after in range(46):
        anchor.check(after)
    anchor.check(46, is_end=True)
    assert [reading.after for reading in anchor.readings] == [0, 20, 40, 46]
    anchor.check(46, is_end=True)
    assert len(anchor.readings) == 4


def test_drift_is_the_distance_from_the_middle_of_those_before(tmp_path: Path) -> None:
    device = Device(10.0, 10.2, 10.6, 10.7)
    anchor = device.anchor(tmp_path / "a.jsonl")
    for after in (0, 20, 40):
        anchor.check(after)
    assert [round(reading.drift, 6) for reading in anchor.readings] == [0.0, 0.02, round(10.6 / 10.1 - 1, 6)]
    assert [reading.is_steady for reading in anchor.readings] == [True, True, False]
    assert device.waits == [5.0]


def test_a_drift_that_passes_is_none(tmp_path: Path) -> None:
    device = Device(10.0, 11.0, 10.1, 11.0, None)
    anchor = device.anchor(tmp_path / "a.jsonl")
    for after in (0, 20, 40):
        anchor.check(after)
    assert [reading.ms for reading in anchor.readings] == [10.0, 10.1, 11.0]
    assert device.waits == [5.0, 5.0]
    assert anchor.spread == 0.015  # by the two steady ones; the third is drift


def test_readings_of_an_earlier_run_count(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"after": 20, "ms": 10.0, "drift": 0.0}) + "\n" + '{"after": 4')
    device = Device(12.0, 12.0)
    anchor = device.anchor(path)
    assert anchor.readings == [Reading(after=20, ms=10.0, drift=0.0)]
    anchor.check(39)
    anchor.check(40)
    assert anchor.readings[1].drift == pytest.approx(0.2)


def test_where_nothing_is_measured_there_is_no_file(tmp_path: Path) -> None:
    device = Device(None)
    anchor = device.anchor(tmp_path / "a.jsonl")
    anchor.check(0)
    assert not (tmp_path / "a.jsonl").exists()
    assert device.spreads == []


def test_the_spread_is_the_prior_until_the_anchor_says_more(tmp_path: Path) -> None:
    assert PRIOR_SHARE == 0.015
    assert spread_share([]) == spread_share([10.0]) == spread_share([10.0] * 9) == 0.015
    apart = [10.0 * math.exp(0.1), 10.0 * math.exp(-0.1)]  # squares: 2 · 0.1²
    assert spread_share(apart) == pytest.approx(math.sqrt((4 * 0.015**2 + 0.02) / 5))
    device = Device(10.0, 10.0 * math.exp(0.028), 10.0 * math.exp(-0.014))
    anchor = device.anchor(tmp_path / "a.jsonl")
    for after in (0, 20, 40):
        anchor.check(after)
    # logs 0, 2.8, -1.4 %: middle 0.467, squares 2.333² + 0.467² + 1.867², (4 · 1.5² + 9.147) / 6
    assert device.spreads[0] == 0.015
    assert device.spreads[2] == pytest.approx(0.01739, abs=1e-5)


def test_the_interval_of_a_second_median() -> None:
    # 2 · 1.5 % of 10 ms · √2 = 0.424 between measurements, 0.1 within one
    half = math.sqrt(0.18 + 0.01)
    assert repeat_interval(10.0, (9.9, 10.1), 0.015) == pytest.approx((10 - half, 10 + half))
    assert repeat_interval(10.0, (10.0, 10.0), 0.015, times=2) == pytest.approx((10 - 0.3675, 10 + 0.3675), rel=1e-4)
