"""What is known of the scores: the trained benchmark that comes with the package, and what came out of judging by it.

`hybrid_bench.json.gz` holds networks that were trained alike, their accuracies per seed, and their costs and latencies
as trained; `archlab proxy correlate` scores them anew. `correlations.csv` holds the correlations themselves, for those
who cannot wait: the report of a search tells them beside its scores. Both are written by
`studies/hybrid_bench/ship_bench.py`, never by hand.
"""

import csv
import dataclasses
import functools
import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archlab.errors import StudyError, four_parts
from archlab.proxy.judging import Correlation
from archlab.spec import ArchSpec

__all__ = [
    "BENCHMARK",
    "CORRELATIONS",
    "Benchmark",
    "Trained",
    "known_correlations",
    "pack",
    "read_table",
    "shipped_benchmark",
    "table",
    "unpack",
]

_DATA = Path(__file__).parent / "data"
BENCHMARK = _DATA / "hybrid_bench.json.gz"
CORRELATIONS = _DATA / "correlations.csv"
_COLUMNS = ("proxy", "part", "tau", "low", "high", "pairs", "networks", "spearman", "seconds", "source")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A network of the benchmark. `spec` is the full one; `macs` and `latency_ms` are those of the network as trained.

    `top1` (%) has one value per seed; `half` is what the network may be used for, `tune` or `report`.
    """

    name: str
    origin: str
    half: str
    macs: int
    latency_ms: float | None
    top1: tuple[float, ...]
    spec: ArchSpec


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """Networks trained alike; `recipe` says how, in words."""

    recipe: str
    networks: tuple[Trained, ...]


def pack(benchmark: Benchmark) -> bytes:
    """The bytes of the file; the same benchmark, the same bytes."""
    document = {
        "recipe": benchmark.recipe,
        "networks": [
            {field.name: _plain(getattr(one, field.name)) for field in dataclasses.fields(one)}
            for one in benchmark.networks
        ],
    }
    return gzip.compress(json.dumps(document, separators=(",", ":")).encode(), mtime=0)


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, ArchSpec) else value


def unpack(data: bytes) -> Benchmark:
    """What `pack` packed."""
    document = json.loads(gzip.decompress(data))
    networks = (
        Trained(**{**row, "top1": tuple(row["top1"]), "spec": ArchSpec.from_dict(row["spec"], where=row["name"])})
        for row in document["networks"]
    )
    return Benchmark(recipe=document["recipe"], networks=tuple(networks))


def shipped_benchmark() -> Benchmark:
    """The benchmark that comes with the package.

    Raises:
        StudyError: Where none does.
    """
    if not BENCHMARK.is_file():
        raise StudyError(
            four_parts(
                "no trained benchmark comes with this version",
                given="no table of networks",
                allowed="a CSV of your own networks with the columns model and top1",
                do="give one: archlab proxy correlate NETWORKS.csv",
            )
        )
    return unpack(BENCHMARK.read_bytes())


def table(rows: Iterable[Correlation]) -> str:
    """Correlations as CSV; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        values = row.to_dict()
        writer.writerow([_cell(values[column]) for column in _COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else value


def known_correlations(proxy: str) -> tuple[Correlation, ...]:
    """How well a score, a name of `PROXIES`, is known to rank networks, by part and source; empty: nobody has tried.

    Of the trained benchmark it is told in the half that nothing was chosen on.
    """
    return tuple(row for row in _known() if row.proxy == proxy)


@functools.cache
def _known() -> tuple[Correlation, ...]:
    return read_table(CORRELATIONS)


def read_table(path: Path) -> tuple[Correlation, ...]:
    """What `table` wrote; more columns do not matter, and a file that is not there has no rows."""
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(_correlation(row) for row in csv.DictReader(file))


def _correlation(row: dict[str, str]) -> Correlation:
    spearman, seconds = (float(row[name]) if row[name] else None for name in ("spearman", "seconds"))
    return Correlation(
        proxy=row["proxy"],
        part=row["part"],
        tau=float(row["tau"]),
        low=float(row["low"]),
        high=float(row["high"]),
        pairs=int(row["pairs"]),
        networks=int(row["networks"]),
        spearman=spearman,
        seconds=seconds,
        source=row["source"],
    )
