"""Judge the measurements under load: which are right, which say of themselves that they are not, is the order kept?

    python studies/noise/report.py DIR

Reads `DIR/loaded.csv` and, where it is there, `DIR/unprivileged.csv`, as `measure.py` writes them; writes
`DIR/report.md` and `DIR/noise.svg`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archlab import figures

_NEAR = 0.05
_NEEDED = 16
_TITLES = {
    "loaded": "with precedence granted (root, or CAP_SYS_NICE)",
    "unprivileged": "precedence refused, as to an ordinary user",
}


def main() -> None:
    """Write the report and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in _TITLES if (folder / f"{name}.csv").exists()}
    text = ["# Three models, twenty times each, while other processes load every core", "", *_head(tables["loaded"])]
    for name, table in tables.items():
        text += ["", f"## The protocol, {_TITLES[name]}", "", *_section(table)]
    (folder / "report.md").write_text("\n".join(text) + "\n")
    (folder / "noise.svg").write_text(figures.svg(_drawn(tables)))


def _head(table: pd.DataFrame) -> list[str]:
    busy = table.groupby("load")["load_1min"].median()
    without, with_it = (f"{busy[load]:.1f}" for load in ("none", "both cores"))
    return [
        "Made by `measure.py` and `report.py`. The load: two processes that multiply 1024 × 1024 matrices and two that",
        "copy 64 MiB to and fro, each in a session of its own. The truth for a model is the median over the rounds",
        "without that load of the CPU-time median of all runs; others used the machine meanwhile, so it was never idle",
        f"(load averages over one minute, medians: {without} without, {with_it} with the load).",
        "",
        "The protocol's number is `median_ms` of `archlab measure`; the baseline is the plain mean of the wall times",
        "of the same runs. A deviation is the number over the truth, less one.",
    ]


def _section(table: pd.DataFrame) -> Iterator[str]:
    truth = truths(table)
    loaded = table[table["load"] == "both cores"]
    heads = ["model", "truth", "spread of the truth", "ok", "ok within 5 %", "ok: worst", "all: worst"]
    yield f"| {' | '.join([*heads, 'wall mean within 5 %', 'wall mean: worst'])} |"
    yield "|" + "---|" * 9
    for model in truth.index:
        rows = loaded[loaded["model"] == model]
        calm = table[(table["load"] == "none") & (table["model"] == model)]["cpu_median_ms"]
        ours, mean = rows["median_ms"] / truth[model] - 1, rows["wall_mean_ms"] / truth[model] - 1
        good = ours[rows["quality"] == "ok"]
        yield (
            f"| {model} | {truth[model]:.3f} ms | {calm.std() / truth[model]:.1%} | {len(good)} of {len(rows)} | "
            f"{(good.abs() < _NEAR).sum()} of {len(good)} | {_worst(good)} | {_worst(ours)} | "
            f"{(mean.abs() < _NEAR).sum()} of {len(rows)} | {_worst(mean)} |"
        )
    yield ""
    pairs = truth.iloc[1:].to_numpy() / truth.iloc[:-1].to_numpy() - 1
    yield f"The models lie {' and '.join(f'{pair:.0%}' for pair in pairs)} apart. " + _orders(loaded, truth)
    yield ""
    yield _verdict(loaded, truth)
    yield ""
    yield _witnessed(loaded, truth)


def truths(table: pd.DataFrame) -> pd.Series:
    """The CPU-time median of the rounds without load, per model, fastest first."""
    calm: pd.DataFrame = table[table["load"] == "none"]
    return calm.groupby("model")["cpu_median_ms"].median().sort_values()


def _orders(loaded: pd.DataFrame, truth: pd.Series) -> str:
    def changed(column: str) -> int:
        wide = loaded.pivot_table(index="round", columns="model", values=column)[list(truth.index)]
        return int((np.diff(wide.to_numpy(), axis=1) <= 0).any(axis=1).sum())

    def overlap(column: str) -> str:
        ends = loaded.groupby("model")[column].agg(["min", "max"]).loc[truth.index]
        is_apart = (ends["max"].to_numpy()[:-1] < ends["min"].to_numpy()[1:]).all()
        return "nor do models overlap between rounds" if is_apart else "models overlap between rounds"

    rounds = loaded["round"].nunique()
    ours, mean = (f"{changed(name)} of {rounds}" for name in ("median_ms", "wall_mean_ms"))
    return (
        f"Rounds in which the order changes: {ours} by the protocol ({overlap('median_ms')}), "
        f"{mean} by the mean of the wall times ({overlap('wall_mean_ms')})."
    )


def _verdict(loaded: pd.DataFrame, truth: pd.Series) -> str:
    good = loaded[loaded["quality"] == "ok"]
    counts = good.groupby("model").size().reindex(truth.index, fill_value=0)
    off = (good["median_ms"] / [float(truth[model]) for model in good["model"]] - 1).abs()
    parts = [
        f"at least {_NEEDED} of 20 ok: {'yes' if (counts >= _NEEDED).all() else 'no'} (the fewest: {counts.min()})",
        f"every ok one within 5 %: {'yes' if (off < _NEAR).all() else 'no'} ({(off < _NEAR).sum()} of {len(off)})",
    ]
    return "Targets: " + "; ".join(parts) + "."


def _witnessed(loaded: pd.DataFrame, truth: pd.Series) -> str:
    """What became of the same runs where the witness is not asked: the CPU-time median of all of them."""
    off = (loaded["cpu_median_ms"] / loaded["model"].map(truth) - 1).abs()
    ratio = loaded["witness_ms"] / loaded["witness_usual_ms"]
    why = ", ".join(f"{reason} ({times})" for reason, times in loaded["doubt"].value_counts().items())
    calm = loaded["calm_share"]
    return (
        f"The CPU-time median of all runs, calm or not, lies within 5 % in {(off < _NEAR).sum()} of {len(off)} (worst "
        f"{off.max():.1%} off). The witness took {ratio.min() - 1:+.0%} to {ratio.max() - 1:+.0%} more than usual; "
        f"{calm.median():.0%} of the runs counted at the median, {calm.min():.0%} at the least. "
        f"Doubts about those that are not ok: {why or 'none'}."
    )


def _worst(deviations: pd.Series) -> str:
    values = deviations.to_numpy(dtype=float)
    return f"{values[np.abs(values).argmax()]:+.1%}" if len(values) else "–"


def _drawn(tables: dict[str, pd.DataFrame]) -> Figure:
    drawn = Figure(figsize=(9, 3.2 * len(tables)), layout="constrained")
    FigureCanvasAgg(drawn)
    for place, (name, table) in enumerate(tables.items(), 1):
        axes = drawn.add_subplot(len(tables), 1, place)
        truth = truths(table)
        loaded = table[table["load"] == "both cores"]
        for row, model in enumerate(truth.index):
            mine = loaded[loaded["model"] == model]
            is_ok = mine["quality"] == "ok"
            ours, mean = 100 * (mine["median_ms"] / truth[model] - 1), 100 * (mine["wall_mean_ms"] / truth[model] - 1)
            axes.scatter(mean, np.full(len(mean), row - 0.15), marker="x", color="#b45309", s=22)
            axes.scatter(ours[is_ok], np.full(is_ok.sum(), row + 0.15), color="#1d4ed8", s=22)
            axes.scatter(
                ours[~is_ok], np.full((~is_ok).sum(), row + 0.15), facecolors="none", edgecolors="#1d4ed8", s=22
            )
        axes.axvspan(-5, 5, color="#e5e7eb", zorder=0)
        axes.set_yticks(range(len(truth)), truth.index)
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlabel("deviation from the unloaded CPU-time median, per cent")
        axes.set_title(f"{_TITLES[name]}: protocol (dots; hollow: noisy), wall mean (crosses)", fontsize=9, loc="left")
    return drawn


if __name__ == "__main__":
    main()
