"""archlab reproduce: what it lists, prints and refuses."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archlab as al
from archlab.artifacts import ARTIFACTS
from archlab.artifacts.verdict import RANK

Answer = Callable[..., Any]
Run = Callable[..., tuple[int, str, str]]
Refused = Callable[..., str]


def test_list(answer: Answer, run: Run) -> None:
    rows = answer("reproduce", "list")
    assert [row["artifact"] for row in rows] == list(ARTIFACTS)
    assert all(set(row) == {"artifact", "source", "needs"} and all(row.values()) for row in rows)
    assert all(row["artifact"].split("_")[0] in ("edgenext", "msra", "mit", "convnext") for row in rows)
    assert "edgenext_table7" in run("reproduce", "list")[1]


def test_an_artifact(answer: Answer) -> None:
    document = answer("reproduce", "edgenext_table1")
    assert {"artifact", "source", "rows", "verdict"} <= set(document)
    assert document["artifact"] == "edgenext_table1"
    assert document["verdict"] in RANK
    assert all({"setting", "metric", "paper", "ours", "unit"} <= set(row) for row in document["rows"])
    params = next(row for row in document["rows"] if row["metric"] == "params")
    assert (params["paper"], round(params["ours"], 3)) == (1.33, 1.327)


def test_the_table_ends_with_the_verdict(run: Run) -> None:
    status, out, _ = run("reproduce", "edgenext_table1", "--count-only")
    assert status == 0
    assert out.splitlines()[0].startswith("EdgeNeXt (arXiv 2206.10589), Table 1")
    assert out.splitlines()[-1].startswith("verdict: reproduced (")


def test_counting_only_measures_nothing(answer: Answer) -> None:
    document = answer("reproduce", "edgenext_table10", "--count-only")
    assert all(row["ours"] is None for row in document["rows"] if row["metric"] == "latency")
    assert document["verdict"] == "needs compute"


def test_trained_networks_are_read(answer: Answer, tmp_path: Path) -> None:
    start, end = ARTIFACTS["edgenext_table10"].small.values()
    lines = ["net,data,resolution,epochs,seed,top1,digest"]
    for spec, mean in ((start, 60), (end, 62)):
        lines += [f"n,tiny50,64,30,{seed},{mean + 0.1 * seed},{spec.digest}" for seed in range(3)]
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    document = answer("reproduce", "edgenext_table10", "--count-only", "--trained", tmp_path)
    assert document["verdict"] == "reproduced in sign only"
    assert "top1: at the end of the stage (adopted) − at the start of the stage = +2 ±" in document["because"]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("edgenext_tabel7",), "no artifact 'edgenext_tabel7'; given: 'edgenext_tabel7'; allowed: "),
        (("edgenext_table1", "--trained", "nowhere"), "no such folder of trained networks; given: nowhere; "),
        (
            ("edgenext_table1", "--count-only", "--threads", 2),
            "threads without a device says nothing; given: threads",
        ),
        (
            ("edgenext_table10", "--train"),
            "training needs images and a folder; given: no data, no folder; allowed: data",
        ),
        (("edgenext_table1", "--train", "--data", "digits", "--trained", "x"), "edgenext_table1 has no small networks"),
        (("edgenext_table10", "--device", "orin"), "device 'orin' cannot be measured: nothing answers for it"),
        (("edgenext_table10", "--runtime", "tensorflow"), "no runtime 'tensorflow'"),
    ],
)
def test_refusals(refused: Refused, argv: tuple[object, ...], line: str) -> None:
    assert line in refused("reproduce", *argv)


def test_help_has_an_example(run: Run) -> None:
    status, out, _ = run("reproduce", "--help")
    assert status == 0
    assert "archlab reproduce edgenext_table1" in out


def test_from_python() -> None:
    found = al.reproduce("edgenext_table1", device=None)
    assert found.verdict == "reproduced"
    assert set(found.table().columns) >= {"setting", "metric", "paper", "ours"}
    assert list(found.claims().columns) == ["claim", "verdict", "detail"]
    assert list(al.reproduce().columns) == ["artifact", "source", "needs"]


def test_the_small_networks_are_trained_once(run: Run, answer: Answer, tmp_path: Path) -> None:
    """One epoch on a handful of images: the column has values, of one seed, on which no verdict rests."""
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.arange(24) % 2)
    argv = ("reproduce", "edgenext_table10", "--count-only", "--train", "--images", "8")
    argv += ("--data", str(tmp_path / "few.npz"), "--trained", str(tmp_path / "small"))
    document = answer(*argv)
    scores = [row for row in document["rows"] if row["metric"] == "top1"]
    assert all(0 <= row["ours"] <= 100 and row["runs"] == 1 and row["ours_ci95"] is None for row in scores)
    assert (document["verdict"], document["because"].endswith("of one seed")) == ("needs compute", True)
    before = (tmp_path / "small" / "results.csv").read_text()
    assert "training:" not in run(*argv)[2]
    assert (tmp_path / "small" / "results.csv").read_text() == before
    rows = list(csv.DictReader(before.splitlines()))
    assert [(row["images"], row["classes"], row["epochs"]) for row in rows] == [("8", "2", "1")] * 2
