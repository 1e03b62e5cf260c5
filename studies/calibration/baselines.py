"""What simpler models make of the T4's published latencies, whole families left out; needs timm.

    python studies/calibration/baselines.py

Traces every network of the rows that the fit uses, without fusion, and writes `baselines.csv` (every row with the ms of
each baseline), which `refit.py` sets beside the shipped fit in `report.md`. The baselines:

- an additive roofline on unfused counts: µs per operator, ps per multiply-add (convolutions, depthwise ones, products)
  and ps per byte, all positive, fitted to relative errors;
- gradient boosting on operator counts: log ms from the logarithms of how often each operator occurs, of multiply-adds,
  of traffic and of parameters;
- trees on what the shipped fit misses: the fit itself times what extremely randomised trees make of its errors on
  families that it had not seen, from the network's sizes and the shares of its time by term. It is no baseline but a
  candidate: why a device without measurements of its own is served by the roofline alone.
"""

import collections
import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from trace_networks import trace_network

from archlab.cost.rows import OpTrace
from archlab.files import write_text
from archlab.latency.calibrate import points_of, t4_prior, usable
from archlab.latency.fit import Fit, fit
from archlab.latency.kernels import KINDS
from archlab.latency.tables import Published, networks

HERE = Path(__file__).parent

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Trace, fit, write."""
    rows = usable("t4")
    traces = {key: trace_network(*key) for key in sorted({row.key for row in rows})}
    families = np.array([traces[row.key][0] for row in rows])
    ms = np.array([row.ms for row in rows])
    names = sorted({op.op for _, found in traces.values() for op in found.rows})
    additive = np.array([_sums(traces[row.key][1]) for row in rows])
    counts = np.array([_counts(traces[row.key][1], names) for row in rows])
    found = {
        "unfused_roofline": _left_out(additive, ms, families, _additive),
        "boosting_on_counts": _left_out(counts, ms, families, _boosted),
        "trees_on_the_fit": _with_trees(rows),
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["device", "source", "model", "resolution", "family", "published_ms", *(f"{n}_ms" for n in found)])
    for i, row in enumerate(rows):
        told = (row.device, row.source, row.model, row.key[1], families[i], f"{row.ms:g}")
        writer.writerow([*told, *(f"{values[i]:.4g}" for values in found.values())])
    write_text(HERE / "baselines.csv", text.getvalue())
    for name, values in found.items():
        print(f"{name}: {100 * np.abs(values / ms - 1).mean():.1f} % mean error")


def _sums(found: OpTrace) -> list[float]:
    """Operators, multiply-adds by sort, elements moved."""
    works = [row for row in found.rows if row.kind != "view" and not row.is_constant]
    macs = collections.Counter[str]()
    for row in works:
        macs["depthwise" if row.kind == "depthwise" else "conv" if row.kind == "conv" else "product"] += row.macs
    moved = sum(row.read_elems + row.write_elems for row in works)
    return [len(works) / 1e3, macs["conv"] / 1e9, macs["depthwise"] / 1e9, macs["product"] / 1e9, moved / 1e6]


def _counts(found: OpTrace, names: list[str]) -> list[float]:
    ops = collections.Counter(row.op for row in found.rows)
    moved = sum(row.read_elems + row.write_elems for row in found.rows)
    sizes = [sum(row.macs for row in found.rows), moved, found.params]
    return [*np.log1p([ops[name] for name in names]).tolist(), *np.log(sizes).tolist()]


def _left_out(
    table: Floats, ms: Floats, families: npt.NDArray[np.str_], fit: Callable[[Floats, Floats, Floats], Floats]
) -> Floats:
    predicted = np.empty(len(ms))
    for family in np.unique(families):
        left = families == family
        predicted[left] = fit(table[~left], ms[~left], table[left])
    return predicted


def _additive(seen: Floats, ms: Floats, asked: Floats) -> Floats:
    return np.asarray(asked @ nnls(seen / ms[:, None], np.ones(len(ms)))[0])


def _boosted(seen: Floats, ms: Floats, asked: Floats) -> Floats:
    model = HistGradientBoostingRegressor(max_iter=300, learning_rate=0.05, min_samples_leaf=5, random_state=0)
    return np.asarray(np.exp(model.fit(seen, np.log(ms)).predict(asked)))


def _with_trees(rows: tuple[Published, ...]) -> Floats:
    """Shipped fit and trees, each family left out of both; the trees learn from fits that leave out a second one."""
    points, prior = points_of("t4", rows), t4_prior()
    whole = fit(points, prior)
    predicted = np.empty(len(rows))
    for family in np.unique(points.families):
        left = points.families == family
        outer = fit(points, prior, keep=~left, start=whole.steps)
        missed = np.zeros(len(rows))
        for other in np.unique(points.families[~left]):
            also = points.families == other
            inner = fit(points, prior, keep=~left & ~also, start=outer.steps)
            missed[also] = points.log_ms[also] - inner.log_ms[also]
        table = np.array([_numbers(row, outer, i) for i, row in enumerate(rows)])
        trees = ExtraTreesRegressor(200, min_samples_leaf=3, max_features=0.5, random_state=0)
        trees.fit(table[~left], missed[~left])
        predicted[left] = np.exp(outer.log_ms[left] + trees.predict(table[left]))
    return predicted


def _numbers(row: Published, found: Fit, index: int) -> Floats:
    groups = networks()[row.key].groups
    counts = groups.column("count")
    macs = groups.column("macs") * counts
    by_kind = [(counts[groups.kinds == k].sum(), macs[groups.kinds == k].sum()) for k in range(len(KINDS))]
    many, work = np.array(by_kind).T
    return np.concatenate(
        [[np.log(macs.sum()), found.log_ms[index]], np.log1p(many), work / macs.sum(), found.shares[index]]
    )


if __name__ == "__main__":
    main()
