"""The study as tables: one row per network, one column per number with its unit in the name, nothing rounded."""

import pandas as pd

from archlab.reports import findings
from archlab.reports.study_files import Study, interval_ms, latency_ms, latency_source, score
from archlab.spec import ArchSpec
from archlab.study.record import Record

__all__ = ["front_table", "kinds_text", "published_table", "trials_table"]

_FRONT = ["study", "digest", "score", "latency_ms", "latency_low_ms", "latency_high_ms", "latency_source",
          "latency_again_ms", "latency_again_low_ms", "latency_again_high_ms", "again", "budget_share", "params",
          "macs", "resolution", "widths", "depths", "kinds", "number", "origin"]  # fmt: skip
_TRIALS = [*_FRONT, "state", "feasible", "quality", "seconds", "error"]
_PUBLISHED = ["study", "model", "family", "digest", "resolution", "top1", "score", "latency_ms", "latency_low_ms",
              "latency_high_ms", "latency_source", "within_budget", "params", "macs"]  # fmt: skip


def front_table(*studies: Study) -> pd.DataFrame:
    """List the fronts, fastest first: what front.csv holds. `budget_share` is the latency over the budget.

    `latency_again_ms` is the second measurement, `again` its verdict: within, over, or crosses the budget.
    """
    rows = [_row(study, trial) for study in studies for trial in findings.front(study)]
    return pd.DataFrame(rows, columns=_FRONT)


def trials_table(study: Study) -> pd.DataFrame:
    """List every trial in order, repeats, skipped and failed ones included."""
    rows = []
    for trial in study.trials:
        known = {"state": trial.state, "feasible": trial.is_feasible, "seconds": trial.seconds, "error": trial.error}
        quality = trial.evaluation.quality if trial.evaluation else None
        rows.append({**_row(study, trial), **known, "quality": quality})
    return pd.DataFrame(rows, columns=_TRIALS)


def published_table(study: Study) -> pd.DataFrame:
    """List the published models beside the search, fastest first; `top1` as published, in per cent."""
    rows = []
    for row in study.run.baselines:
        low, high = row.latency_interval or (None, None)
        rows.append({
            "study": study.name, "model": row.model, "family": row.family, "digest": row.digest,
            "resolution": row.resolution, "top1": row.top1, "score": row.score, "latency_ms": row.latency_ms,
            "latency_low_ms": low, "latency_high_ms": high, "latency_source": row.latency_source,
            "within_budget": findings.keeps_budget(study, row.latency_ms, row.latency_interval),
            "params": row.params, "macs": row.macs,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=_PUBLISHED).sort_values("latency_ms", kind="stable", ignore_index=True)


def kinds_text(spec: ArchSpec) -> str:
    """Write the block kinds of each stage in order, runs counted: ``3 convnext | 2 convnext, 1 sdta``."""
    stages = []
    for stage in spec.stages:
        runs: list[tuple[int, str]] = []
        for block in stage.blocks:
            same = bool(runs) and runs[-1][1] == block.kind
            runs[-1:] = [(runs[-1][0] + 1, block.kind)] if same else [*runs[-1:], (1, block.kind)]
        stages.append(", ".join(f"{times} {kind}" for times, kind in runs) or "no block")
    return " | ".join(stages)


def _row(study: Study, trial: Record) -> dict[str, object]:
    low, high = interval_ms(trial) or (None, None)
    known, spec, ms = trial.evaluation, trial.spec, latency_ms(trial)
    again = findings.confirmed(study).get(str(trial.digest))
    return {
        "study": study.name, "digest": trial.digest, "score": score(trial), "latency_ms": ms,
        "latency_low_ms": low, "latency_high_ms": high, "latency_source": latency_source(trial),
        "latency_again_ms": again.latency_again_ms if again else None,
        "latency_again_low_ms": again.interval_again_ms[0] if again else None,
        "latency_again_high_ms": again.interval_again_ms[1] if again else None,
        "again": again.verdict if again else None,
        "budget_share": None if ms is None else ms / study.plan.budget_ms,
        "params": known.params if known else None, "macs": known.macs if known else None,
        "resolution": spec.resolution if spec else None,
        "widths": "-".join(map(str, spec.widths)) if spec else None,
        "depths": "-".join(map(str, spec.depths)) if spec else None,
        "kinds": kinds_text(spec) if spec else None, "number": trial.number, "origin": trial.origin,
    }  # fmt: skip
