"""Search five times with different seeds on this machine, then measure every front once more: is the budget kept?

    python studies/budget/measure.py OUT [--budget-ms 20] [--seeds 5] [--trials 40]

Each search runs as `archlab search` does and confirms its front itself; they share a measurement cache, as the searches
of one user do, which the second measurements never see. The audit comes after all searches: every network of every
front, and of the baseline's fronts, with a fresh process for each study, studies and networks in random order. The
baseline knows only the plain mean of the wall times of the same runs, measured once: it takes a network for feasible
when that mean is within the budget.

OUT gets a study folder per seed and `audit.csv`; run the command again and it goes on where it stopped.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archlab.pareto import nondominated
from archlab.reports import study_files
from archlab.study import confirm, result
from archlab.study.anchor import read, usual_ms
from archlab.study.record import Record

FIELDS = [
    "seed", "digest", "in_front", "in_baseline", "score", "latency_ms", "upper_ms", "wall_mean_ms",
    "confirmed_ms", "audit_ms", "audit_low_ms", "audit_high_ms", "audit_quality", "audit_drift",
]  # fmt: skip
_SEARCH = "import sys; from archlab.cli import main; main(sys.argv[1:])"


def main() -> None:
    """Search what is missing, then audit what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget-ms", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    asked = parser.parse_args()
    folders = [asked.out / f"seed-{seed}" for seed in range(asked.seeds)]
    for seed, folder in enumerate(folders):
        _search(folder, seed, asked.budget_ms, asked.trials)
    _audit(folders, asked.out / "audit.csv")


def _search(folder: Path, seed: int, budget_ms: float, trials: int) -> None:
    words = [sys.executable, "-c", _SEARCH, "search", "--budget-ms", f"{budget_ms:g}", "--device", "cpu"]
    words += ["--trials", str(trials), "--seed", str(seed), "--out", str(folder)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    cache = (folder.parent / "cache.sqlite").resolve()
    with (folder.parent / f"seed-{seed}.log").open("a") as log:
        subprocess.run(words, check=True, stdout=log, stderr=log, env={**os.environ, "ARCHLAB_CACHE": str(cache)})
    print(f"searched {folder}", flush=True)


def _audit(folders: Sequence[Path], path: Path) -> None:
    done = set()
    if path.exists():
        with path.open() as stream:
            done = {(line["seed"], line["digest"]) for line in csv.DictReader(stream)}
    with path.open("a", newline="") as stream:
        table = csv.DictWriter(stream, FIELDS)
        if not done:
            table.writeheader()
        for folder in random.Random(0).sample(folders, len(folders)):
            found = list(_rows(folder))
            random.Random(len(found)).shuffle(found)
            waiting = {row["digest"]: row for row, _ in found if (str(row["seed"]), row["digest"]) not in done}
            records = [record for row, record in found if row["digest"] in waiting]
            anchor_ms = usual_ms(read(folder / "anchor.jsonl"))
            for again in confirm.fresh_process(study_files.read(folder).plan, records, anchor_ms) if records else ():
                row = waiting[again["digest"]] | _audited(again)
                table.writerow(row)
                stream.flush()
                print(f"{row['seed']} {row['digest']} {row['latency_ms']:.3f} {row['audit_ms']:.3f}", flush=True)


def _audited(again: Mapping[str, Any]) -> dict[str, Any]:
    low, high = again["latency_again_interval"]
    return {
        "audit_ms": again["latency_again_ms"],
        "audit_low_ms": low,
        "audit_high_ms": high,
        "audit_quality": again["quality"],
        "audit_drift": again["drift"],
    }


def _rows(folder: Path) -> Iterator[tuple[dict[str, Any], Record]]:
    """The networks of a study's front and of the baseline's, without the audit's number."""
    study = study_files.read(folder)
    again = {row.digest: row.latency_again_ms for row in confirm.read(folder / "confirmed.jsonl")}
    front = {record.digest for record in result.front(study.trials, study.plan.objectives)}
    rivals = {record.digest for record in baseline_front(study.trials, study.plan.budget_ms)}
    for record in result.distinct(study.trials):
        if record.digest in front | rivals and record.evaluation is not None:
            values = record.evaluation
            yield (
                {
                    "seed": study.plan.seed,
                    "digest": record.digest,
                    "in_front": record.digest in front,
                    "in_baseline": record.digest in rivals,
                    "score": values.values["score"],
                    "latency_ms": values.values["latency_ms"],
                    "upper_ms": values.upper("latency_ms"),
                    "wall_mean_ms": values.wall_mean_ms,
                    "confirmed_ms": again.get(str(record.digest)),
                },
                record,
            )


def baseline_front(trials: Sequence[Record], budget_ms: float) -> list[Record]:
    """The front as it would be with the plain mean of the wall times as the latency, and nothing else known."""
    known = []
    for record in result.distinct(trials):
        found = record.evaluation
        if found is not None and found.wall_mean_ms is not None and "score" in found.values:
            known.append((record, found.values["score"], found.wall_mean_ms))
    feasible = [row for row in known if row[2] <= budget_ms]
    values = np.array([[score, ms] for _, score, ms in feasible]).reshape(-1, 2)
    return [row[0] for row, keep in zip(feasible, nondominated(values, (True, False)), strict=True) if keep]


if __name__ == "__main__":
    main()
