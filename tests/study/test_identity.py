"""A study goes on only on the device it began on; the message names what changed."""

import pytest

from archlab.errors import DeviceChanged, StudyError
from archlab.study.identity import changes, check_resumed, check_unchanged

MAXN = {"jetpack": "6.2", "power_mode": "MAXN", "clock": "1300"}
SLOW = {"jetpack": "6.2", "power_mode": "30W", "fan": "quiet"}


def test_changes() -> None:
    assert changes(MAXN, dict(reversed(MAXN.items()))) == {}
    assert changes(MAXN, SLOW) == {
        "power_mode": ("MAXN", "30W"),
        "clock": ("1300", "not told"),
        "fan": ("not told", "quiet"),
    }


def test_a_change_in_mid_search() -> None:
    check_unchanged("orin", MAXN, dict(MAXN))
    with pytest.raises(DeviceChanged) as error:
        check_unchanged("orin", MAXN, MAXN | {"power_mode": "30W"})
    assert str(error.value) == (
        "the device orin changed during the search: power_mode was MAXN and is 30W; given: power_mode 30W; allowed: "
        "power_mode MAXN, as at the study's start; set it back and run the same command again, nothing is lost; or "
        "choose another study folder (out) for the device as it is now, for latencies of both never stand on one axis"
    )


def test_a_study_goes_on_where_nothing_changed() -> None:
    check_resumed("orin", dict(MAXN), MAXN, "journal.log")
    check_resumed("orin", {}, {}, "journal.log")
    check_resumed("orin", None, MAXN, "journal.log")  # a study of an earlier version kept no fingerprint


def test_a_changed_device_is_refused() -> None:
    with pytest.raises(DeviceChanged) as error:
        check_resumed("orin", MAXN, SLOW, "journal.log")
    assert str(error.value) == (
        "the device orin is not what it was when the study in journal.log began: clock was 1300 and is not told, fan "
        "was not told and is quiet, power_mode was MAXN and is 30W; given: clock not told, fan quiet, power_mode 30W; "
        "allowed: clock 1300, fan not told, power_mode MAXN; set it back, or choose another study folder "
        "(out) for the device as it is now; nothing was overwritten"
    )


def test_estimates_and_measurements_never_mix() -> None:
    with pytest.raises(
        StudyError, match=r"was estimated on orin, which is measured now; .* undo it with: archlab device rem"
    ):
        check_resumed("orin", {}, MAXN, "journal.log")
    with pytest.raises(
        StudyError, match=r"was measured on orin, which is estimated now; .* undo it with: archlab device add"
    ):
        check_resumed("orin", MAXN, {}, "journal.log")
