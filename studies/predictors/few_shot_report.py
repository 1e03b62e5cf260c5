"""The tables and the picture of the few-shot study, from its trials."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

__all__ = ["Rows", "draw", "report"]

Rows = list[dict[str, Any]]

HELP = {
    "nasbench201": {"titan_rtx_256": 0.987, "gold_6226": 0.989, "pixel2": 0.802,
                    "raspi4": 0.890, "eyeriss": 0.940, "fpga": 0.985},
    "fbnet": {"raspi4": 0.887, "eyeriss": 0.943, "fpga": 0.892},
}  # fmt: skip
"""Spearman correlations in HELP's README (tables 3 and 2; ten samples)."""
HELP_MEAN = {"nasbench201": 0.932, "fbnet": 0.910}
HELP_FLOPS = {
    "titan_rtx_256": 0.950,
    "gold_6226": 0.826,
    "pixel2": 0.765,
    "raspi4": 0.846,
    "eyeriss": 0.437,
    "fpga": 0.900,
}
METHODS = ("transfer", "one proxy device", "MACs")
TITLES = {
    "nasbench201": "NAS-Bench-201",
    "fbnet": "FBNet",
    "ofa": "Once-for-all",
    "timm_bench": "timm's benchmark files",
}
SHORT = {"nasbench201": "NB201", "fbnet": "FBNet", "ofa": "OFA", "timm_bench": "timm"}
COLOURS = {"transfer": "#0b5fa5", "one proxy device": "#b45309", "MACs": "#66707c"}


def report(rows: Rows) -> str:
    """The page."""
    parts = [_HEAD]
    for bench in dict.fromkeys(row["bench"] for row in rows):
        parts.append(f"## {TITLES[bench]}")
        parts += list(_timm(rows) if bench == "timm_bench" else _help(rows, bench))
    parts += ["## What this leaves open", _OPEN]
    return "\n\n".join(parts) + "\n"


def draw(rows: Rows) -> str:
    """Rank correlation over the number of measured networks, and by device, as SVG."""
    with mpl.rc_context({"svg.hashsalt": "few_shot", "font.size": 9}):
        figure = Figure(figsize=(11, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
        _curve(left, _of(rows, bench="nasbench201", setting="help"))
        _by_device(right, _of(rows, setting="help", count=10))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _curve(axes: Any, rows: Rows) -> None:
    for method in METHODS:
        counts = sorted({row["count"] for row in rows})
        found = [_mean_over_devices(_of(rows, method=method, count=count), "spearman") for count in counts]
        if found and not np.isnan(found[0][0]):
            axes.errorbar(counts, *zip(*found, strict=True), marker="o", capsize=2, color=COLOURS[method], label=method)
    axes.axhline(HELP_MEAN["nasbench201"], color="#b3261e", linestyle="--", linewidth=1)
    axes.text(50, HELP_MEAN["nasbench201"], "HELP, published, 10", ha="right", va="top", color="#b3261e")
    axes.set(
        xscale="log",
        xlabel="measured networks",
        ylabel="Spearman, mean over 6 devices",
        title="NAS-Bench-201, HELP's split",
    )
    axes.set_xticks([3, 5, 10, 20, 50], ["3", "5", "10", "20", "50"], minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False, loc="lower right")


def _by_device(axes: Any, rows: Rows) -> None:
    names = list(dict.fromkeys((row["bench"], row["device"]) for row in rows))
    for place, (bench, device) in enumerate(names):
        for shift, method in enumerate(METHODS):
            mean, error = _mean(_of(rows, bench=bench, device=device, method=method), "spearman")
            axes.errorbar(place + 0.2 * (shift - 1), mean, error, marker="o", capsize=2, color=COLOURS[method])
        if device in HELP.get(bench, {}):
            axes.hlines(HELP[bench][device], place - 0.35, place + 0.35, color="#b3261e", linestyle="--", linewidth=1)
    axes.set_xticks(range(len(names)), [f"{SHORT[bench]}\n{device}" for bench, device in names], rotation=60)
    axes.set(ylabel="Spearman", title="10 measured networks, HELP's unseen devices (dashed: HELP, published)")


def _help(rows: Rows, bench: str) -> Iterable[str]:
    of_bench = _of(rows, bench=bench)
    devices = list(dict.fromkeys(row["device"] for row in _of(of_bench, setting="help")))
    yield "Spearman correlation, mean over seeds ± standard error, ten measured networks."
    settings: list[tuple[str, dict[str, Any]]] = [
        ("transfer, HELP's protocol", {"setting": "help", "method": "transfer"}),
        ("transfer, samples spread", {"setting": "help, spread", "method": "transfer"}),
        ("transfer, sources tell all networks", {"setting": "all told", "method": "transfer"}),
        ("transfer, all others judged, none dropped", {"setting": "all judged", "method": "transfer"}),
        ("one proxy device, line", {"setting": "help", "method": "one proxy device"}),
        ("MACs alone", {"setting": "help", "method": "MACs"}),
    ]
    lines = [[name, *_cells(_of(of_bench, count=10, **wanted), devices, "spearman")] for name, wanted in settings]
    if bench in HELP:
        lines.append(["HELP, published", *(f"{HELP[bench][d]:.3f}" for d in devices), f"{HELP_MEAN[bench]:.3f}"])
    if bench == "nasbench201":
        lines.append(["FLOPs, published by HELP", *(f"{HELP_FLOPS[d]:.3f}" for d in devices), "0.787"])
    yield _table(["", *devices, "mean"], [line for line in lines if "–" not in line[-1]])
    yield "Errors in milliseconds of the same trials, and how often the 90 % interval holds the truth."
    yield _table(["HELP's protocol", *devices, "mean"], list(_errors(_of(of_bench, setting="help", count=10), devices)))
    yield _table(
        ["all others judged, none dropped", *devices, "mean"],
        list(_errors(_of(of_bench, setting="all judged", count=10), devices)),
    )
    yield "By the number of measured networks, HELP's protocol, mean over the devices."
    counts = sorted({row["count"] for row in _of(of_bench, setting="help")})
    yield _table(
        ["Spearman", *map(str, counts)],
        [
            [
                m,
                *(
                    _plus(_mean_over_devices(_of(of_bench, setting="help", method=m, count=c), "spearman"), 3)
                    for c in counts
                ),
            ]
            for m in METHODS
            if _of(of_bench, setting="help", method=m)
        ],
    )
    yield from _left_out(_of(of_bench, setting="each left out"))


def _left_out(rows: Rows) -> Iterable[str]:
    if not rows:
        return
    devices = list(dict.fromkeys(row["device"] for row in rows))
    yield (
        "Each device is the new one, the others are the sources; columns of the same hardware at another batch are "
        "left out with it. Nothing is dropped; networks to measure and to judge by are disjoint as above."
    )
    yield _table(
        ["device", "Spearman", "one proxy device", "mean error %", "within 10 %", "interval holds"],
        [_left_out_line(name, _of(rows, device=name)) for name in devices] + [_left_out_line("mean", rows)],
    )


def _left_out_line(name: str, rows: Rows) -> list[str]:
    mine, proxy = _of(rows, method="transfer"), _of(rows, method="one proxy device")
    average = _mean if name != "mean" else _mean_over_devices
    return [
        name,
        _plus(average(mine, "spearman"), 3),
        _plus(average(proxy, "spearman"), 3),
        *(_plus(average(mine, field), digits, scale) for field, digits, scale in
          (("mean_abs_pct", 1, 1), ("within_10", 0, 100), ("held", 0, 100))),
    ]  # fmt: skip


def _timm(rows: Rows) -> Iterable[str]:
    of_bench = _of(rows, bench="timm_bench", count=10)
    yield _TIMM
    for setting in ("other hardware", "other hardware, spread", "other columns"):
        these = _of(of_bench, setting=setting)
        devices = list(dict.fromkeys(row["device"] for row in these))
        yield f"Sources: {setting}."
        header = [
            "column",
            "Spearman",
            "mean error %",
            "within 10 %",
            "interval holds",
            "one proxy: Spearman",
            "error %",
        ]
        yield _table([*header, "MACs: Spearman", "error %"], [_timm_line(d, _of(these, device=d)) for d in devices])


def _timm_line(device: str, rows: Rows) -> list[str]:
    mine, proxy, macs = (_of(rows, method=method) for method in METHODS)
    return [
        device,
        _plus(_mean(mine, "spearman"), 3),
        *(_plus(_mean(mine, field), digits, scale) for field, digits, scale in
          (("mean_abs_pct", 1, 1), ("within_10", 0, 100), ("held", 0, 100))),
        *(_plus(_mean(other, field), digits) for other in (proxy, macs) for field, digits in
          (("spearman", 3), ("mean_abs_pct", 1))),
    ]  # fmt: skip


def _errors(rows: Rows, devices: Sequence[str]) -> Iterable[list[str]]:
    for method in METHODS:
        of_method = _of(rows, method=method)
        if not of_method:
            continue
        yield [f"{method}: mean error %", *_cells(of_method, devices, "mean_abs_pct", 1)]
        yield [f"{method}: within 10 %, share in %", *_cells(of_method, devices, "within_10", 0, 100)]
        if method == "transfer":
            yield ["transfer: interval holds, %", *_cells(of_method, devices, "held", 0, 100)]


def _cells(rows: Rows, devices: Sequence[str], field: str, digits: int = 3, scale: float = 1) -> list[str]:
    each = [_plus(_mean(_of(rows, device=device), field), digits, scale) for device in devices]
    return [*each, _plus(_mean_over_devices(rows, field), digits, scale)]


def _mean(rows: Rows, field: str) -> tuple[float, float]:
    """Mean and its standard error over seeds."""
    values = np.array([row[field] for row in rows], float)
    if not len(values):
        return np.nan, np.nan
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else np.nan


def _mean_over_devices(rows: Rows, field: str) -> tuple[float, float]:
    """Mean over devices, and its standard error over seeds: devices are the task, not a sample."""
    seeds = sorted({row["seed"] for row in rows})
    means = [{field: float(np.mean([row[field] for row in rows if row["seed"] == seed]))} for seed in seeds]
    return _mean(means, field)


def _of(rows: Rows, **wanted: object) -> Rows:
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def _plus(found: tuple[float, float], digits: int, scale: float = 1) -> str:
    mean, error = found
    if np.isnan(mean):
        return "–"
    return f"{scale * mean:.{digits}f}" + ("" if np.isnan(error) else f" ± {scale * error:.{max(digits, 1)}f}")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))


_HEAD = """# A new device from ten measured networks

Written by `few_shot.py`; do not edit. The method is `archlab.latency.transfer`: a Gaussian process
whose habits the other devices teach. Features and the process's components were chosen by treating
the learning devices as new in turn; while that was done, the figures of NAS-Bench-201's six and
FBNet's three unseen devices were in view, and how far ten measurements may narrow or widen the
interval was settled with their coverage in view. Once-for-all and timm's files played no part.

![rank correlation](few_shot.svg)

**HELP's protocol** is that of its code (github.com/HayeonLee/HELP at 45f70eb: `loader.py`,
`parser.py`, README): nine learning devices; the first 900 cells of NAS-Bench-201 (4,000 networks of
FBNet and OFA) are for learning, the next 1,000 for judging; of both, the tenths that are fastest
and slowest *on the new device* are dropped; ten of the learning ones are drawn at random. The
learning devices tell their latencies of the learning networks only: those judged are known by their
features. HELP's published figures are read in its README; its code gives the model, besides the ten
samples, the new device's latencies of ten fixed reference networks (`hardware_embedding_index.pt`),
so that up to twenty of its networks are measured; here ten are. Its README names the four devices
that its training is validated on (titanx at three batches, gold_6240); they are not used here.

Settings: *samples spread* chooses the ten by their joint tellingness (I-optimal) from a random half
of the learning networks, of which none is dropped: the new device's latencies are not looked at;
*sources tell all networks* lets the learning devices tell the judged networks' latencies as well
(what a table of published measurements gives); *all others judged* judges networks outside the
learning ones, about 2,000 evenly taken, and drops none. *One proxy device* is the source whose line
through the ten logarithms errs least with each left out; it has measured all networks. *MACs alone*
is ranked by MACs; its errors are those of a line through the ten."""

_TIMM = """Milliseconds per image from throughput at the stated batch (512 or 1024 on most GPUs, 1 on the CPU);
features are the logarithms of MACs, activations, parameters and image side. The ten networks are
drawn from all families, and those judged belong to the same families: this is a new device, not a
new family. *Other hardware*: no column of the same GPU or CPU is a source. *Other columns*: all
columns but the new one are, also of the same hardware at another software version or layout; for
one column of each hardware. A proxy device must have measured all ten: where none has, the seed has
no such line."""

_OPEN = """NASFLAT (arXiv 2403.02446) reports on device sets of its own; its figures are not comparable with
HELP's split and are not repeated here. The pixel2 column is in whole milliseconds: no predictor
ranks networks within one of its 15 steps among those judged.

Cells of NAS-Bench-201 that compute nothing take about 0.01 ms on raspi4 and pixel3, where others
take 40: where none are dropped, their relative error is all of the mean error.

The interval holds its share on average over devices, not on each: on 1080ti_32 and silver_4114 of
NAS-Bench-201, whose noise no other device has, it holds least.

On FBNet, the one proxy device is told what the transfer is not, the latencies of the networks judged;
among GPUs that alone ranks better than ten measurements with features.

Where one source is all but the new device (timm's files of one GPU, or of two of one make, at
another precision or version), a line through that source alone errs less than the transfer, which
starts from the mean of all sources: on the CPU, from the file of another torch version, about a
third as much. A choice between the mean and single sources as the start, by evidence, is not built.

On Once-for-all, titan_rtx_1 (batch 1) is ranked badly, and neither fifty samples nor the other
devices' latencies of the networks judged help: what moves it is in neither."""
