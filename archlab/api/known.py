"""Networks of known accuracy: a user's table with the columns model, top1 and, if known, latency_ms."""

import csv
import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from archlab.api.target import Target, resolve
from archlab.cost.count import count
from archlab.errors import ArchlabError, PlanError, four_parts
from archlab.spec import ArchSpec

__all__ = ["KnownNetwork", "known_networks"]

_NEEDED = ("model", "top1")
_COLUMNS = (*_NEEDED, "latency_ms", "seed")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class KnownNetwork:
    """A network and its accuracies, `top1` (%) with a value per training; `spec` is None for networks of timm."""

    model: str
    spec: ArchSpec | None
    macs: int
    top1: tuple[float, ...]
    latency_ms: float | None

    def target(self) -> Target:
        """The network; one of timm is built anew, so that a long table does not fill the memory."""
        if self.spec is None:
            return resolve(self.model)
        return Target(name=self.model, spec=self.spec, family=None, resolution=self.spec.resolution)


def known_networks(given: str | Path | pd.DataFrame, on_note: Callable[[str], object]) -> list[KnownNetwork]:
    """Read a table; rows of one network are put together, in the order of the table.

    Args:
        given: The table, or its path.
        on_note: Gets a line about each network that cannot be counted, and is left out.

    Raises:
        PlanError: For a missing file or column, or a cell that is no number or out of range.
        ArchlabError: For a model that does not exist, as `resolve` raises it.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    facts: dict[str, tuple[ArchSpec | None, int | None]] = {}
    digests: dict[str, str] = {}
    for number, row in enumerate(_rows(given), start=1):
        top1 = _number(row["top1"], "top1", number, 0.0, 100.0)
        latency = row.get("latency_ms") or ""
        latency_ms = _number(latency, "latency_ms", number, 0.0, math.inf) if latency else None
        model = row["model"]
        if model not in digests:
            target = resolve(model)
            key = digests[model] = model if target.spec is None else target.spec.digest
            if key not in facts:
                facts[key] = target.spec, _macs(target, on_note)
        rows.setdefault(digests[model], []).append({"model": model, "top1": top1, "latency_ms": latency_ms})
    found = [_network(spec, macs, rows[key]) for key, (spec, macs) in facts.items() if macs is not None]
    _check_percent(found)
    return found


def _macs(target: Target, on_note: Callable[[str], object]) -> int | None:
    try:
        return count(target.trace()).macs
    except ArchlabError as error:
        on_note(f"{target.name}: left out: {error}")
        return None


def _network(spec: ArchSpec | None, macs: int, rows: list[dict[str, Any]]) -> KnownNetwork:
    timed = [row["latency_ms"] for row in rows if row["latency_ms"] is not None]
    return KnownNetwork(
        model=rows[0]["model"],
        spec=spec,
        macs=macs,
        top1=tuple(row["top1"] for row in rows),
        latency_ms=statistics.fmean(timed) if timed else None,
    )


def _rows(given: str | Path | pd.DataFrame) -> Iterable[Mapping[str, str]]:
    """Rows of text, blanks around it removed; what is missing is empty."""
    if isinstance(given, pd.DataFrame):
        columns, rows = list(map(str, given.columns)), given.astype(object).where(given.notna(), "").to_dict("records")
    elif isinstance(given, str | Path):
        columns, rows = _read(Path(given))
    else:
        raise PlanError(
            four_parts(
                "networks is wrong",
                given=f"{repr(given)[:60]} ({type(given).__name__})",
                allowed="a path or a DataFrame",
                do="give one, or leave it out for the project's own networks",
            )
        )
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise PlanError(
            four_parts(
                f"the table of networks has no column {missing[0]}",
                given=f"columns {', '.join(columns) or 'none'}",
                allowed=f"{', '.join(_COLUMNS)}; the last two may be missing",
                do="name the columns in the first line",
            )
        )
    return [
        {str(key).strip(): str(value if value is not None else "").strip() for key, value in row.items()}
        for row in rows
    ]


def _read(path: Path) -> tuple[list[str], list[dict[Any, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows: list[dict[Any, Any]] = list(reader)
            return [str(name).strip() for name in reader.fieldnames or ()], rows
    except FileNotFoundError:
        trouble = "no such table of networks"
    except (UnicodeDecodeError, IsADirectoryError, csv.Error):
        trouble = f"{path.name} is no table"
    raise PlanError(
        four_parts(
            trouble,
            given=path,
            allowed="a CSV in UTF-8 with the columns model and top1",
            do="check the path, or leave it out for the project's own networks",
        )
    )


def _number(text: str, column: str, row: int, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if low < value < high or (column == "top1" and value in (low, high)):
        return value
    allowed = "a percentage, 0 to 100" if column == "top1" else "milliseconds above 0, or nothing"
    raise PlanError(
        four_parts(
            f"{column} is wrong in row {row} of the table of networks",
            given=text or "an empty cell",
            allowed=allowed,
            do="mend the cell",
        )
    )


def _check_percent(networks: list[KnownNetwork]) -> None:
    best = max((max(one.top1) for one in networks), default=100.0)
    if best <= 1:
        raise PlanError(
            four_parts(
                "the accuracies are fractions",
                given=f"a best top1 of {best:g}",
                allowed="percent, 0 to 100",
                do="multiply the column top1 by 100",
            )
        )
