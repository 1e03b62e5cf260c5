"""The benchmark of trained hybrids: its list, its tables, its driver on a handful of images."""

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

import bench_networks  # noqa: E402
import bench_table  # noqa: E402
import train_bench  # noqa: E402
from bench_recipes import RECIPES, Recipe  # noqa: E402

from archlab.families import published  # noqa: E402

FEW = Recipe(data="few", classes=4, images=32, val_images=8, epochs=2, resolution=32, stem_divisor=2, batch=32, lr=1e-3)


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
    with bench_table.locked(one.lock) as is_ours:
        assert is_ours
        assert train_bench.run(one) is None
    assert not one.run.exists()


def test_seeds_of_a_network_have_a_lock_each(tmp_path: Path) -> None:
    """Also where a name has a dot, as those of narrowed networks do."""
    network = next(one for one in bench_networks.load(STUDY / "specs.jsonl") if "." in one.name)
    locks = {job(tmp_path, network=network, seed=seed).lock for seed in (0, 1, 2)}
    assert len(locks) == 3


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
