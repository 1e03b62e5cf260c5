"""What ships with the package: written and read back; told where it is there, and nothing made up where it is not."""

from pathlib import Path

import pytest

from archlab.errors import StudyError
from archlab.families import published
from archlab.proxy import PROXIES, evidence
from archlab.proxy.evidence import (
    BENCHMARK,
    CORRELATIONS,
    Benchmark,
    Trained,
    known_correlations,
    pack,
    read_table,
    shipped_benchmark,
    table,
    unpack,
)
from archlab.proxy.judging import PARTS, Correlation


def network(name: str, half: str = "report", **changes: object) -> Trained:
    facts = {"origin": "published", "half": half, "macs": 7, "latency_ms": 1.5, "top1": (50.0,), **changes}
    return Trained(name=name, spec=published(name).spec, **facts)  # type: ignore[arg-type]


def row(proxy: str = "zen", part: str = "equal cost", **changes: object) -> Correlation:
    facts = {"tau": 0.5, "low": 0.25, "high": 0.75, "pairs": 9, "networks": 8, **changes}
    return Correlation(proxy=proxy, part=part, **facts)  # type: ignore[arg-type]


def test_a_benchmark_comes_back_from_its_bytes() -> None:
    some = (network("efficientvit_m0", top1=(50.0, 51.0)), network("convnext_atto", "tune", latency_ms=None))
    found = Benchmark(recipe="made up", networks=some)
    assert unpack(pack(found)) == found
    assert pack(found) == pack(unpack(pack(found)))


def test_correlations_come_back_from_their_table(tmp_path: Path) -> None:
    rows = (row(spearman=0.5, seconds=0.25, source="a, b"), row("naswot"))
    (tmp_path / "some.csv").write_text(table(rows))
    assert read_table(tmp_path / "some.csv") == rows
    assert read_table(tmp_path / "none.csv") == ()


def test_what_is_known_of_a_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part and source of it, in the order of the table, and of no other score."""
    rows = [row(part="all pairs"), row(source="benchmark"), row(tau=0.3, source="published"), row("naswot")]
    path = tmp_path / "some.csv"
    path.write_text(table(rows))
    monkeypatch.setattr(evidence, "CORRELATIONS", path)
    evidence._known.cache_clear()
    assert known_correlations("zen") == tuple(rows[:3])
    assert known_correlations("zico") == ()
    evidence._known.cache_clear()


def test_what_ships_is_sound() -> None:
    """Names and parts that exist, values in order; `data/` may hold no rows, never wrong ones."""
    for one in read_table(CORRELATIONS):
        assert one.proxy in PROXIES
        assert one.part in PARTS
        assert -1 <= one.low <= one.tau <= one.high <= 1
        assert one.pairs > 0
        assert one.source
    if BENCHMARK.is_file():
        assert BENCHMARK.stat().st_size < 400_000
        assert sum(one.half == "report" for one in shipped_benchmark().networks) >= 8


def test_no_benchmark_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "BENCHMARK", tmp_path / "none.json.gz")
    with pytest.raises(StudyError, match=r"no trained benchmark comes with this version; given: .*; allowed: .*; give"):
        shipped_benchmark()
