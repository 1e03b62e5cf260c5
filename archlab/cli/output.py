"""What every command prints: a table for people or one JSON document for machines."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["Json", "emit", "note", "notes", "table"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; logs go to stderr.")]


def emit(document: object) -> None:
    """Print one JSON document; numbers that JSON does not know become null."""
    sys.stdout.write(json.dumps(_finite(document), indent=2, ensure_ascii=False) + "\n")


def note(line: str) -> None:
    """Print one line on stderr."""
    sys.stderr.write(line + "\n")


def notes(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print what rows say beside their values on stderr, each line once."""
    for line in dict.fromkeys(row["note"] for row in rows if row.get("note")):
        note(f"archlab: note: {line}")


def table(title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of text as a table.

    Args:
        title: What the table shows; empty for none.
        columns: Key in the row → heading; a heading that ends in a unit or starts with ``#`` is set flush right.
        rows: One mapping per line; values are printed with `str`, None as a dash.
    """
    grid = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading in columns.values():
        right = heading.startswith("#")
        grid.add_column(heading.lstrip("#"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*("–" if row.get(key) is None else str(row[key]) for key in columns))
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(grid)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
