"""Refit the constants of the estimated devices from the carried rows, and print how wrong they are.

    python studies/calibration/refit.py

Writes the constants beside the package's tables, and here `held_out.csv` (every row used, with what the fit says when
it has not seen the row's family), `refused.csv` (every row not used, and why) and `report.md`, which sets beside the
fit what `baselines.py` found.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from archlab.files import write_text
from archlab.latency.calibrate import Calibration, calibrate, refusal, usable
from archlab.latency.estimate import HeldOut, compared
from archlab.latency.tables import CALIBRATED, Constants, Published, latencies, networks, path_of
from archlab.latency.terms import TERMS, design

HERE = Path(__file__).parent

OURS = ("convnext", "edgenext", "efficientvit_mit", "efficientvit_msra")


def main() -> None:
    """Fit, write, print."""
    found = [calibrate(device) for device in CALIBRATED]
    for one in found:
        text = json.dumps(one.constants.to_dict(), indent=1)
        write_text(path_of(one.constants.device), _short_lists(text) + "\n")
    _write_csv("held_out.csv", _HELD_OUT, [line for one in found for line in _held_out_lines(one)])
    header = ("device", "source", "model", "resolution", "published_ms", "estimated_ms", "why_not")
    _write_csv("refused.csv", header, _refused_lines({one.constants.device: one.constants for one in found}))
    report = "\n\n".join(_report(found)) + "\n"
    write_text(HERE / "report.md", report)
    print(report)


_HELD_OUT = (
    *("device", "source", "model", "resolution", "family", "published_ms"),
    *("fitted_ms", "family_out_ms", "low_ms", "high_ms", "network_out_ms"),
)


def _held_out_lines(one: Calibration) -> Iterable[Sequence[object]]:
    numbers = zip(one.fitted_ms, one.family_out_ms, one.low_ms, one.high_ms, one.network_out_ms, strict=True)
    for row, family, values in zip(one.rows, one.families, numbers, strict=True):
        told = (row.device, row.source, row.model, row.key[1], family, f"{row.ms:g}")
        yield *told, *(f"{value:.4g}" for value in values)


def _refused_lines(known: dict[str, Constants]) -> Iterable[Sequence[object]]:
    for row in latencies():
        if why_not := refusal(row):
            ms = f"{_estimated_ms(row, known[row.device]):.4g}"
            yield row.device, row.source, row.model, row.key[1], f"{row.ms:g}", ms, why_not


def _estimated_ms(row: Published, known: Constants) -> float:
    groups = design(networks()[row.key].groups)
    return float(groups.group_ms(np.array(known.coefficients)).sum()) + known.addends_ms.get(row.addend, 0.0)


def _report(found: list[Calibration]) -> Iterable[str]:
    yield "# Calibration of the estimated devices"
    yield "Written by `refit.py`; do not edit. Published latencies in ms; TensorRT, FP16, batch 1."
    yield "## Error on what the fit had not seen"
    yield _table(
        ("device", "left out", "points", "families", "mean error", "within 10 %", "Kendall τ", "in the 90 % interval"),
        [line for one in found for line in _error_lines(one)],
    )
    yield (
        "Trees on top of the fit err more on left-out families than the fit alone, so a device without measurements of "
        "its own is served by the roofline; `fitted` and `lookup` serve devices that were calibrated with one's own."
    )
    yield from _unidentified(found)
    yield "## AGX Orin beside T4"
    yield "Networks at sizes that both have, as published and with the fitted host transfer of Orin's source taken off."
    yield _ratio(next(one.constants.addends_ms for one in found if one.constants.device == "orin"))
    yield "## Our families: published and estimated"
    header = ("device", "model", "side", "published", "fitted", "family left out", "interval", "source")
    yield _table(header, [line for one in found for line in _our_lines(one)])
    yield "## Error by family, each left out as a whole"
    yield _table(("device", "family", "rows", "mean of estimate / published - 1", "mean error"), _family_lines(found))
    yield "## Coefficients"
    names = [one.constants.device for one in found]
    values = zip(*(one.constants.coefficients for one in found), strict=True)
    lines = [(term.name, term.unit, *(f"{v:.4g}" for v in row)) for term, row in zip(TERMS, values, strict=True)]
    yield _table(("term", "unit", *names), lines)
    addends = (f"{one.constants.device} {one.constants.addends_ms}" for one in found if one.constants.addends_ms)
    yield f"Time that sources add to the network's own, ms: {'; '.join(addends)}."


def _error_lines(one: Calibration) -> Iterable[Sequence[str]]:
    for what, error in (("family", one.constants.held_out), ("network", one.constants.leave_network_out)):
        yield one.constants.device, what, *_error_cells(error)
    yield one.constants.device, "family, multiply-adds alone", *_error_cells(_from_macs(one))
    for name, found in _baselines(one).items():
        yield one.constants.device, f"family, {name}", *_error_cells(found)


def _baselines(one: Calibration) -> dict[str, HeldOut]:
    """The errors of `baselines.py`, for a device that it has."""
    with (HERE / "baselines.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == one.constants.device]
    names = {
        "unfused_roofline_ms": "an additive roofline on unfused counts",
        "boosting_on_counts_ms": "gradient boosting on operator counts",
        "trees_on_the_fit_ms": "the fit and trees on what it misses",
    }
    true_ms = [float(row["published_ms"]) for row in rows]
    families = len({row["family"] for row in rows})
    return {
        name: compared([float(row[column]) for row in rows], true_ms, groups=families)
        for column, name in names.items()
        if rows
    }


def _from_macs(one: Calibration) -> HeldOut:
    """The error of a line through log multiply-adds and log ms, families left out: what the roofline must beat."""
    macs = np.log([networks()[row.key].macs for row in one.rows])
    log_ms = np.log([row.ms for row in one.rows])
    families = np.array(one.families)
    found = np.empty(len(macs))
    for family in np.unique(families):
        left = families == family
        slope, offset = np.polyfit(macs[~left], log_ms[~left], 1)
        found[left] = offset + slope * macs[left]
    return compared(np.exp(found), np.exp(log_ms), groups=len(set(one.families)))


def _unidentified(found: list[Calibration]) -> Iterable[str]:
    """What the errors would be with the rows that do not say which network was timed."""
    for one in found:
        known = one.constants
        rows = [row for row in latencies() if row.device == known.device and row.why_not.startswith("which network")]
        if rows:
            off = [abs(_estimated_ms(row, known) / row.ms - 1) for row in rows]
            total = (known.held_out.mean_abs_pct / 100 * known.held_out.points + sum(off)) / (len(off) + len(one.rows))
            names = ", ".join(row.model for row in rows)
            yield (
                f"{known.device}: {names} were not used, since nothing says which network of the name was timed. "
                f"timm's are estimated {min(off):.0%} to {max(off):.0%} off; with them the mean error on left-out "
                f"families would be {total:.1%}."
            )


def _error_cells(error: HeldOut) -> tuple[str, ...]:
    coverage = "" if error.coverage is None else f"{error.coverage:.0%}"
    cells = (str(error.points), str(error.families), f"{error.mean_abs_pct:.1f} %")
    return *cells, f"{error.within_10_share:.0%}", f"{error.kendall_tau:.3f}", coverage


def _ratio(addends_ms: dict[str, float]) -> str:
    t4 = {row.key[:2]: row.ms for row in usable("t4")}
    shared = [row for row in usable("orin") if row.key[:2] in t4]
    lines = []
    for name, rows in (("all", shared), *((s, _of(s, shared)) for s in sorted({row.source for row in shared}))):
        ratios = np.array([row.ms / t4[row.key[:2]] for row in rows])
        bare = np.array([(row.ms - addends_ms.get(row.addend, 0.0)) / t4[row.key[:2]] for row in rows])
        means = (f"{np.exp(np.log(values).mean()):.2f}" for values in (ratios, bare))
        lines.append(
            (name, str(len(rows)), *means, f"{np.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}")
        )
    header = ("Orin's source", "shared rows", "geometric mean Orin / T4", "without transfer", "median", "range")
    return _table(header, lines)


def _of(source: str, rows: list[Published]) -> list[Published]:
    return [row for row in rows if row.source == source]


def _our_lines(one: Calibration) -> Iterable[Sequence[str]]:
    for i, row in enumerate(one.rows):
        if row.key[0].startswith("timm:") or one.families[i] not in OURS:
            continue
        interval = f"{one.low_ms[i]:.3g} to {one.high_ms[i]:.3g}"
        cells = (one.constants.device, row.model, str(row.key[1]), f"{row.ms:.4g}")
        yield *cells, f"{one.fitted_ms[i]:.3g}", f"{one.family_out_ms[i]:.3g}", interval, row.source


def _family_lines(found: list[Calibration]) -> Iterable[Sequence[str]]:
    for one in found:
        off = one.family_out_ms / np.array([row.ms for row in one.rows]) - 1
        for family in sorted(set(one.families)):
            mine = off[[name == family for name in one.families]]
            mean, error = f"{mine.mean():+.1%}", f"{np.abs(mine).mean():.1%}"
            yield one.constants.device, family, str(len(mine)), mean, error


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _short_lists(text: str) -> str:
    """Put innermost lists of numbers on one line."""
    lines: list[str] = []
    is_inside = False
    for line in text.splitlines():
        bare = line.strip()
        if is_inside:
            lines[-1] += bare if bare.startswith("]") else f"{bare} " if bare.endswith(",") else bare
            is_inside = not bare.startswith("]")
        else:
            lines.append(line)
            is_inside = bare.endswith("[") and '"spread"' not in bare
    return "\n".join(line.rstrip() for line in lines)


def _write_csv(name: str, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    write_text(HERE / name, text.getvalue())


if __name__ == "__main__":
    main()
