"""The benchmark of trained hybrids: its statistics by hand, its list, its driver on a handful of images."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[2] / "studies" / "hybrid_bench"
sys.path.insert(0, str(STUDY))

import bench_judge as judge  # noqa: E402
import bench_networks  # noqa: E402
import bench_table  # noqa: E402
import latency_bench  # noqa: E402
import score_bench  # noqa: E402
import train_bench  # noqa: E402
from bench_recipes import RECIPES, Recipe  # noqa: E402
from rank_statistics import near, tau  # noqa: E402

from archlab.families import published  # noqa: E402

FEW = Recipe(data="few", classes=4, images=32, val_images=8, epochs=2, resolution=32, stem_divisor=2, batch=32, lr=1e-3)


def test_tau_by_hand() -> None:
    """Of the six pairs of four networks one is in the wrong order (2 and 3), one is a tie of the score (0 and 1)."""
    truth, scores = np.array([1.0, 2.0, 3.0, 4.0]), np.array([5.0, 5.0, 9.0, 8.0])
    found = tau(scores, truth)
    assert found.value == pytest.approx((4 - 1) / 6)
    assert found.pairs == 6
    assert found.low < found.value < found.high
    assert tau(-scores, truth).value == -found.value


def test_pairs_that_are_not_told_apart_do_not_count() -> None:
    truth, scores = np.array([1.0, 1.4, 3.0]), np.array([2.0, 1.0, 3.0])
    assert tau(scores, truth).value == pytest.approx((2 - 1) / 3)
    assert tau(scores, truth, gap=0.5).value == 1.0
    assert tau(scores, truth, gap=9.0).pairs == 0
    assert math.isnan(tau(scores, truth, gap=9.0).value)


def test_only_pairs_of_about_equal_cost() -> None:
    """1 and 1.4 are within a factor of 1.5, 1.4 and 2.2 are not."""
    mask = near(np.array([1.0, 1.4, 2.2]), 1.5)
    assert mask.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    truth = np.array([1.0, 2.0, 3.0])
    assert tau(np.array([2.0, 1.0, 3.0]), truth, pairs=mask).value == -1.0


def test_an_interval_narrows_with_more_networks() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    scores = truth + rng.normal(size=200)
    few, many = tau(scores[:20], truth[:20]), tau(scores, truth)
    assert many.high - many.low < few.high - few.low
    assert many.low < 0.5 < many.high  # 2/π · arcsin(1/√2), Kendall's τ of a correlation of 1/√2


def test_the_noise_of_seeds() -> None:
    """Variances 2 (one degree of freedom) and 1 (two): pooled (2 + 2) / 3."""
    assert judge.noise({"a": [1.0, 3.0], "b": [4.0, 5.0, 6.0], "c": [7.0]}) == pytest.approx(math.sqrt(4 / 3))
    assert judge.noise({"a": [1.0]}) is None


def test_a_combination_is_chosen_on_one_half_and_reported_on_the_other() -> None:
    """The truth is the sum of two scores; a third is perfect in the half that must not be looked at."""
    rng = np.random.default_rng(1)
    n = 60
    first, second, chance = rng.normal(size=(3, n))
    is_report = np.arange(n) % 2 == 1
    top1 = first + second
    bench = judge.Bench(
        names=[str(i) for i in range(n)],
        is_report=is_report,
        top1=top1,
        macs=np.ones(n),
        latency_ms=np.full(n, np.nan),
        gap=0.0,
    )
    scores = {"first": first, "second": 10 * second, "late": np.where(is_report, top1, chance)}
    assert set(judge.combine(bench, scores)) == {"first", "second"}
    found = judge.judge(bench, scores)
    assert found["late"]["all pairs"].value == 1.0
    label = next(name for name in found if name.startswith("combined:"))
    assert found[label]["equal cost"].value > max(found[name]["equal cost"].value for name in ("first", "second"))
    assert found[label]["equal latency"].pairs == 0


def test_the_list_is_what_the_command_writes() -> None:
    """Digests are unique, sizes fill the range evenly, both halves are there, and specs fit every recipe."""
    nets = bench_networks.load(STUDY / "specs.jsonl")
    assert len({net.spec.digest for net in nets}) == len(nets) >= 300
    sampled = [net for net in nets if net.origin == "sampled"]
    bins = np.bincount([bench_networks._bin(net.macs) for net in sampled])
    assert bins.max() - bins.min() <= 1
    assert 0.4 < sum(net.half == "tune" for net in nets) / len(nets) < 0.6
    assert {net.origin for net in nets[:24]} == {"sampled", "published"}
    for net in nets[:12]:
        for recipe in RECIPES.values():
            small = recipe.small(net.spec)
            assert (small.resolution, small.classes) == (recipe.resolution, recipe.classes)
    lines = [json.loads(line) for line in (STUDY / "specs.jsonl").read_text().splitlines()]
    assert [line["half"] for line in lines] == [net.half for net in nets]


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 255, (32, 32, 32, 3), dtype=np.uint8), "labels": np.arange(32) % 4}
    arrays |= {"val_images": arrays["images"][:8], "val_labels": arrays["labels"][:8]}
    np.savez(tmp_path / "few.npz", **arrays)
    monkeypatch.setitem(RECIPES, "few", FEW)
    return tmp_path


def job(folder: Path, name: str = "efficientvit_m0", **changes: object) -> train_bench.Job:
    net = bench_networks.Network(name=name, origin="published", macs=1, spec=published(name).spec)
    given = {"network": net, "recipe": "few", "seed": 0, "device": "cpu", "data": folder, "work": folder / "work"}
    return train_bench.Job(**{**given, "out": folder / "out", "deadline_s": math.inf, **changes})  # type: ignore[arg-type]


@pytest.mark.usefixtures("one_thread")
def test_a_training_gives_a_row_and_a_curve_once(few: Path) -> None:
    row = train_bench.run(job(few))
    assert row is not None
    assert row["small"] == FEW.small(published("efficientvit_m0").spec).digest
    table = bench_table.read(few / "out" / "results.csv")
    assert [(r["name"], r["recipe"], r["seed"], r["trouble"]) for r in table] == [("efficientvit_m0", "few", "0", "")]
    assert float(table[0]["top1"]) == row["top1"]
    curve = bench_table.read(few / "out" / "curves.csv")
    assert [r["epoch"] for r in curve] == ["1", "2"]
    assert float(curve[1]["top1"]) == row["top1"]
    assert list((few / "work").iterdir()) == []
    assert train_bench.run(job(few)) is None  # done
    assert train_bench.run(job(few, seed=1, deadline_s=0.0)) is None  # out of time


@pytest.mark.usefixtures("one_thread")
def test_a_training_that_another_process_has_is_left_to_it(few: Path) -> None:
    one = job(few)
    with bench_table.locked(one.run.with_suffix(".lock")) as is_ours:
        assert is_ours
        assert train_bench.run(one) is None
    assert not one.run.exists()


def test_rows_of_another_folder_are_added(tmp_path: Path) -> None:
    columns = bench_table.COLUMNS["curves.csv"]
    rows = [dict(zip(columns, values, strict=True)) for values in (
        ("b", "cifar10", 0, 2, 1, 1, 20, 1), ("b", "cifar10", 0, 10, 1, 1, 30, 1), ("a", "cifar10", 1, 1, 1, 1, 10, 1)
    )]  # fmt: skip
    bench_table.add(tmp_path / "one", {"curves.csv": rows[:2]})
    bench_table.add(tmp_path / "one", {"curves.csv": [{**rows[0], "top1": 25}, rows[2]]})
    with (tmp_path / "one" / "curves.csv").open() as file:
        found = [(r["name"], r["epoch"], r["top1"]) for r in csv.DictReader(file)]
    assert found == [("a", "1", "10"), ("b", "2", "25"), ("b", "10", "30")]


def test_appended_rows_have_one_header_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    bench_table.append(path, ("name", "note"), [{"name": "a", "note": '{"x": 1, "y": 2}'}, {"name": "b", "note": ""}])
    bench_table.append(path, ("name", "note"), [{"name": "c", "note": "3"}])
    assert path.read_text().splitlines() == ["name,note", 'a,"{""x"": 1, ""y"": 2}"', "b,", "c,3"]
    assert [row["note"] for row in bench_table.read(path)] == ['{"x": 1, "y": 2}', "", "3"]


def test_the_judge_reads_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight networks, 41 to 48 %, two seeds of the first four that agree; a score that ranks all, one upside down."""
    rows, epochs, scores, timed = [], [], [], []
    for i in range(8):
        name = {"name": f"n{i}", "recipe": "cifar10"}
        facts = {
            "half": ("report", "tune")[i // 6],
            "params": 1 + i,
            "macs": 100 + i,
            "activations": 1,
            "small": f"s{i}",
        }
        rows += [{**name, **facts, "seed": seed, "top1": 41 + i + seed / 10} for seed in range(2 if i < 4 else 1)]
        epochs.append({**name, "seed": 0, "epoch": 1, "top1": 10 - i, "seconds": 4})
        scores.append({"name": f"n{i}", "of": "full", "proxy": "good", "score": i, "seconds": 0.5})
        timed.append({**name, "small": f"s{i}", "latency_ms": 1.0 if i < 3 else 2.0, "quality": "steady"})
    rows.append({**rows[0], "name": "broken", "top1": "", "trouble": "diverged"})
    bench_table.add(tmp_path, {"results.csv": rows, "curves.csv": epochs})
    bench_table.append(tmp_path / "scores.csv", score_bench.COLUMNS, scores)
    bench_table.append(tmp_path / "latency.csv", latency_bench.COLUMNS, timed)
    monkeypatch.setattr(sys, "argv", ["bench_judge.py", "--folder", str(tmp_path)])
    judge.main()
    table = bench_table.read(tmp_path / "judge-cifar10-full.csv")
    found = {(row["score"], row["part"]): row for row in table}
    good = [found["good", part] for part in ("all pairs", "equal cost", "equal latency")]
    assert [(row["tau"], row["pairs"]) for row in good] == [("1.0000", "15"), ("1.0000", "15"), ("1.0000", "6")]
    assert good[0]["seconds"] == "0.500"
    assert found["top-1 after epoch 1", "all pairs"]["tau"] == "-1.0000"
    assert (found["another seed", "all pairs"]["tau"], found["another seed", "all pairs"]["pairs"]) == ("1.0000", "6")
    text = (tmp_path / "judge-cifar10-full.md").read_text()
    assert "8 networks, 6 of them in the half that is reported" in text
    assert "its deviation between seeds: 0.07 points" in text  # 0.1 / √2


@pytest.mark.slow
def test_the_command_trains_and_stops_in_time(few: Path) -> None:
    """Two networks of the list, in processes, on generated images of the size of CIFAR-10."""
    rng = np.random.default_rng(0)
    arrays = {"images": rng.integers(0, 255, (256, 32, 32, 3), dtype=np.uint8), "labels": np.arange(256) % 10}
    np.savez(few / "cifar10.npz", **arrays, val_images=arrays["images"][:64], val_labels=arrays["labels"][:64])
    command = [sys.executable, str(STUDY / "train_bench.py"), "--data", str(few), "--work", str(few / "work")]
    command += ["--out", str(few / "out"), "--first", "2", "--workers", "2"]
    subprocess.run([*command, "--minutes", "0"], check=True)
    assert not (few / "out" / "results.csv").exists()
    subprocess.run(command, check=True)
    assert len(bench_table.read(few / "out" / "results.csv")) == 2
