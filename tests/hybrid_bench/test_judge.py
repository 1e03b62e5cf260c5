"""The judge of the benchmark: combinations by hand, its tables on made-up networks, and what ships of them."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from archlab.api.correlating import correlate_rows
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import DeviceChanged
from archlab.proxy import evidence
from archlab.proxy.evidence import read_table, table, unpack
from archlab.proxy.judging import EQUAL_COST, Bench, Correlation

STUDY = Path(__file__).parents[2] / "studies" / "hybrid_bench"
sys.path.insert(0, str(STUDY))

import bench_combine  # noqa: E402
import bench_judge as judge  # noqa: E402
import bench_networks  # noqa: E402
import bench_table  # noqa: E402
import early_bench  # noqa: E402
import few_steps_bench  # noqa: E402
import latency_bench  # noqa: E402
import score_bench  # noqa: E402
import ship_bench  # noqa: E402


def bench_of(top1: np.ndarray) -> Bench:
    """Networks of one cost and unknown latency."""
    n = len(top1)
    names = tuple(map(str, range(n)))
    return Bench(names=names, top1=top1, macs=np.ones(n), latency_ms=np.full(n, np.nan), gap=0.0)


def test_combinations_are_chosen_on_one_half_and_reported_on_the_other() -> None:
    """The truth is the sum of two scores; a third is perfect in the half that must not be looked at."""
    rng = np.random.default_rng(1)
    first, second, chance, more = rng.normal(size=(4, 60))
    is_report = np.arange(60) % 2 == 1
    top1 = first + second
    scores = {
        "params as trained": -top1,
        "first": first,
        "second": 10 * second,
        "late": np.where(is_report, top1, chance),
        "more": more,
    }
    parts = {name: values for name, values in scores.items() if name != "params as trained"}
    found = {one.title.partition(":")[0]: one for one in bench_combine.combinations(bench_of(top1), parts, ~is_report)}
    assert found["best pair (z)"].title == "best pair (z): first + second"
    assert found["best pair (z)"].members == {"first", "second"}
    assert np.corrcoef(found["best pair (z)"].values, top1)[0, 1] > 0.95
    assert "late" not in found["one by one (z)"].title
    assert set(found) == {
        *(f"{what} ({way})" for what in ("best pair", "best triple", "one by one") for way in ("z", "rank")),
        "least squares",
    }
    judged = judge.judge(bench_of(top1), scores, {"first": 1.0, "second": 0.5}, is_report)
    seconds = {row.proxy.partition(":")[0]: row.seconds for row in judged.rows}
    assert seconds["best pair (z), no training"] == 1.5
    assert seconds["best triple (z), no training"] is None
    value = {row.proxy.partition(":")[0]: row.tau for row in judged.rows if row.part == "equal cost"}
    assert value["late"] == 1.0
    assert judged.tuned["late"] < 0.5
    assert judged.gains["late"].value == 2.0
    assert value["best pair (z), no training"] > max(value["first"], value["second"])
    assert not [name for name in value if "with training" in name]
    assert {row.part for row in judged.rows} == {"all pairs", "equal cost"}


def test_least_squares_finds_the_weights_and_no_negative_ones() -> None:
    """Accuracy = 3 · first + second - third, of uncorrelated scores of deviation 1: weights 3/4 and 1/4."""
    signs = np.array([[1, 1, 1, 1, -1, -1, -1, -1], [1, 1, -1, -1, 1, 1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1]] * 2)
    first, second, third = np.concatenate([signs[:3], signs[3:]], axis=1).astype(float)
    bench = bench_of(3 * first + second - third)
    scores = {"first": first, "second": second, "third": third}
    found = bench_combine.combinations(bench, scores, np.ones(16, bool))
    assert found[-1].title == "least squares: 0.75 first + 0.25 second"
    assert found[-1].values == pytest.approx(0.75 * first + 0.25 * second)


def test_only_scores_that_all_have_are_put_together() -> None:
    lacking = np.array([np.nan, 1.0, 2.0, 3.0])
    assert (
        bench_combine.combinations(bench_of(np.arange(4.0)), {"a": lacking, "b": np.arange(4.0)}, np.ones(4, bool))
        == []
    )


def test_ranks_of_networks_that_were_not_there() -> None:
    """Half a network is below the least of two, one and a half below the other, two below what is larger."""
    found = bench_combine._ranked(np.array([1.0, 3.0, 9.0, 0.0]), np.array([3.0, 1.0]))
    assert found.tolist() == [0.25, 0.75, 1.0, 0.0]


def test_every_eighth_network_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["score_bench.py", "--out", str(tmp_path), "--first", "2", "--proxy", "params"])
    score_bench.main()
    score_bench.main()
    rows = bench_table.read(tmp_path / "scores.csv")
    nets = bench_networks.load(STUDY / "specs.jsonl")[:2]
    assert [(row["name"], row["of"], row["proxy"]) for row in rows] == [(net.name, "full", "params") for net in nets]
    counts = [count(trace(net.spec)).params for net in nets]
    assert [float(row["score"]) for row in rows] == pytest.approx([math.log(params) for params in counts])
    assert float(rows[0]["seconds"]) >= 0
    assert rows[1]["seconds"] == ""


def test_scores_that_train_have_a_label_and_seconds(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["score_bench.py", "--out", str(tmp_path), "--first", "1", "--proxy", "short_train", "params"]
    monkeypatch.setattr(sys, "argv", [*command, "--data", str(few), "--work", str(tmp_path / "work")])
    score_bench.main()
    score_bench.main()
    (trained, counted) = bench_table.read(tmp_path / "scores.csv")
    assert (trained["proxy"], counted["proxy"]) == ("short_train:few", "params")
    assert 0 < float(trained["score"]) < 100
    assert float(trained["seconds"]) > 0
    assert len((tmp_path / "work" / "short_train-few" / "rungs.jsonl").read_text().splitlines()) == 3


def test_what_an_early_training_is_judged_by(
    few: Path, tables: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first network of the half `tune` is EfficientViT-B0; it is trained once, and the others are left alone."""
    monkeypatch.setattr(sys, "argv", ["early_bench.py", "--data", str(few), "--folder", str(tables), "--first", "8"])
    early_bench.main()
    early_bench.main()
    (row,) = bench_table.read(tables / "early.csv")
    assert row["name"] == "efficientvit_b0"
    assert all(float(row[column]) > 0 for column in ("train_loss", "val_loss", "settled_loss"))
    assert float(row["top1"]) in {0.0, 25.0, 50.0, 75.0, 100.0}
    said = capsys.readouterr().out
    assert said.count("efficientvit_b0: ") == 1
    assert "settled_loss: nan at equal cost, 1 networks" in said


def test_what_a_few_steps_tell(
    few: Path, tables: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One network of the half `tune`, by two rates, at every stop; a second call trains nothing."""
    command = ["few_steps_bench.py", "--data", str(few), "--folder", str(tables), "--first", "8"]
    monkeypatch.setattr(sys, "argv", command)
    few_steps_bench.main()
    few_steps_bench.main()
    rows = bench_table.read(tables / "few_steps.csv")
    assert [(row["rate"], int(row["steps"])) for row in rows] == [
        (str(rate), steps) for rate in few_steps_bench.RATES for steps in few_steps_bench.STOPS
    ]
    assert {row["name"] for row in rows} == {"efficientvit_b0"}
    assert all(float(row["val_loss"]) > 0 for row in rows)
    assert capsys.readouterr().out.count("efficientvit_b0, rate") == 2


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.npz"
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(40) % 10)
    return path


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Twelve made-up networks, 41 to 52 %, two seeds of the first four that agree; scores that rank all, and none.

    By another recipe they reach 80 to 69 %. The first eight are of the half that is reported; all cost about the same.
    Latencies of those are 1, 1, 1, 5, 6, 7, 8 and 9 ms: three equal pairs, and four of neighbours within 1.25.
    """
    rows, epochs, scores, timed, specs = [], [], [], [], []
    nets = bench_networks.load(STUDY / "specs.jsonl")[:12]
    for i, net in enumerate(nets):
        name = {"name": net.name, "recipe": "cifar10"}
        facts = {
            "half": ("report", "tune")[i // 8],
            "params": 1 + i,
            "macs": 100 + i,
            "activations": 1,
            "small": f"s{i}",
        }
        rows += [{**name, **facts, "seed": seed, "top1": 41 + i + seed / 10} for seed in range(2 if i < 4 else 1)]
        rows.append({**name, **facts, "recipe": "tiny50", "seed": 0, "top1": 80 - i})
        epochs.append({**name, "seed": 0, "epoch": 1, "top1": 10 - i, "seconds": 4})
        for proxy, score in (("naswot", i), ("zen", i % 2), ("short_train:cifar10", -i)):
            scores.append({"name": net.name, "of": "full", "proxy": proxy, "score": score, "seconds": 0.5})
        timed.append({**name, "small": f"s{i}", "latency_ms": 1.0 if i < 3 else 2.0 + i, "quality": "steady"})
        row = {"name": net.name, "origin": net.origin, "half": facts["half"], "macs": net.macs}
        specs.append(json.dumps({**row, "spec": net.spec.to_dict()}))
    rows.append({**rows[0], "name": "broken", "top1": "", "trouble": "diverged"})
    bench_table.add(tmp_path, {"results.csv": rows, "curves.csv": epochs})
    bench_table.append(tmp_path / "scores.csv", score_bench.COLUMNS, scores)
    bench_table.append(tmp_path / "latency.csv", latency_bench.COLUMNS, timed)
    (tmp_path / "specs.jsonl").write_text("\n".join(specs) + "\n")
    return tmp_path


def test_latencies_of_two_machines_do_not_stand_side_by_side(tables: Path) -> None:
    (known, *_) = bench_table.read(tables / "latency.csv")
    latency_bench.check_place(known, [])
    latency_bench.check_place(known, [known])
    with pytest.raises(DeviceChanged, match=f"recipe {known['recipe']} from another place"):
        latency_bench.check_place({**known, "fingerprint": '{"cpu": "another"}'}, [known])


def test_the_judge_reads_the_tables(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_judge.py", "--folder", str(tables)])
    judge.main()
    rows = bench_table.read(tables / "judge-cifar10-full.csv")
    found = {(row["proxy"], row["part"]): row for row in rows}
    good = [found["naswot", part] for part in ("all pairs", "equal cost", "equal latency")]
    assert [(row["tau"], row["pairs"], row["tuned"]) for row in good] == [
        ("1.0000", "28", ""), ("1.0000", "28", "1.0000"), ("1.0000", "7", "")
    ]  # fmt: skip
    assert (good[0]["seconds"], good[0]["spearman"]) == ("0.5000", "1.0000")
    assert found["top-1 after epoch 1", "all pairs"]["tau"] == "-1.0000"
    elsewhere = found["top-1 by tiny50", "all pairs"]
    assert (elsewhere["tau"], elsewhere["networks"]) == ("-1.0000", "8")
    assert not [row["proxy"] for row in rows if "top-1 by" in row["proxy"].partition(":")[2]]
    assert (found["another seed", "all pairs"]["tau"], found["another seed", "all pairs"]["pairs"]) == ("1.0000", "6")
    assert any(row["proxy"].startswith("best pair (z), no training: ") for row in rows)
    assert any(row["proxy"].startswith("best triple (z), with training: ") for row in rows)
    text = (tables / "judge-cifar10-full.md").read_text()
    assert "12 networks, 8 of them in the half that is reported" in text
    assert "its deviation between seeds: 0.07 points" in text  # 0.1 / √2
    assert "over pairs at least 0.20 points apart" in text
    assert "| **params as trained** | 1.00 (1.00 to 1.00) |" in text
    assert (found["zen", "equal cost"]["tau"], found["zen", "equal cost"]["gain"]) == ("0.1429", "-0.8571")
    assert found["zen", "all pairs"]["gain"] == ""


def test_what_is_shipped_is_what_was_judged(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of the package alone; a summary of published accuracies counts where it has an interval; variants do."""
    summary = ["set,way,networks,pairs,tau,tau_low,tau_high,mean_error", "same recipe,parameters,9,8,0.5,0.4,0.6,"]
    summary += ["same recipe,multiply-adds,9,8,0.5,,,", "all,parameters,9,8,0.1,0.0,0.2,"]
    (tables / "summary.csv").write_text("\n".join(summary) + "\n")
    variant = Correlation(
        proxy="zico",
        part=EQUAL_COST,
        tau=0.5,
        low=0.25,
        high=0.75,
        pairs=9,
        networks=8,
        source="a few, studies/published",
    )
    (tables / "variants.csv").write_text(table([variant]))
    monkeypatch.setattr(sys, "argv", ["bench_judge.py", "--folder", str(tables)])
    judge.main()
    given = [
        "--folder",
        tables,
        "--specs",
        tables / "specs.jsonl",
        "--summary",
        tables / "summary.csv",
        "--variants",
        tables / "variants.csv",
        "--out",
        tables,
    ]
    monkeypatch.setattr(sys, "argv", ["ship_bench.py", *map(str, given)])
    ship_bench.main()
    shipped = unpack((tables / "hybrid_bench.json.gz").read_bytes())
    nets = bench_networks.load(STUDY / "specs.jsonl")[:12]
    assert [one.name for one in shipped.networks] == sorted(net.name for net in nets)
    first = next(one for one in shipped.networks if one.name == nets[0].name)
    assert (first.top1, first.macs, first.latency_ms) == ((41.0, 41.1), 100, 1.0)
    assert shipped.recipe == "3 epochs on 20,000 images of cifar10 at 32 px"
    rows = read_table(tables / "correlations.csv")
    assert {row.proxy for row in rows} == {"naswot", "zen", "short_train", "params", "zico"}
    assert variant in rows
    assert [(row.tau, row.low, row.pairs) for row in rows if row.proxy == "params"] == [(0.5, 0.4, 8)]
    assert {row.source.rpartition(", ")[2] for row in rows} == {"studies/hybrid_bench", "studies/published"}


def test_the_command_gives_what_the_judge_gave(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scores in earnest: value, interval, pairs, networks and Spearman's come out the same, to the last digit."""
    (tables / "scores.csv").unlink()
    specs = ["--specs", str(tables / "specs.jsonl")]
    for command, words in (
        (score_bench, ["--out", str(tables), *specs, "--proxy", "params", "macs"]),
        (judge, ["--folder", str(tables)]),
        (ship_bench, ["--folder", str(tables), *specs, "--out", str(tables)]),
    ):
        monkeypatch.setattr(sys, "argv", [command.__name__, *words])
        command.main()
    monkeypatch.setattr(evidence, "BENCHMARK", tables / "hybrid_bench.json.gz")
    facts = ["proxy", "part", "tau", "low", "high", "pairs", "networks", "spearman"]
    found = [{name: row[name] for name in facts} for row in correlate_rows(proxies=["params"])]
    known = [row for row in read_table(tables / "correlations.csv") if row.source.endswith("studies/hybrid_bench")]
    assert len(found) == len(known) == 6
    for row in found:
        one = next(one for one in known if (one.proxy, one.part) == (row["proxy"], row["part"])).to_dict()
        assert {name: one[name] for name in facts} == pytest.approx(row, abs=1e-4)
