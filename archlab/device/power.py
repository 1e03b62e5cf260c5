"""Power in a loop and the energy of one inference: what a measurement asks of a device that tells its power.

Energy per inference in mJ = (mean power in a loop of at least three seconds − idle power) × median latency. Both powers
are those of the whole card or board. Idle means: the network loaded, nothing running. A power reading averages over up
to a second by itself, so the loop's first half second does not count.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["LOOP_S", "PowerMeter", "energy_mj", "read_power"]

LOOP_S = 3.0
"""The loop that counts is at least so long."""

_SETTLE_S, _IDLE_S, _LEAD_S, _STEP_S = 1.0, 1.0, 0.5, 0.05


class PowerMeter(Protocol):
    """Tells the power in W now and the energy in mJ so far; None where it cannot."""

    def power_w(self) -> float | None:
        """Read the power."""

    def energy_mj(self) -> float | None:
        """Read the energy counter."""


def read_power(
    work: Callable[[], object],
    meter: PowerMeter,
    *,
    seconds: float = LOOP_S,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Read the idle power, then the mean power while `work` runs again and again.

    Args:
        work: Keeps the device busy for a fraction of a second.
        meter: The device's own meter.
        seconds: Length of the loop that counts; never under `LOOP_S`.
        clock: Seconds.
        sleep: Waits so many seconds.

    Returns:
        `idle_power_w`, `power_w`, `power_loop_s` and `power_by` (the meter's counter, or its readings); empty where
        the device does not tell its power.
    """
    if meter.power_w() is None:
        return {}
    sleep(_SETTLE_S)
    idle = [meter.power_w() or 0.0]
    began = clock()
    while clock() - began < _IDLE_S:
        sleep(_STEP_S)
        idle.append(meter.power_w() or 0.0)
    _repeat(work, _LEAD_S, clock)
    counted, loop_began = meter.energy_mj(), clock()
    readings = _repeat(work, max(seconds, LOOP_S), clock, meter)
    loop_s, total = clock() - loop_began, meter.energy_mj()
    has_counter = counted is not None and total is not None and total > counted
    mean_w = (total - counted) / 1e3 / loop_s if has_counter else sum(readings) / len(readings)  # type: ignore[operator]
    return {
        "idle_power_w": round(sum(idle) / len(idle), 3),
        "power_w": round(mean_w, 3),
        "power_loop_s": round(loop_s, 2),
        "power_by": "the energy counter" if has_counter else f"the mean of {len(readings)} readings",
    }


def energy_mj(facts: dict[str, Any], median_ms: float) -> dict[str, float]:
    """Give `energy_mj`, the energy of one inference in mJ above idle, where both powers are known."""
    if "power_w" not in facts or "idle_power_w" not in facts:
        return {}
    return {"energy_mj": round((facts["power_w"] - facts["idle_power_w"]) * median_ms, 4)}


def _repeat(
    work: Callable[[], object], seconds: float, clock: Callable[[], float], meter: PowerMeter | None = None
) -> list[float]:
    """Work for so long; with a meter, read it after each piece of work."""
    readings = []
    began = clock()
    while clock() - began < seconds:
        work()
        if meter is not None:
            readings.append(meter.power_w() or 0.0)
    return readings
