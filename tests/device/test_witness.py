from pathlib import Path

import pytest

from archlab.device import witness as witness_module
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import DEVICES, Device
from archlab.device.witness import Witness, witness_of

CPU = DEVICES["cpu"]


def told(readings: list[float], history: list[float]) -> Witness:
    """A witness that has taken these readings."""
    left = iter(readings)
    found = Witness(lambda: next(left), history)
    for _ in readings:
        found.read()
    return found


def test_a_block_is_calm_where_both_sides_together_are_near_the_usual() -> None:
    # usual: the median of 4.0 thrice and 4.1; beside the blocks: 4.0, 4.15, 4.25, 4.15, 3.85, 3.7
    witness = told([4.0, 4.0, 4.3, 4.2, 4.1, 3.6, 3.8], [4.0, 4.0, 4.0])
    assert witness.usual_ms == 4.0
    assert witness.calm().tolist() == [True, True, False, True, True, False]


def test_a_first_measurement_has_only_itself() -> None:
    witness = told([4.0, 4.0, 5.0, 4.0, 4.0], [])
    assert witness.usual_ms == 4.0
    assert witness.calm().tolist() == [True, False, False, True]


def test_what_it_took_is_kept_and_told() -> None:
    kept: list[float] = []
    readings = iter([4.4, 4.6, 4.5])
    witness = Witness(lambda: next(readings), [4.0, 4.2], kept.append)
    for _ in range(3):
        witness.read()
    assert witness.close() == {"witness_ms": 4.5, "witness_usual_ms": 4.2, "witness_history": 2}
    assert kept == [4.5]


def test_the_history_lies_in_the_cache_by_machine_and_precedence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_module, "handle", lambda: None)
    monkeypatch.setattr(witness_module, "_read_ms", lambda handle: 4.0)
    cache = MeasurementCache(tmp_path / "m.sqlite")

    def history(fingerprint: dict[str, str], granted: str) -> float:
        found = witness_of(CPU, fingerprint, granted, cache=cache)
        assert found is not None
        found.read()
        return found.close()["witness_history"]

    assert [history({"cpu": "a"}, "none") for _ in range(3)] == [0, 1, 2]
    assert history({"cpu": "a"}, "thread") == 0
    assert history({"cpu": "b"}, "none") == 0


@pytest.mark.parametrize("device", [DEVICES["cuda"], DEVICES["orin"]])
def test_only_this_machines_cpu_has_a_witness(device: Device, tmp_path: Path) -> None:
    assert witness_of(device, {}, "none", cache=MeasurementCache(tmp_path / "m.sqlite")) is None


def test_the_real_one_takes_a_few_milliseconds(tmp_path: Path) -> None:
    found = witness_of(CPU, {}, "none", cache=MeasurementCache(tmp_path / "m.sqlite"))
    assert found is not None
    found.read()
    assert 0.1 < found.usual_ms < 1000
