"""Which knob moves the latency, and why do the MACs not say so? One change at a time, everything beside it.

For each change (`knobs`) stand side by side what moved: milliseconds (in pairs of runs on a device that answers, else
by the device's estimate), MACs, parameters, bytes between memory and kernels, kernels launched, and an accuracy score.
Traffic and kernels are those of the fused groups that the runtime is known to make, counted at their borders, so they
explain what multiply-adds cannot: work without MACs, work that moves more than it computes, and many small kernels.

Changes of the latency within `_LEVEL`, or whose interval holds 0, count as level.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from archlab import proxy
from archlab.analysis.finding import Conditions, Finding, Subject
from archlab.analysis.knobs import Change, changes
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.device.catalog import Device, RunSpec
from archlab.device.comparison import compare
from archlab.device.measure import workload
from archlab.device.runtime import Workload
from archlab.errors import PlanError, ProxyError, four_parts
from archlab.figures import Shift, draw_shifts
from archlab.latency import PREDICTORS, features, predictor_for
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.spec import ArchSpec

__all__ = ["Cost", "sensitivity", "why"]

_LEVEL = 0.01
_STILL, _MOVED = 0.02, 0.05
_PAIR_S = 2.0
_FUSION = {"ort": "ort", "openvino": "ort", "torch": "eager", "cuda": "eager", "cuda_graph": "eager"}
"""Runtime → whose fusion rules; the others fuse as TensorRT does, near enough."""
_WORDS = {"kernels": "kernels", "traffic": "memory traffic", "quiet": "traffic of kernels without MACs"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What is counted of a network: `traffic` of its fused kernels in elements, `quiet` that of those without MACs."""

    macs: float
    params: float
    traffic: float
    quiet: float
    kernels: float


def sensitivity(subject: Subject, conditions: Conditions) -> Finding:
    """Turn the knobs of a network one at a time.

    Returns:
        One row per change, the largest move of the latency first: `knob`, `place`, `before`, `after`; `ms_change`
        with `low` and `high` where it was measured, `macs_change`, `params_change`, `traffic_change`,
        `kernels_change` as fractions; `ms`, `score`, `score_change`; `verdict` on the latency; `why` in words.

    Raises:
        PlanError: For a network without a spec, or none of whose knobs can be turned.
        UnknownNameError: For a knob or a proxy that does not exist.
    """
    spec, place, run = subject.required_spec("sensitivity"), conditions.place, conditions.run
    assert place is not None
    turned = changes(spec, subject.family, conditions.knobs)
    if not turned:
        raise PlanError(
            four_parts(
                f"{subject.name} has none of these knobs",
                given=", ".join(conditions.knobs) or "all knobs",
                allowed="knobs that its blocks have",
                do="leave the knobs out to see which there are",
            )
        )
    clock = _Clock(spec, place, run)
    base, base_score = cost(spec, run), _score(spec, conditions)
    rows = []
    for number, change in enumerate(turned, 1):
        named = f"{change.knob} {change.place} {change.before} → {change.after}"
        conditions.on_progress(f"{subject.name}: {number} of {len(turned)}, {named}")
        rows.append(_row(change, clock.ratio(change.spec), (base, cost(change.spec, run))))
        score = _score(change.spec, conditions)
        rows[-1] |= {"score": score, "score_change": score - base_score, "digest": change.spec.digest}
    rows.sort(key=lambda row: -abs(row["ms_change"]))
    table = pd.DataFrame(rows).assign(
        model=subject.name, device=place.name, source=clock.source, score_source=f"proxy:{_proxy(conditions)}"
    )
    return Finding(
        name="sensitivity",
        model=subject.name,
        rows=table,
        sentence=_sentence(subject.name, rows, clock.source),
        draw=lambda: _figure(table),
    )


def cost(spec: ArchSpec, run: RunSpec) -> Cost:
    """Count a network as the run's runtime fuses it."""
    walked = trace(spec, batch=run.batch)
    found = features(walked, _FUSION.get(run.runtime, "trt"))
    report = count(walked)
    elems = found.column("read_elems") + found.column("write_elems")
    return Cost(
        macs=report.macs,
        params=report.params,
        traffic=float(elems.sum()),
        quiet=float(elems[found.column("macs") == 0].sum()),
        kernels=found.count(),
    )


def why(ms_change: float, verdict: str, before: Cost, after: Cost) -> str:
    """Say in words why latency and MACs do not move together; nothing where they do.

    Args:
        ms_change: Change of the latency, as a fraction.
        verdict: ``slower``, ``faster`` or ``level``.
        before: The network as it was.
        after: The changed one.
    """
    macs = after.macs / before.macs - 1
    moves = {name: getattr(after, name) / max(getattr(before, name), 1.0) - 1 for name in _WORDS}
    told = ", ".join(f"{_WORDS[name]} {_percent(move)}" for name, move in moves.items())
    if verdict == "level":
        return f"MACs {_percent(macs)}, but {told}" if abs(macs) >= _MOVED else ""
    with_it = macs * ms_change > 0
    if with_it and abs(macs) > _STILL:
        return ""
    causes = [n for n, move in moves.items() if move * ms_change > 0 and abs(move) >= _LEVEL / 2]
    head = f"MACs {_percent(macs)}: "
    if not causes:
        return head + f"{told} do not say so; kernels of the same size take another time (another function or shape)"
    return head + "it goes with " + ", ".join(f"{_WORDS[name]} {_percent(moves[name])}" for name in causes)


class _Clock:
    """Ratios of latencies to that of one network: in pairs of runs where the device answers, else estimated."""

    def __init__(self, spec: ArchSpec, place: Device, run: RunSpec) -> None:
        self._place = place
        self._run = dataclasses.replace(run, max_s=_PAIR_S)
        self._base: Workload | None = self._work(spec) if place.reach else None
        self._predictor = "" if place.reach else predictor_for(place)
        self._base_ms = math.nan if place.reach else self._estimate(spec)
        how = f"measured:{run.runtime}" if place.reach else f"estimated:{self._predictor}"
        self.source = f"{how}@{place.name}"

    def ratio(self, spec: ArchSpec) -> tuple[float, float, float, float]:
        """Latency in ms, its ratio to the first network's, and the ends of the ratio's interval (nan: none)."""
        if not self._place.reach:
            ms = self._estimate(spec)
            return ms, ms / self._base_ms, math.nan, math.nan
        assert self._base is not None
        found = compare(self._work(spec), self._base, self._place, self._run)
        return found.a_ms, found.ratio, *found.ci95

    def _work(self, spec: ArchSpec) -> Workload:
        side = spec.resolution
        return workload(fold(build(spec)), self._run, (self._run.batch, 3, side, side))

    def _estimate(self, spec: ArchSpec) -> float:
        return PREDICTORS[self._predictor].predict(trace(spec, batch=self._run.batch), self._place, self._run).ms


def _row(change: Change, ratio: tuple[float, float, float, float], costs: tuple[Cost, Cost]) -> dict[str, Any]:
    ms, times, low, high = ratio
    before, after = costs
    is_level = abs(times - 1) < _LEVEL or low <= 1 <= high
    verdict = "level" if is_level else "slower" if times > 1 else "faster"
    return {
        "knob": change.knob,
        "place": change.place,
        "before": change.before,
        "after": change.after,
        "ms": ms,
        "ms_change": times - 1,
        "low": low - 1,
        "high": high - 1,
        "verdict": verdict,
        "macs_change": after.macs / before.macs - 1,
        "params_change": after.params / before.params - 1,
        "traffic_change": after.traffic / before.traffic - 1,
        "kernels_change": after.kernels / before.kernels - 1,
        "why": why(times - 1, verdict, before, after),
    }


def _proxy(conditions: Conditions) -> str:
    return conditions.proxy or proxy.DEFAULT


def _score(spec: ArchSpec, conditions: Conditions) -> float:
    """The accuracy score; nan where a network has none."""
    try:
        return proxy.score(_proxy(conditions), spec, seed=conditions.seed).score
    except ProxyError:
        return math.nan


def _sentence(name: str, rows: Sequence[dict[str, Any]], source: str) -> str:
    """Which change moves the latency most, and how often MACs and latency part."""
    moved = [row for row in rows if row["verdict"] != "level"]
    if not moved:
        return f"None of {len(rows)} changes to {name} moves the latency ({source})."
    silent = [row for row in moved if abs(row["macs_change"]) <= _STILL]
    against = [row for row in moved if row["macs_change"] * row["ms_change"] < 0 and row not in silent]
    idle = [row for row in rows if row["verdict"] == "level" and abs(row["macs_change"]) >= _MOVED]
    text = (
        f"Of {len(rows)} changes to {name}, {_named(rows[0])} moves the latency most ({source}); in {len(silent)} the "
        f"latency moves and the MACs stay within {100 * _STILL:.0f} %"
    )
    if silent and silent[0] is not rows[0]:
        text += f", most of all {_named(silent[0])}"
    return (
        f"{text}; in {len(against)} they move apart; in {len(idle)} the MACs move by {100 * _MOVED:.0f} % or more and "
        f"the latency is level."
    )


def _named(row: dict[str, Any]) -> str:
    where = "" if row["place"] == "network" else f" in {row['place']}"
    return (
        f"{row['knob']}{where} {row['before']} → {row['after']} ({_percent(row['ms_change'])} ms, "
        f"{_percent(row['macs_change'])} MACs)"
    )


def _at(place: str) -> str:
    return "" if place == "network" else f" ({place})"


def _percent(part: float) -> str:
    return f"{100 * part:+.1f} %"


def _figure(rows: pd.DataFrame) -> Any:
    table: Any = rows.to_dict("records")
    shifts = [
        Shift(
            group=row["knob"],
            x=100 * row["macs_change"],
            y=100 * row["ms_change"],
            label=f"{row['knob']}{_at(row['place'])} → {row['after']}",
            is_hollow=row["verdict"] == "level",
        )
        for row in table
    ]
    first = rows.iloc[0]
    return draw_shifts(
        shifts,
        title=f"{first.model}, one change at a time, {first.source}",
        x_title="change of the MACs (%)",
        y_title="change of the latency (%)",
    )
