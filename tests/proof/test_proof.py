"""The proof: who is a rival, and when what was found is better."""

import sys
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[2] / "studies" / "proof"
sys.path[:0] = [str(STUDY), *(str(STUDY.parent / name) for name in ("data", "hybrid_bench"))]

import bench_table  # noqa: E402
import make_npz  # noqa: E402
import proof_rivals as room  # noqa: E402
import proof_table  # noqa: E402
import proof_train  # noqa: E402

from archlab.spec import ArchSpec  # noqa: E402


class Clock(room.Clock):
    """Takes a millisecond for every ten million multiply-adds."""

    def __init__(self) -> None:
        self.asked = 0

    def ms(self, small: ArchSpec) -> float:
        self.asked += 1
        return room._macs(small) / 1e7


@pytest.mark.parametrize("budget_ms", [0.6, 1.3])
def test_rivals_keep_the_budget_and_scaled_ones_fill_it(budget_ms: float) -> None:
    clock = Clock()
    found = {network.name: (factor, network) for factor, network in room.rivals(budget_ms, clock)}
    assert found
    for factor, network in found.values():
        ms = network.macs / 1e7
        assert ms <= budget_ms
        assert network.origin == ("published" if factor == 1 else "scaled")
        assert factor == 1 or (ms >= 0.9 * budget_ms and 0.5 <= factor <= 2)
    fitting = {row.name for row in room._published() if room._macs(room.RECIPE.small(row.spec)) / 1e7 <= budget_ms}
    assert {name for name, (factor, _) in found.items() if factor == 1} == fitting


def test_the_widest_version_is_the_widest() -> None:
    """By trying all of them: of the versions within the budget the bisection gives the one of most multiply-adds."""
    row = next(row for row in room._published() if row.name == "edgenext_xx_small")
    found = room._widest(row, 2.0, Clock())
    inside = [room._macs(room.RECIPE.small(spec)) for _, spec in room._versions(row)]
    assert found is not None
    assert room._macs(room.RECIPE.small(found[1])) == max(macs for macs in inside if macs / 1e7 <= 2.0)


class Timed:
    """Stands in for a measurement."""

    quality = "ok"

    def __init__(self, ms: float) -> None:
        self.median_ms, self.ci95_ms = ms, (ms, ms)


def test_of_all_readings_the_fastest_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readings of each network, once for all; a faster one of the benchmark's goes before."""
    readings = [Timed(ms) for ms in (3.0, 2.0, 5.0, 4.0)]
    monkeypatch.setattr(room, "timed", lambda small: readings.pop(0))
    known, other = (room.RECIPE.small(row.spec) for row in room._published()[:2])
    monkeypatch.setattr(room, "BENCH", tmp_path)
    bench = {"recipe": room.RECIPE_NAME, "small": known.digest, "latency_ms": 1.0, "low_ms": 0.9, "high_ms": 1.1}
    room.append(tmp_path / "latency.csv", list(bench), [bench])
    clock = room.Clock(tmp_path / "ours.csv")
    assert (clock.ms(known), clock.ms(other)) == (1.0, 4.0)
    assert clock(known)["low_ms"] == "0.9"
    again = room.Clock(tmp_path / "ours.csv")
    assert (again.ms(known), again.ms(other), readings) == (1.0, 4.0, [])


def test_a_network_found_twice_has_the_rows_of_one_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = (row for row in room._published() if row.name == "efficientvit_m0")
    twins = [room.Network(name=name, origin="found", macs=1, spec=row.spec) for name in ("one", "two")]
    facts = dict.fromkeys(bench_table.COLUMNS[bench_table.RESULTS], "")
    small = room.RECIPE.small(row.spec).digest
    trained = facts | {"name": "one", "recipe": room.RECIPE_NAME, "seed": "1", "top1": "50.0", "small": small}
    elsewhere = trained | {"name": "three", "small": "another"}
    bench_table.add(tmp_path, {bench_table.RESULTS: [trained, elsewhere]})
    monkeypatch.setattr(proof_train, "HERE", tmp_path)
    proof_train._take_over(twins, tmp_path)
    assert proof_train.accuracies() == {"one": {1: 50.0}, "two": {1: 50.0}, "three": {1: 50.0}}


def verdict(found: tuple[float, ...], published: tuple[float, ...], faster: str = "level") -> proof_table.Verdict:
    return proof_table.Verdict(
        budget_ms=1.0, rival="m1", found=found, published=published, found_ms=0.9, published_ms=0.95, faster=faster
    )


def test_better_means_two_standard_errors_and_not_slower() -> None:
    """Variance 1 on both sides, three seeds: a standard error of √(2/3) = 0.816, so 1.633 is the least difference."""
    clear = verdict((60.0, 61.0, 62.0), (58.0, 59.0, 60.0))
    assert clear.error == pytest.approx((2 / 3) ** 0.5)
    assert (clear.difference, clear.is_better) == (2.0, True)
    assert not verdict((60.0, 61.0, 62.0), (58.5, 59.5, 60.5)).is_better  # 1.5 points
    assert not verdict((60.0, 61.0, 62.0), (58.0, 59.0, 60.0), faster="slower").is_better
    assert verdict((60.0, 61.0, 62.0), (58.0, 59.0, 60.0), faster="faster").is_better


def test_the_table_has_a_row_per_seed() -> None:
    lines = proof_table._table([verdict((60.0, 61.0, 62.0), (58.0, 59.0, 60.0))]).splitlines()
    assert lines[0] == "budget,role,model,latency,accuracy,seed"
    assert lines[1] == "1.0,winner,found_1ms,0.9000,60.0,0"
    assert lines[-1] == "1.0,published,m1,0.9500,60.0,2"
    assert len(lines) == 7


def test_a_search_sees_training_images_alone_and_each_once() -> None:
    images, labels, val_images, val_labels = make_npz.for_search(np.arange(20).reshape(20, 1, 1, 1), np.arange(20))
    assert val_labels.tolist() == [18, 19]
    assert sorted([*labels, *val_labels]) == list(range(20))
    assert (images.ravel() == labels).all()
    assert (val_images.ravel() == val_labels).all()


def test_the_claim_of_the_readme_is_what_the_committed_rows_say() -> None:
    """More accurate at every budget by more than two standard errors, and faster."""
    verdicts = [proof_table.verdict(budget_ms) for budget_ms in room.BUDGETS_MS]
    assert (STUDY / "table.csv").read_text(encoding="utf-8") == proof_table._table(verdicts)
    assert (STUDY / "verdicts.md").read_text(encoding="utf-8") == proof_table._markdown(verdicts)
    assert all(one.is_better and one.faster == "faster" for one in verdicts)
