"""The tables of the benchmark: one row per training, one per epoch; written by many processes, joined across machines.

python studies/hybrid_bench/bench_table.py FOLDER [FOLDER ...]      # adds the rows of other folders to this one
"""

import argparse
import contextlib
import csv
import fcntl
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_networks import HERE

from archlab.files import append_line, write_text

__all__ = ["CURVES", "RESULTS", "add", "append", "locked", "main", "read"]

RESULTS = "results.csv"
CURVES = "curves.csv"
COLUMNS = {
    RESULTS: (
        *("name", "origin", "half", "recipe", "seed", "top1", "val_loss", "params", "macs", "activations"),
        *("data", "images", "epochs", "resolution", "stem_divisor", "seconds", "where", "trouble", "digest", "small"),
    ),
    CURVES: ("name", "recipe", "seed", "epoch", "train_loss", "val_loss", "top1", "seconds"),
}
"""File → columns. `digest` is that of the network at its own resolution, `small` of the network as trained; `trouble`
says why a training has no accuracy; `seconds` is the time on `where`, beside whatever else ran there."""
_KEYS = {RESULTS: ("recipe", "name", "seed"), CURVES: ("recipe", "name", "seed", "epoch")}


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where it is not there yet."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(folder: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Add rows to the tables of a folder, or replace those of the same training; in the order of their keys."""
    with locked(folder / ".lock", waits=True):
        for file, new in rows.items():
            keys = _KEYS[file]
            old = {tuple(row[k] for k in keys): row for row in read(folder / file)}
            both = {**old, **{tuple(str(row[k]) for k in keys): {k: str(v) for k, v in row.items()} for row in new}}
            ordered = (both[key] for key in sorted(both, key=_order))
            write_text(folder / file, _csv(COLUMNS[file], ordered, has_header=True))


def append(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a table that one process writes; a new one begins with its columns."""
    append_line(path, _csv(columns, rows, has_header=not path.is_file()))


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, has_header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if has_header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _order(key: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in key)


@contextlib.contextmanager
def locked(path: Path, *, waits: bool = False) -> Iterator[bool]:
    """Hold a lock that ends with the process at the latest; gives False where another holds it and we do not wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def main() -> None:
    """Join tables."""
    parser = argparse.ArgumentParser(description="Add the rows of other folders to the tables of the benchmark.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=HERE)
    asked = parser.parse_args()
    for folder in asked.folders:
        add(asked.out, {file: read(folder / file) for file in COLUMNS})


if __name__ == "__main__":
    main()
