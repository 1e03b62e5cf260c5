"""What do the papers print? Read from tables that are carried beside this file, each value with its source and status.

A value that nobody could confirm in an accessible copy is not carried, so it can never be printed as the paper's.
`data/README.md` says what each table holds and where it comes from.
"""

import csv
import dataclasses
import functools
from pathlib import Path
from typing import Any

from archlab.artifacts.rows import Row, Value

__all__ = ["CARRIED", "PaperValue", "all_values", "beside", "numbers", "values"]

CARRIED = ("verified-source", "digitised", "derived", "weak-source")
"""Statuses that a carried value may have: the first words of its `status`."""

_DATA = Path(__file__).parent / "data"
_TABLES = ("ablations.csv", "networks.csv", "claims.csv")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PaperValue:
    """One number or text of a paper; `rounding` is half a unit of its last printed digit, 0 for a text."""

    paper: str
    item: str
    setting: str
    metric: str
    value: Value
    rounding: float
    unit: str
    source: str
    status: str
    note: str

    def fields(self) -> dict[str, Any]:
        """The paper's half of a `Row`."""
        return {
            "unit": self.unit,
            "paper": self.value,
            "paper_source": self.source,
            "paper_status": self.status,
            "rounding": self.rounding,
            "note": self.note,
        }


@functools.cache
def all_values() -> tuple[PaperValue, ...]:
    """Every carried value, in the order of the tables."""
    return tuple(_read(row) for name in _TABLES for row in _rows(name))


def values(paper: str, item: str, metric: str | None = None) -> tuple[PaperValue, ...]:
    """The values of one item of a paper, e.g. ``("ConvNeXt", "Table 1")``; empty where nothing is confirmed.

    Args:
        paper: EdgeNeXt, EfficientViT-MSRA, EfficientViT-MIT or ConvNeXt.
        item: The item's name as in the tables.
        metric: Only this metric; None gives all.
    """
    found = [value for value in all_values() if (value.paper, value.item) == (paper, item)]
    return tuple(value for value in found if metric in (None, value.metric))


def numbers(paper: str, item: str, metric: str | None = None) -> dict[str, float]:
    """Setting → number of an item of which all values are numbers; the arguments are those of `values`."""
    return {value.setting: float(value.value) for value in values(paper, item, metric)}


def beside(paper: str, item: str, setting: str, metric: str, **ours: Any) -> Row:
    """A row with the paper's value, where one is carried, beside ours.

    Args:
        paper: As in `values`.
        item: As in `values`.
        setting: The setting in the tables' words.
        metric: The metric in the tables' words.
        **ours: The other fields of `Row`; `unit` and `note` replace the paper's.
    """
    found = [value for value in values(paper, item, metric) if value.setting == setting]
    assert len(found) <= 1, f"{paper} {item} {setting} {metric} is carried twice"
    theirs = found[0].fields() if found else {}
    return Row(setting=setting, metric=metric, **(theirs | ours))


def _read(row: dict[str, str]) -> PaperValue:
    value, rounding = _number(row["value"])
    return PaperValue(
        paper=row["paper"],
        item=row["item"],
        setting=row["setting"],
        metric=row["metric"],
        value=value,
        rounding=rounding,
        unit=row["unit"],
        source=row["source"],
        status=row["status"],
        note=row["notes"],
    )


def _number(text: str) -> tuple[Value, float]:
    try:
        value = float(text)
    except ValueError:
        return text, 0.0
    decimals = len(text.partition(".")[2])
    return value, 0.5 * 10.0**-decimals


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
