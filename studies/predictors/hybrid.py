"""How well do 100 measured networks of `hybrid` predict 100 others? Three predictors beside multiply-adds alone.

    python studies/predictors/hybrid.py [--data studies/predictors/hybrid.jsonl.gz]

Reads what `measure_hybrid.py` wrote (gzip'd), trains on its `fit` part, judges by its `judge` part, and writes
`hybrid.csv` (every judged network), `hybrid.svg` and `hybrid.md` beside itself. Every choice in the predictors was made
inside the `fit` part, by leaving networks out. Minutes on one core; nothing is measured.
"""

import argparse
import csv
import dataclasses
import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from archlab import space
from archlab.device.catalog import Device, RunSpec, device
from archlab.files import write_text
from archlab.latency import PREDICTORS
from archlab.latency.choice import spread
from archlab.latency.estimate import HeldOut, compared, spread_of
from archlab.latency.own import assemble
from archlab.latency.samples import Measured

HERE = Path(__file__).parent
FEWER = (10, 15, 20)

Floats = npt.NDArray[np.float64]
Predict = Callable[[Measured], tuple[float, float, float]]


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=HERE / "hybrid.jsonl.gz")
    fit, judge, rows = read_networks(parser.parse_args().data)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARCHLAB_CALIBRATIONS"] = folder
        inside, ways = _trained(fit)
        judged = {name: np.array([predict(one) for one in judge]) for name, predict in ways.items()}
        fewer = {count: _fewer(fit, judge, count) for count in FEWER}
    _write_csv(judge, judged)
    write_text(HERE / "hybrid.svg", _scatter(judge, judged))
    write_text(HERE / "hybrid.md", _report(rows, fit, judge, inside, judged, fewer))


def read_networks(path: Path) -> tuple[list[Measured], list[Measured], list[dict[str, Any]]]:
    """Read the networks to fit on, those to judge by, and all rows as they stand."""
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return _networks(rows, "fit"), _networks(rows, "judge"), rows


def _networks(rows: Iterable[dict[str, Any]], part: str) -> list[Measured]:
    hybrid = space.default("hybrid")
    return [
        Measured(
            model=row["digest"],
            spec=hybrid.decode(row["point"]),
            ms=row["median_ms"],
            quality=row["quality"],
            ops=tuple((op, module, ms) for op, module, ms in row["ops"]),
        )
        for row in rows
        if row["part"] == part
    ]


def _trained(networks: Sequence[Measured]) -> tuple[dict[str, HeldOut], dict[str, Predict]]:
    """Errors inside the networks given, each left out in its turn, and ways to predict (ms, low, high) for others."""
    cpu, run = device("cpu"), RunSpec()
    calibration, left_out = assemble(networks, cpu, run)
    calibration.save()
    ms = _ms(networks)
    inside = {name: compared(found, ms, coverage=spread_of(found, ms)[1]) for name, found in left_out.items()}
    ways: dict[str, Predict] = {}
    for power, name in ((False, "multiply-adds, one pace"), (True, "multiply-adds, a power")):
        macs = _macs(networks)
        alone = np.array([_by_macs(np.delete(macs, i), np.delete(ms, i), power)(macs[i]) for i in range(len(ms))])
        (low, high), coverage = spread_of(alone, ms)
        inside[name] = compared(alone, ms, coverage=coverage)
        ways[name] = _with_interval(_by_macs(macs, ms, power), low, high)
    ways |= {name: _by_product(name, cpu, run) for name in PREDICTORS}
    return {name: inside[name] for name in ways}, ways


def _by_macs(macs: Floats, ms: Floats, has_power: bool) -> Callable[[float], float]:
    """ms in proportion to multiply-adds at the median pace, or to a power of them by least squares of logarithms."""
    if not has_power:
        pace = float(np.median(ms / macs))
        return lambda its: its * pace
    slope, level = np.polyfit(np.log(macs), np.log(ms), 1)
    return lambda its: float(np.exp(level + slope * np.log(its)))


def _with_interval(by_macs: Callable[[float], float], low: float, high: float) -> Predict:
    def predict(one: Measured) -> tuple[float, float, float]:
        ms = by_macs(float(_macs([one])[0]))
        return ms, ms * float(np.exp(low)), ms * float(np.exp(high))

    return predict


def _by_product(name: str, place: Device, run: RunSpec) -> Predict:
    def predict(one: Measured) -> tuple[float, float, float]:
        found = PREDICTORS[name].predict(one.trace, place, run)
        return found.ms, found.lo_ms, found.hi_ms

    return predict


def _fewer(fit: Sequence[Measured], judge: Sequence[Measured], count: int) -> dict[str, HeldOut]:
    """The same from the networks that a calibration would choose among those to fit on."""
    chosen = [fit[i] for i in spread([one.spec for one in fit], count)]
    _, ways = _trained(chosen)
    return {name: _error(judge, np.array([predict(one) for one in judge])) for name, predict in ways.items()}


def _error(judge: Sequence[Measured], found: Floats) -> HeldOut:
    ms = _ms(judge)
    held = float(((found[:, 1] <= ms) & (ms <= found[:, 2])).mean())
    return compared(found[:, 0], ms, coverage=held)


def _ms(networks: Iterable[Measured]) -> Floats:
    return np.array([one.ms for one in networks])


def _macs(networks: Iterable[Measured]) -> Floats:
    return np.array([float(sum(row.macs for row in one.trace.rows)) for one in networks])


def _write_csv(judge: Sequence[Measured], judged: dict[str, Floats]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{name.replace(',', '').replace(' ', '_')}_{end}" for name in judged for end in ("ms", "lo_ms", "hi_ms")]
    writer.writerow(["digest", "macs", "quality", "measured_ms", *names])
    for i, one in enumerate(judge):
        found = [f"{value:.5g}" for table in judged.values() for value in table[i]]
        writer.writerow([one.model, int(_macs([one])[0]), one.quality, f"{one.ms:.5g}", *found])
    write_text(HERE / "hybrid.csv", text.getvalue())


def _scatter(judge: Sequence[Measured], judged: dict[str, Floats]) -> str:
    names = [name for name in judged if "power" not in name]
    ms = _ms(judge)
    with mpl.rc_context({"svg.hashsalt": "hybrid", "font.size": 9}):
        figure = Figure(figsize=(11, 2.8), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), sharey=True), names, strict=True):
            off = 100 * (judged[name] / ms[:, None] - 1)
            axes.axhspan(-10, 10, color="0.9")
            axes.errorbar(ms, off[:, 0], _whiskers(off), fmt="o", ms=2.5, lw=0.5, color="tab:blue", alpha=0.8)
            axes.set(xscale="log", title=name, xlabel="measured, ms")
        figure.axes[0].set_ylabel("predicted over measured, %")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _whiskers(table: Floats) -> Floats:
    return np.array([table[:, 0] - table[:, 1], table[:, 2] - table[:, 0]])


def _report(
    rows: Sequence[dict[str, Any]],
    fit: Sequence[Measured],
    judge: Sequence[Measured],
    inside: dict[str, HeldOut],
    judged: dict[str, Floats],
    fewer: dict[int, dict[str, HeldOut]],
) -> str:
    unseen = {name: _error(judge, found) for name, found in judged.items()}
    anchors = [row["median_ms"] for row in rows if row["part"] == "anchor"]
    noisy = sum(one.quality != "ok" for one in (*fit, *judge))
    facts = rows[0]["fingerprint"]
    best = judged["lookup"][:, 0] / _ms(judge) - 1
    worst = ", ".join(f"{judge[i].model} ({judge[i].ms:.3g} ms) {best[i]:+.0%}" for i in np.argsort(-np.abs(best))[:5])
    few = [(f"{name}, {count} networks", one[name]) for name in PREDICTORS for count, one in fewer.items()]
    return f"""# Latency of `hybrid` networks on a CPU: 100 measured, 100 unseen

Written by `hybrid.py`; do not edit. ONNX Runtime {facts["onnxruntime"]}, one thread, FP32, batch 1, on {facts["cpu"]}
({facts["isa"]}). {len(fit)} random networks to fit on and {len(judge)} to judge by, measured in turns by
`measure_hybrid.py`; latencies from {min(one.ms for one in judge):.3g} to {max(one.ms for one in judge):.3g} ms.
{noisy} of the {len(fit) + len(judge)} were noisy and are used all the same. An anchor network measured
{len(anchors)} times on the way took {min(anchors):.2f} to {max(anchors):.2f} ms.

## Judged by the unseen networks

{_table(unseen.items())}

Target: 90 % within 10 %, Kendall τ 0.93; intervals that hold 85 to 95 % of the truth. The first two rows are the
baseline. Largest errors of `lookup`, estimate over measurement:
{worst}.

`roofline` and `fitted` see latencies of whole networks only; `lookup` sees the times of their operators as well.

## Inside the networks to fit on, each left out in one of ten parts

{_table(inside.items())}

All choices (fusion rules, features, trees, tightness of the priors) were made on this table; the unseen networks were
looked at when all was chosen.

## From fewer networks, as `archlab device calibrate` chooses them, judged by the same unseen ones

{_table(few)}

![predicted over measured](hybrid.svg)

Whiskers are the 90 % intervals; the grey band is ±10 %.
"""


def _table(lines: Iterable[tuple[str, HeldOut]]) -> str:
    header = ("predictor", "mean error", "within 10 %", "Kendall τ", "in the 90 % interval")
    text = [header, ("---",) * len(header)]
    for name, one in lines:
        found = dataclasses.asdict(one)
        text.append(
            (
                name,
                f"{found['mean_abs_pct']:.1f} %",
                f"{found['within_10_share']:.0%}",
                f"{found['kendall_tau']:.3f}",
                f"{found['coverage']:.0%}",
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in text)


if __name__ == "__main__":
    main()
