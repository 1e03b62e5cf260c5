import pytest

from archlab.device.power import LOOP_S, energy_mj, read_power


class Bench:
    """A device that draws 50 W idle and 250 W while it works; work takes 0.25 s."""

    def __init__(self, *, has_counter: bool, is_silent: bool = False) -> None:
        self.has_counter, self.is_silent = has_counter, is_silent
        self.now_s = 0.0
        self.spent_mj = 0.0
        self.is_busy = False
        self.slept_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self._pass(seconds, 50.0)

    def work(self) -> None:
        self._pass(0.25, 250.0)

    def power_w(self) -> float | None:
        return None if self.is_silent else (250.0 if self.is_busy else 50.0)

    def energy_mj(self) -> float | None:
        return self.spent_mj if self.has_counter else None

    def _pass(self, seconds: float, power_w: float) -> None:
        self.now_s += seconds
        self.spent_mj += seconds * power_w * 1e3
        self.is_busy = power_w > 100


def read(bench: Bench, seconds: float = LOOP_S) -> dict[str, object]:
    return read_power(bench.work, bench, seconds=seconds, clock=bench.clock, sleep=bench.sleep)


def test_both_powers_by_the_counter() -> None:
    bench = Bench(has_counter=True)
    found = read(bench)
    assert found == {"idle_power_w": 50.0, "power_w": 250.0, "power_loop_s": 3.0, "power_by": "the energy counter"}
    assert bench.slept_s[0] == 1.0  # settle before reading idle


def test_both_powers_by_readings() -> None:
    found = read(Bench(has_counter=False), seconds=4.0)
    assert found["power_w"] == 250.0
    assert found["power_loop_s"] == 4.0
    assert found["power_by"] == "the mean of 16 readings"


def test_the_loop_is_never_short() -> None:
    assert read(Bench(has_counter=False), seconds=0.1)["power_loop_s"] == LOOP_S == 3.0


def test_a_device_that_does_not_tell_is_not_kept_busy() -> None:
    bench = Bench(has_counter=True, is_silent=True)
    assert read(bench) == {}
    assert bench.now_s == 0.0


def test_energy_of_one_inference() -> None:
    assert energy_mj({"power_w": 250.0, "idle_power_w": 50.0}, 1.5) == {"energy_mj": pytest.approx(300.0)}
    assert energy_mj({"power_w": 250.0}, 1.5) == {}
    assert energy_mj({}, 1.5) == {}
