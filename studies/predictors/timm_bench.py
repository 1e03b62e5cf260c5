"""How well do a thousand published throughputs predict families that they lack? A GPU and a CPU, beside baselines.

    python studies/predictors/timm_bench.py [--bench CSV] [--cache FOLDER] [--folds 8] [--columns NAME ...]

Reads timm's merged benchmark files (`--bench`, or `../reference/timm_bench.csv` beside the folder that ARCHLAB_DATA
names), traces every model on the meta device once (needs timm; about ten minutes, kept in the cache), then learns from
all folds of families but one, in turn, and predicts that one. A family is the module file of timm that implements a
model. Writes `timm_bench.csv` (every prediction), `timm_bench_families.csv`, `timm_bench.svg` and the figures of
`timm_bench.md` to the screen. Five minutes on two idle cores. Other columns of the table are not read.
"""

import argparse
import collections
import csv
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from scipy.stats import kendalltau
from sklearn.ensemble import HistGradientBoostingRegressor
from timm_tables import COLUMNS, Row, find, read, trace_all

from archlab.files import write_text
from archlab.latency.frameworks import Sample, folds, left_out
from archlab.latency.kernel_sums import KindRoofline, sums_of
from archlab.latency.launches import LAUNCH_COLUMNS, Launches

HERE = Path(__file__).parent
NAMES = {
    "amp_nchw_pt240_cu124_rtx4090": "RTX 4090, eager, autocast fp16",
    "fp32_nchw_pt240_cpu_i9_10940x_dynamo": "Core i9-10940X, compiled, fp32, batch 1",
}

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Trace, learn, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/timm_traces"))
    parser.add_argument("--folds", type=int, default=8)
    parser.add_argument(
        "--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS), help="the others stay as written"
    )
    given = parser.parse_args()
    bench = find(given.bench)
    for (model, side), why in trace_all(bench, given.cache).items():
        print(f"not traced: {model} at {side}: {why}")
    with ProcessPoolExecutor(len(given.columns)) as pool:
        work = {column: pool.submit(_column, bench, given.cache, column, given.folds) for column in given.columns}
        judged = {column: one.result() for column, one in work.items()}
    for column, found in judged.items():
        _print(column, *found)
    _write({column: judged[column] if column in judged else _written(column) for column in COLUMNS})


def _written(column: str) -> tuple[list[Row], dict[str, Floats]]:
    """What an earlier run wrote of a column, as far as the files need it."""
    nothing = Launches(runtime="", kinds=np.zeros(0, np.intp), table=np.zeros((0, len(LAUNCH_COLUMNS))))
    with (HERE / "timm_bench.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["column"] == column]
    rows = [
        Row(
            model=line["model"],
            side=int(line["img_size"]),
            family=line["family"],
            batch=int(line["batch"]),
            ms=float(line["ms"]),
            macs=0.0,
            params=0.0,
            launches=nothing,
        )
        for line in lines
    ]
    values = [[float(line[name]) for name in ("predicted_ms", "lo_ms", "hi_ms")] for line in lines]
    return rows, {"archlab": np.array(values)}


def _column(bench: Path, cache: Path, column: str, count: int) -> tuple[list[Row], dict[str, Floats]]:
    torch.set_num_threads(1)
    rows = read(bench, cache, column)
    return rows, _judge(rows, count)


def _judge(rows: Sequence[Row], count: int) -> dict[str, Floats]:
    """Predictions of every way, `(rows,)` or with the ends of an interval `(rows, 3)`, families left out."""
    fold = folds([row.family for row in rows], count)
    found: dict[str, Floats] = {}
    for name, way in BASELINES.items():
        found[name] = np.empty(len(rows))
        for one in range(count):
            train = [row for row, f in zip(rows, fold, strict=True) if f != one]
            left = [row for row, f in zip(rows, fold, strict=True) if f == one]
            found[name][fold == one] = way(train, left)
    samples = [Sample(launches=row.launches, ms=row.ms, group=row.family) for row in rows]
    found["archlab"] = left_out(samples, count=count)
    return found


def _by_macs(train: Sequence[Row], left: Sequence[Row]) -> Floats:
    """The ms as a power of multiply-adds, by least squares of logarithms."""
    slope, level = np.polyfit(np.log([row.macs * row.batch for row in train]), np.log(_ms(train)), 1)
    result: Floats = np.exp(level + slope * np.log([row.macs * row.batch for row in left]))
    return result


def _by_roofline(train: Sequence[Row], left: Sequence[Row]) -> Floats:
    """A plain sum over kinds of multiply-adds and bytes, and over kernels."""
    return KindRoofline(_launches(train), _ms(train)).predict(_launches(left))


def _by_boosting(train: Sequence[Row], left: Sequence[Row]) -> Floats:
    """Gradient boosting of log ms on the logarithms of the same sums, multiply-adds, parameters and sizes."""

    def features(rows: Sequence[Row]) -> Floats:
        sizes = np.log([[row.macs * row.batch, row.params, row.side] for row in rows])
        return np.column_stack([np.log1p(sums_of(_launches(rows))), sizes])

    trees = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.08, random_state=0, early_stopping=False)
    result: Floats = np.exp(trees.fit(features(train), np.log(_ms(train))).predict(features(left)))
    return result


BASELINES: dict[str, Callable[[Sequence[Row], Sequence[Row]], Floats]] = {
    "multiply-adds, a power": _by_macs,
    "plain additive roofline": _by_roofline,
    "gradient boosting": _by_boosting,
}


def _ms(rows: Sequence[Row]) -> Floats:
    return np.array([row.ms for row in rows])


def _launches(rows: Sequence[Row]) -> list[Launches]:
    return [row.launches for row in rows]


def _figures(ms: Floats, found: Floats) -> tuple[float, float, float, float | None]:
    """Mean error and share within ±10 % in per cent, Kendall's τ, per cent of truths inside the interval."""
    point = found if found.ndim == 1 else found[:, 0]
    error = np.abs(point / ms - 1)
    tau = float(kendalltau(point, ms).statistic)
    held = None if found.ndim == 1 else 100 * float(((found[:, 1] <= ms) & (ms <= found[:, 2])).mean())
    return 100 * float(error.mean()), 100 * float((error <= 0.1).mean()), tau, held


def _print(column: str, rows: Sequence[Row], found: dict[str, Floats]) -> None:
    print(f"\n{NAMES[column]}: {len(rows)} models of {len({row.family for row in rows})} families\n")
    print("| way | mean error | within 10 % | Kendall τ per batch | τ per image | in the 90 % interval |")
    print("| --- | --- | --- | --- | --- | --- |")
    batch = np.array([row.batch for row in rows], float)
    for name, values in found.items():
        mean, within, tau, held = _figures(_ms(rows), values)
        point = values if values.ndim == 1 else values[:, 0]
        image = float(kendalltau(point / batch, _ms(rows) / batch).statistic)
        inside = "" if held is None else f"{held:.1f} %"
        print(f"| {name} | {mean:.1f} % | {within:.1f} % | {tau:.3f} | {image:.3f} | {inside} |", flush=True)


def _write(judged: dict[str, tuple[list[Row], dict[str, Floats]]]) -> None:
    models, families = [], []
    for column, (rows, found) in judged.items():
        values = found["archlab"]
        for row, (ms, low, high) in zip(rows, values, strict=True):
            numbers = [f"{x:.5g}" for x in (row.ms, ms, low, high)]
            models.append([column, row.family, row.model, row.side, row.batch, *numbers])
        counts = collections.Counter(row.family for row in rows)
        for family, members in sorted(counts.items()):
            chosen = [i for i, row in enumerate(rows) if row.family == family]
            off = values[chosen, 0] / _ms(rows)[chosen]
            held = (values[chosen, 1] <= _ms(rows)[chosen]) & (_ms(rows)[chosen] <= values[chosen, 2])
            shares = [np.abs(off - 1).mean(), np.median(off) - 1, (np.abs(off - 1) <= 0.1).mean(), held.mean()]
            families.append([column, family, members, *[f"{100 * x:.1f}" for x in shares]])
    header = ["column", "family", "model", "img_size", "batch", "ms", "predicted_ms", "lo_ms", "hi_ms"]
    _write_csv("timm_bench.csv", header, models)
    header = ["column", "family", "models", "mean_error_pct", "median_bias_pct", "within_10_pct", "in_interval_pct"]
    _write_csv("timm_bench_families.csv", header, families)
    write_text(HERE / "timm_bench.svg", _scatter(judged))


def _write_csv(name: str, header: list[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(HERE / name, text.getvalue())


def _scatter(judged: dict[str, tuple[list[Row], dict[str, Floats]]]) -> str:
    """Predicted over measured, a panel per column."""
    with mpl.rc_context({"svg.hashsalt": "timm_bench", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        for axes, (column, (rows, found)) in zip(figure.subplots(1, 2), judged.items(), strict=True):
            batch = np.array([row.batch for row in rows])
            truth, point = _ms(rows) / batch, found["archlab"][:, 0] / batch
            axes.scatter(truth, point / truth, s=6, alpha=0.5, linewidths=0)
            axes.axhspan(0.9, 1.1, alpha=0.15)
            axes.set(xscale="log", yscale="log", ylim=(0.3, 3.5), title=NAMES[column])
            axes.set(xlabel="measured ms per image", ylabel="predicted / measured, family left out")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


if __name__ == "__main__":
    main()
