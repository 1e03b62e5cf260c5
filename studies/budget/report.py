"""Judge whether the fronts keep their budget: by the search's own second measurement, by the audit, and the baseline.

    python studies/budget/report.py DIR

Reads `DIR/audit.csv` and the study folders beside it, as `measure.py` leaves them; writes `DIR/report.md` and
`DIR/budget.svg`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archlab import figures
from archlab.reports import study_files
from archlab.reports.study_files import Study

_ENOUGH = 0.9


def main() -> None:
    """Write the report and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    table = pd.read_csv(folder / "audit.csv", dtype={"digest": str})
    studies = [study_files.read(folder / f"seed-{seed}") for seed in sorted(set(table["seed"]))]
    (folder / "report.md").write_text("\n".join(_text(table, studies)) + "\n")
    (folder / "budget.svg").write_text(figures.svg(_drawn(table, studies[0].plan.budget_ms)))


def _text(table: pd.DataFrame, studies: list[Study]) -> Iterator[str]:
    plan, run = studies[0].plan, studies[0].run
    budget = plan.budget_ms
    yield f"# Five searches under {budget:g} ms on this CPU: is the budget kept?"
    yield ""
    commit = str((run.git or {}).get("hash"))[:12]
    where = f"ONNX Runtime on one thread, {studies[0].device_title}, commit {commit}"
    yield f"Made by `measure.py` and `report.py`: space `{plan.space}`, {plan.trials} trials each, {where}."
    yield "Other work ran on the machine all the while."
    yield ""
    yield "Every network of a front has three numbers: that of the search, the second measurement with which the search"
    yield "ends (one fresh process, random order), and the audit after all searches (a fresh process for each front,"
    yield "all in random order). The baseline takes the plain mean of the wall times of the same runs, measured"
    yield "once and without an interval, for the latency; its fronts were audited in the same way."
    yield ""
    ours, rivals = table[table["in_front"]], table[table["in_baseline"]]
    heads = ["seed", "networks", "within, second", "within, audit", "slowest: search", "second", "audit"]
    heads += ["baseline: within, audit", "baseline: slowest, audit", "anchor, ms"]
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for study in studies:
        seed = study.plan.seed
        mine, theirs = ours[ours["seed"] == seed], rivals[rivals["seed"] == seed]
        anchor = [reading.ms for reading in study.anchor]
        slowest = mine.sort_values("latency_ms").iloc[-1]
        yield (
            f"| {seed} | {len(mine)} | {_share(mine['confirmed_ms'], budget)} | {_share(mine['audit_ms'], budget)} | "
            f"{slowest['latency_ms'] / budget:.1%} | {slowest['confirmed_ms'] / budget:.1%} | "
            f"{slowest['audit_ms'] / budget:.1%} | {_share(theirs['audit_ms'], budget)} | "
            f"{theirs['audit_ms'].max() / budget:.1%} | {min(anchor):.2f}–{max(anchor):.2f} |"
        )
    yield ""
    yield from _sums(ours, rivals, budget)
    yield ""
    moved = (ours["audit_ms"] / ours["latency_ms"] - 1).abs()
    words = json.dumps(ours["audit_quality"].value_counts().to_dict())
    yield (
        f"Between the search's number and the audit's lie {moved.median():.1%} at the median, "
        f"{moved.quantile(0.9):.1%} at the 90th percentile, {moved.max():.1%} at most. Quality of the audit: {words}."
    )


def _sums(ours: pd.DataFrame, rivals: pd.DataFrame, budget: float) -> Iterator[str]:
    slowest = ours.loc[ours.groupby("seed")["latency_ms"].idxmax()]
    used = slowest["latency_ms"] / budget
    yield "| | within, second measurement | within, audit | slowest uses at least 90 % of the budget |"
    yield "|---|---|---|---|"
    yield (
        f"| archlab | {_share(ours['confirmed_ms'], budget)} | {_share(ours['audit_ms'], budget)} | "
        f"{(used >= _ENOUGH).sum()} of {len(used)} fronts (least: {used.min():.1%}) |"
    )
    theirs = rivals.loc[rivals.groupby("seed")["wall_mean_ms"].idxmax()]["wall_mean_ms"] / budget
    yield (
        f"| baseline: wall mean, once | – | {_share(rivals['audit_ms'], budget)} | "
        f"{(theirs >= _ENOUGH).sum()} of {len(theirs)} fronts (least: {theirs.min():.1%}) |"
    )


def _share(times: pd.Series, budget: float) -> str:
    return f"{(times <= budget).sum()} of {len(times)}"


def _drawn(table: pd.DataFrame, budget: float) -> Figure:
    drawn = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.add_subplot()
    near = table[table["latency_ms"] > 0.5 * budget].sort_values(["seed", "latency_ms"]).reset_index()
    ours, rivals = near[near["in_front"]], near[near["in_baseline"] & ~near["in_front"]]
    axes.scatter(ours.index, ours["latency_ms"], marker="_", s=80, color="#111827", label="search")
    axes.scatter(ours.index, ours["confirmed_ms"], s=22, color="#1d4ed8", label="second measurement")
    axes.scatter(ours.index, ours["audit_ms"], s=22, marker="D", color="#059669", label="audit")
    axes.scatter(rivals.index, rivals["wall_mean_ms"], marker="_", s=80, color="#b45309", label="baseline: wall mean")
    axes.scatter(rivals.index, rivals["audit_ms"], s=22, marker="x", color="#b45309", label="baseline: audit")
    for edge in np.flatnonzero(np.diff(near["seed"])) + 0.5:
        axes.axvline(edge, color="#d1d5db", linewidth=0.8)
    axes.axhline(budget, color="#b91c1c", linewidth=1)
    axes.set_xticks([])
    axes.set_xlabel("networks of the fronts above half the budget, by seed")
    axes.set_ylabel("latency, ms")
    axes.legend(fontsize=8, ncols=3)
    return drawn


if __name__ == "__main__":
    main()
