"""The shipped constants come from the carried rows: fit again and compare; the printed error follows by arithmetic."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from archlab.latency.calibrate import refusal, usable
from archlab.latency.tables import CALIBRATED, constants, latencies, networks

STUDY = Path(__file__).parents[2] / "studies" / "calibration"


def held_out_rows(device):
    with (STUDY / "held_out.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["device"] == device]


@pytest.mark.parametrize("device", CALIBRATED)
def test_the_shipped_constants_are_what_the_carried_rows_give(refit, device):
    shipped, fresh = constants(device), refit(device).constants
    np.testing.assert_allclose(fresh.coefficients, shipped.coefficients, rtol=0.02)
    assert fresh.addends_ms == pytest.approx(shipped.addends_ms, rel=0.02)
    assert (fresh.low, fresh.high) == pytest.approx((shipped.low, shipped.high), abs=0.01)
    for mine, theirs in (
        (fresh.held_out, shipped.held_out),
        (fresh.leave_network_out, shipped.leave_network_out),
    ):
        assert mine.mean_abs_pct == pytest.approx(theirs.mean_abs_pct, abs=0.3)
        assert mine.kendall_tau == pytest.approx(theirs.kendall_tau, abs=0.01)
        assert (mine.points, mine.families) == (theirs.points, theirs.families)


@pytest.mark.parametrize("device", CALIBRATED)
def test_the_printed_error_follows_from_the_printed_rows(device):
    rows = held_out_rows(device)
    off = [abs(float(row["family_out_ms"]) / float(row["published_ms"]) - 1) for row in rows]
    inside = [float(row["low_ms"]) <= float(row["published_ms"]) <= float(row["high_ms"]) for row in rows]
    told = constants(device).held_out
    assert told.mean_abs_pct == pytest.approx(100 * sum(off) / len(off), abs=0.1)
    assert told.within_10_share == pytest.approx(sum(e <= 0.1 for e in off) / len(off), abs=0.02)
    assert told.coverage == pytest.approx(sum(inside) / len(inside), abs=0.02)
    assert told.points == len(rows)
    assert told.families == len({row["family"] for row in rows})


@pytest.mark.parametrize("device", CALIBRATED)
def test_nine_in_ten_intervals_hold_what_they_had_not_seen(device):
    coverage = constants(device).held_out.coverage
    assert coverage is not None
    assert 0.85 <= coverage <= 0.95


def test_the_error_is_where_the_project_wants_it():
    t4, orin = constants("t4"), constants("orin")
    assert t4.held_out.mean_abs_pct <= 12
    assert t4.held_out.kendall_tau >= 0.88
    assert orin.leave_network_out.mean_abs_pct <= 10


def test_orin_is_a_third_slower_than_t4_over_shared_networks():
    t4 = {row.key[:2]: row.ms for row in usable("t4")}
    ratios = [row.ms / t4[row.key[:2]] for row in usable("orin") if row.key[:2] in t4]
    assert len(ratios) == 18
    assert math.exp(sum(map(math.log, ratios)) / len(ratios)) == pytest.approx(1.37, abs=0.02)


def test_rows_that_cannot_be_what_they_claim_are_refused():
    why = {(row.model, row.key[1]): refusal(row) for row in latencies() if row.device == "t4"}
    assert "times the multiply-adds per second of every other row" in why["CoAtNet4", 512]
    assert why["CoAtNet3", 224] == "the source prints the same figure at two input sizes"
    assert why["ConvNeXt-T", 224] == ""


def test_every_used_row_matches_the_multiply_adds_that_its_source_states():
    checked = 0
    for device in CALIBRATED:
        for row in usable(device):
            if row.stated_macs is not None:
                checked += 1
                assert networks()[row.key].macs == pytest.approx(row.stated_macs, rel=0.25)
    assert checked > 200
