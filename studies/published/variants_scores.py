"""How do scores without training rank the published networks that archlab can build? Writes variants_scores.csv.

    python studies/published/variants_scores.py

Every published network of every family with an accuracy on ImageNet-1k alone, up to five billion multiply-adds. They
were trained by different recipes, so no score could reach 1. `published` has learnt from these very networks and is
left out; what it is worth on families it has not seen is in `summary.csv`.
"""

import dataclasses
from pathlib import Path

import pandas as pd

from archlab.api.correlating import correlate_rows
from archlab.families import FAMILIES
from archlab.files import write_text
from archlab.proxy import PROXIES
from archlab.proxy.evidence import table
from archlab.proxy.judging import Correlation

__all__ = ["TABLE", "main"]

TABLE = Path(__file__).with_name("variants_scores.csv")
_MOST_MACS = 5e9


def main() -> None:
    """Score all, and write a row per score and set of pairs."""
    rows = [row for family in FAMILIES.values() for row in family.published if row.top1 and row.macs <= _MOST_MACS]
    networks = pd.DataFrame({"model": [row.name for row in rows], "top1": [row.top1 for row in rows]})
    names = [name for name, row in PROXIES.items() if not row.trains and name != "published"]
    source = f"{len(networks)} published ImageNet-1k accuracies, recipes differ, studies/published"
    found = (Correlation(**row) for row in correlate_rows(networks, proxies=names))
    write_text(TABLE, table(dataclasses.replace(row, source=source) for row in found))


if __name__ == "__main__":
    main()
