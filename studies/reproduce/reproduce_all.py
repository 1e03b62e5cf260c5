"""Run the papers' tables and figures again, all or some, and write down what came out.

    python studies/reproduce/reproduce_all.py [--only NAME ...] [--device cpu] [--data DATA] [--count-only]

Written beside this file: `rows/NAME.csv`, the paper's value beside ours; `claims.csv`, one row per claim with its
verdict; `outcomes.csv`, one row per artifact; then `verdict_report.py` writes `report.md` and the figures. What is
not asked for keeps its files. DATA are the images of `studies/trained`, for the artifacts that look into what was
trained there.
"""

import argparse
import csv
import io
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import verdict_report

from archlab.api.papers import Reproduction, artifact_rows, reproduce
from archlab.errors import ArchlabError
from archlab.files import write_text

__all__ = ["main"]

HERE = Path(__file__).parent
ROW = (
    *("setting", "metric", "unit", "paper", "ours", "ours_low", "ours_high", "runs", "is_small_scale"),
    *("paper_source", "paper_status", "ours_source", "lack", "note"),
)
OUTCOME = ("artifact", "verdict", "because", "device", "seconds", "source")
CLAIM = ("artifact", "claim", "verdict", "detail")


def main() -> None:
    """Run, write, report."""
    names = [row["artifact"] for row in artifact_rows()]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="names of artifacts")
    parser.add_argument("--device", default="cpu", help="where latencies are measured")
    parser.add_argument("--count-only", action="store_true", help="measure nothing")
    parser.add_argument("--trained", type=Path, default=HERE.parent / "trained")
    parser.add_argument("--data", help="the images of the trained networks: an .npz, or cifar10:DIR")
    asked = parser.parse_args()
    failed = []
    for name in asked.only:
        _say(name)
        try:
            _run(name, asked)
        except ArchlabError as error:
            failed.append(name)
            _say(f"{name} failed: {error}")
    verdict_report.main()
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _run(name: str, asked: argparse.Namespace) -> None:
    began = time.monotonic()
    device = None if asked.count_only else asked.device
    found = reproduce(name, device=device, trained=asked.trained, data=asked.data, tell=_say)
    seconds = round(time.monotonic() - began, 1)
    _say(f"{name}: {found.verdict} ({found.because})")
    _keep(name, found, device or "none", seconds)


def _keep(name: str, found: Reproduction, device: str, seconds: float) -> None:
    document = found.to_dict()
    _write(HERE / "rows" / f"{name}.csv", ROW, [_flat(row) for row in document["rows"]])
    claims = [{"artifact": name, **claim} for claim in document["claims"]]
    _replace(HERE / "claims.csv", CLAIM, name, claims)
    outcome = {**document, "device": device, "seconds": seconds}
    _replace(HERE / "outcomes.csv", OUTCOME, name, [{key: outcome[key] for key in OUTCOME}])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row["ours_ci95"] or ("", "")
    return {**{key: row.get(key) for key in ROW}, "ours_low": low, "ours_high": high}


def _replace(path: Path, columns: Sequence[str], name: str, rows: list[dict[str, Any]]) -> None:
    """Put the rows of an artifact in the place of its old ones; the order is that of the table."""
    order = [row["artifact"] for row in artifact_rows()]
    kept = [row for row in verdict_report.read(path) if row["artifact"] != name and row["artifact"] in order]
    _write(path, columns, sorted([*kept, *rows], key=lambda row: order.index(row["artifact"])))


def _write(path: Path, columns: Sequence[str], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
