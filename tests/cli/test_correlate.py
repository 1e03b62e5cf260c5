"""archlab proxy correlate: what a table of one's own gives, on the screen and as JSON, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlab.proxy import evidence

MODELS = ["efficientvit_m0", "efficientvit_m1", "efficientvit_m2", "efficientvit_m3", "efficientvit_m4",
          "efficientvit_m5", "edgenext_xx_small", "convnext_atto"]  # fmt: skip
PARTS = ["all pairs", "equal cost", "equal latency"]


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    """Eight networks with made-up accuracies and latencies: each a point better than the one before, and as fast."""
    path = tmp_path / "networks.csv"
    rows = [f"{name}, {60 + i}, 2.0" for i, name in enumerate(MODELS)]
    path.write_text("\n".join(["model, top1, latency_ms", *rows]) + "\n")
    return path


def test_json_has_a_row_per_score_and_part(networks: Path, answer: Callable[..., Any]) -> None:
    """M0 to M5 grow by name in MACs; of the other two we only know that they count."""
    rows = answer("proxy", "correlate", networks, "--proxy", "az_complexity")
    keys = {"proxy", "part", "tau", "low", "high", "pairs", "networks", "spearman", "seconds", "source"}
    assert {frozenset(row) for row in rows} == {frozenset(keys)}
    assert sorted(row["part"] for row in rows) == sorted(PARTS * 3)
    assert {row["proxy"] for row in rows} == {"az_complexity", "params", "macs"}
    told = {row["part"]: row for row in rows if row["proxy"] == "macs"}
    assert told["all pairs"]["pairs"] == told["equal latency"]["pairs"] == 28
    assert 0 < told["equal cost"]["pairs"] < 28
    assert all(-1 <= row["low"] <= row["tau"] <= row["high"] <= 1 for row in rows)


def test_people_get_a_line_per_score(networks: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run("proxy", "correlate", networks, "--proxy", "params")
    assert status == 0, err
    lines = out.splitlines()
    assert all(word in lines[1] for word in ("score", "equal cost", "equal latency, 28 pairs", "Spearman", "networks"))
    assert sorted(line.split()[0] for line in lines[2:4]) == ["macs", "params"]
    assert "8 of 8 networks scored" in err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("top1", "accuracy"), "no column top1; given: columns model, accuracy, latency_ms"),
        (lambda text: text.replace("convnext_atto", "convnext_ato"), "did you mean 'convnext_atto'"),
        (lambda text: "\n".join(text.splitlines()[:8]), "too few networks"),
        (lambda text: text.replace(" 6", " 60, 2.0,"), "do not tell the networks apart"),
    ],
    ids=["column", "model", "few", "equal"],
)
def test_refused(change: Callable[[str], str], told: str, networks: Path, refused: Callable[..., str]) -> None:
    networks.write_text(change(networks.read_text()))
    assert told in refused("proxy", "correlate", networks, "--proxy", "params")


def test_without_the_projects_networks(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "BENCHMARK", tmp_path / "none.json.gz")
    assert "give one: archlab proxy correlate NETWORKS.csv" in refused("proxy", "correlate")
