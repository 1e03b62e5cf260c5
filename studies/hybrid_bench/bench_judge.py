"""Judge every score by the trained networks: Kendall's τ overall, at equal cost and at equal measured latency.

    python studies/hybrid_bench/bench_judge.py [--recipe cifar10] [--of full]

Reads specs.jsonl, results.csv, curves.csv, latency.csv, scores.csv; writes judge-RECIPE-OF.csv and .md. Equal cost: the
multiply-adds lie within a factor of 1.5; equal latency: within 1.25. Pairs count whose accuracies differ by more than
one standard deviation of such a difference between seeds. Intervals draw the networks again a thousand times.

The half `tune` chooses the combination: standardised scores are added up one by one, as long as τ at equal cost grows
there by 0.01. What is reported of it is the half `report`, on which everything else is shown too. `another seed` says
how well one training from another seed ranks those networks of the half that have several: no score can be expected to
do better. `top-1 after epoch N` is of the training that is judged, and shares its noise.
"""

import argparse
import csv
import dataclasses
import io
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from bench_networks import HERE
from bench_recipes import RECIPES
from bench_table import CURVES, RESULTS, read
from latency_bench import LATENCY
from rank_statistics import Floats, Tau, near, tau
from score_bench import SCORES

from archlab.files import write_text

__all__ = ["Bench", "combine", "judge", "main", "noise"]

_COST, _LATENCY = 1.5, 1.25
_PARTS = ("all pairs", "equal cost", "equal latency")
_MOST_MEMBERS, _LEAST_GAIN = 4, 0.01
_BASELINES = ("params", "macs")
_AS_TRAINED = " as trained"
_GAP = 0.5
"""Points, where no network was trained from two seeds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """The trained networks, in one order: `(n,)` each; a latency that was not measured is NaN."""

    names: list[str]
    is_report: np.ndarray
    top1: Floats
    macs: Floats
    latency_ms: Floats
    gap: float

    def taus(self, scores: Floats, rows: np.ndarray) -> dict[str, Tau]:
        """τ over the pairs of some networks, those that have no such score left out."""
        at = np.flatnonzero(rows & np.isfinite(scores))
        found = {"all pairs": tau(scores[at], self.top1[at], gap=self.gap)}
        found["equal cost"] = tau(scores[at], self.top1[at], gap=self.gap, pairs=near(self.macs[at], _COST))
        timed = at[np.isfinite(self.latency_ms[at])]
        alike = near(self.latency_ms[timed], _LATENCY)
        found["equal latency"] = tau(scores[timed], self.top1[timed], gap=self.gap, pairs=alike)
        return found


def noise(tops: Mapping[str, Sequence[float]]) -> float | None:
    """Standard deviation (points) of a training's accuracy over seeds, pooled; None where each has one seed."""
    runs = [values for values in tops.values() if len(values) > 1]
    if not runs:
        return None
    squares = sum(statistics.variance(values) * (len(values) - 1) for values in runs)
    return math.sqrt(squares / sum(len(values) - 1 for values in runs))


def combine(bench: Bench, scores: Mapping[str, Floats]) -> list[str]:
    """Choose on the half `tune` which standardised scores to add up; only scores that every network has."""
    whole = {name: values for name, values in scores.items() if np.isfinite(values).all()}
    chosen: list[str] = []
    reached = -math.inf
    while len(chosen) < _MOST_MEMBERS:
        tried = {
            name: bench.taus(_sum(bench, whole, [*chosen, name]), ~bench.is_report)["equal cost"].value
            for name in whole.keys() - set(chosen)
        }
        best = max(sorted(tried), key=lambda name: tried[name], default=None)
        if best is None or not tried[best] >= reached + _LEAST_GAIN:
            break
        chosen, reached = [*chosen, best], tried[best]
    return chosen


def _sum(bench: Bench, scores: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    """Sum of scores, each with mean 0 and deviation 1 on the half `tune`."""
    total = np.zeros(len(bench.names))
    for name in names:
        tuned = scores[name][~bench.is_report]
        total += (scores[name] - tuned.mean()) / (tuned.std() or 1.0)
    return total


def judge(bench: Bench, scores: Mapping[str, Floats]) -> dict[str, dict[str, Tau]]:
    """Score → part → τ on the half `report`: every score, the baselines first, and the combination, last."""
    ordered = sorted(scores, key=lambda name: (name not in _BASELINES, name))
    found = {name: bench.taus(scores[name], bench.is_report) for name in ordered}
    own = {name: values for name, values in scores.items() if not name.endswith(_AS_TRAINED)}
    untrained = {name: values for name, values in own.items() if ":" not in name and "epoch" not in name}
    for title, among in (("combined, no training", untrained), ("combined", own)):
        members = combine(bench, among)
        if members:
            label = f"{title}: {' + '.join(members)}"
            found[label] = bench.taus(_sum(bench, among, members), bench.is_report)
    return found


def _trained(folder: Path, recipe: str) -> list[dict[str, str]]:
    """The rows of one recipe that have an accuracy, by network and seed."""
    return [row for row in read(folder / RESULTS) if row["recipe"] == recipe and row["top1"]]


def _tops(rows: Sequence[Mapping[str, str]]) -> dict[str, list[float]]:
    """Network → accuracies, the first seed first."""
    tops: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        tops[row["name"]].append(float(row["top1"]))
    return tops


def _another_seed(rows: Sequence[Mapping[str, str]], bench: Bench) -> dict[str, dict[str, Tau]]:
    """τ of the first seed with the mean of the others; empty where no network has two."""
    tops = _tops(rows)
    first = np.array([tops[name][0] if len(tops[name]) > 1 else math.nan for name in bench.names])
    others = np.array([statistics.fmean(tops[name][1:] or tops[name]) for name in bench.names])
    found = dataclasses.replace(bench, top1=others).taus(first, bench.is_report)
    return {"another seed": found} if found["all pairs"].pairs else {}


def _bench(folder: Path, rows: Sequence[Mapping[str, str]]) -> tuple[Bench, float | None]:
    tops = _tops(rows)
    facts = {row["name"]: row for row in rows}
    timed = {row["small"]: float(row["latency_ms"]) for row in read(folder / LATENCY) if row["quality"] != "failed"}
    spread = noise(tops)
    bench = Bench(
        names=list(tops),
        is_report=np.array([facts[name]["half"] == "report" for name in tops]),
        top1=np.array([statistics.fmean(values) for values in tops.values()]),
        macs=np.array([float(facts[name]["macs"]) for name in tops]),
        latency_ms=np.array([timed.get(facts[name]["small"], math.nan) for name in tops]),
        gap=_GAP if spread is None else math.sqrt(2) * spread,
    )
    return bench, spread


def _scores(
    folder: Path, recipe: str, of: str, bench: Bench, rows: Sequence[Mapping[str, str]]
) -> tuple[dict[str, Floats], dict[str, float]]:
    """Score → values in the order of the networks (NaN: none), and its median seconds."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in read(folder / SCORES):
        if row["of"] == of and row["score"]:
            found[row["proxy"]][row["name"]] = float(row["score"])
            seconds[row["proxy"]].append(float(row["seconds"]))
    facts = {row["name"]: row for row in rows}
    for name in bench.names:  # a baseline is always there: that of the network as trained
        for count in ("params", "macs", "activations"):
            found.setdefault(f"{count}{_AS_TRAINED}", {})[name] = math.log(float(facts[name][count]))
    for row in read(folder / CURVES):
        if row["recipe"] == recipe and row["seed"] == "0" and int(row["epoch"]) < RECIPES[recipe].epochs:
            label = f"top-1 after epoch {row['epoch']}"
            found[label][row["name"]] = float(row["top1"])
            seconds[label].append(float(row["seconds"]) * int(row["epoch"]))
    arrays = {name: np.array([values.get(net, math.nan) for net in bench.names]) for name, values in found.items()}
    return arrays, {name: statistics.median(values) for name, values in seconds.items()}


def _csv(found: Mapping[str, Mapping[str, Tau]], seconds: Mapping[str, float]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["score", "part", "tau", "low", "high", "pairs", "seconds"])
    for name, parts in found.items():
        for part, one in parts.items():
            values = [f"{value:.4f}" for value in (one.value, one.low, one.high)]
            writer.writerow([name, part, *values, one.pairs, f"{seconds[name]:.3f}" if name in seconds else ""])
    return text.getvalue()


def _words(one: Tau) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" if one.pairs else "–"


def _markdown(
    asked: argparse.Namespace, bench: Bench, spread: float | None, found: Mapping[str, Mapping[str, Tau]]
) -> str:
    recipe = RECIPES[asked.recipe]
    pairs = {part: max(parts[part].pairs for parts in found.values()) for part in _PARTS}
    deviation = "not known: one seed each" if spread is None else f"{spread:.2f} points"
    told = (
        f"{len(bench.names)} networks, {int(bench.is_report.sum())} of them in the half that is reported here; "
        f"{recipe.images:,} images × {recipe.epochs} epochs of {recipe.data} at {recipe.resolution} px. Top-1 from "
        f"{bench.top1.min():.1f} to {bench.top1.max():.1f} %; its deviation between seeds: {deviation}. Kendall's τ "
        f"with 95 % intervals; pairs: {', '.join(f'{part} {number}' for part, number in pairs.items())}."
    )
    heading = f"# Which score ranks networks truly? {asked.recipe}, networks scored as {asked.of}"
    lines = [heading, "", told, "", f"| score | {' | '.join(_PARTS)} |", "|---|---|---|---|"]
    ranked = sorted(found, key=lambda name: -np.nan_to_num(found[name]["equal cost"].value, nan=-2))
    lines += [f"| {name} | {' | '.join(_words(found[name][part]) for part in _PARTS)} |" for name in ranked]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the tables of one recipe."""
    parser = argparse.ArgumentParser(description="Judge every score by the trained networks.")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the tables")
    parser.add_argument("--out", type=Path, help="where to write; that folder if left out")
    parser.add_argument("--recipe", choices=list(RECIPES), default="cifar10")
    parser.add_argument("--of", choices=["full", "small"], default="full", help="how networks were scored")
    asked = parser.parse_args()
    rows = _trained(asked.folder, asked.recipe)
    bench, spread = _bench(asked.folder, rows)
    scores, seconds = _scores(asked.folder, asked.recipe, asked.of, bench, rows)
    found = judge(bench, scores) | _another_seed(rows, bench)
    stem = (asked.out or asked.folder) / f"judge-{asked.recipe}-{asked.of}"
    write_text(stem.with_suffix(".csv"), _csv(found, seconds))
    write_text(stem.with_suffix(".md"), _markdown(asked, bench, spread, found))


if __name__ == "__main__":
    main()
