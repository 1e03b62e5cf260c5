"""Judge every score by the trained networks: Kendall's τ overall, at equal cost and at equal measured latency.

    python studies/hybrid_bench/bench_judge.py [--recipe cifar10] [--of full]

Reads results.csv, curves.csv, latency.csv, scores.csv; writes judge-RECIPE-OF.csv and .md. Which pairs count, and how
intervals are made, is said in `archlab.proxy.judging`; which scores are put together, in `bench_combine`.

The half `tune` chooses and weighs the combinations; what is reported is the half `report`, and the column `tuned` tells
τ at equal cost on the other. `another seed` says how well one training from another seed ranks those networks of the
half that have several: no score can be expected to do better. `top-1 after epoch N` is of the training that is judged,
and shares its noise. `top-1 by RECIPE` is what the same networks reached by another recipe, from one seed or more.
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
from bench_combine import combinations
from bench_networks import HERE
from bench_recipes import RECIPES
from bench_table import CURVES, RESULTS, read
from latency_bench import LATENCY
from score_bench import SCORES

from archlab.files import write_text
from archlab.proxy.evidence import table
from archlab.proxy.judging import (
    BASELINES,
    EQUAL_COST,
    PARTS,
    Bench,
    Correlation,
    correlations,
    deviation_between_seeds,
    least_gap,
)
from archlab.proxy.ranking import Estimate, Floats, Mask

__all__ = ["Judged", "bench_of", "judge", "latencies", "main", "tops", "trained"]

_AS_TRAINED = " as trained"
_ELSEWHERE = "top-1 by "
_BASELINE = "params"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
    """Correlations on the half `report`; by score, τ at equal cost on `tune`, and its gain over params on `report`."""

    rows: list[Correlation]
    tuned: dict[str, float]
    gains: dict[str, Estimate]


def judge(bench: Bench, scores: Mapping[str, Floats], seconds: Mapping[str, float], is_report: Mask) -> Judged:
    """Every score, alone and together with others."""
    own = {
        name: values
        for name, values in scores.items()
        if not (name.endswith(_AS_TRAINED) or name.startswith(_ELSEWHERE))
    }
    untrained = {name: values for name, values in own.items() if ":" not in name and "epoch" not in name}
    put_together = combinations(bench, untrained, ~is_report, among=", no training")
    known = {one.members for one in put_together}
    with_training = combinations(bench, own, ~is_report, among=", with training")
    put_together += [one for one in with_training if one.members not in known]
    everything = {**scores, **{one.title: one.values for one in put_together}}
    times = {**seconds, **{one.title: _sum(seconds, one.members) for one in put_together}}
    tuning, reported = bench.only(~is_report), bench.only(is_report)
    params = scores[f"{_BASELINE}{_AS_TRAINED}"][is_report]
    return Judged(
        rows=correlations(
            reported,
            {name: values[is_report] for name, values in everything.items()},
            {name: value for name, value in times.items() if math.isfinite(value)},
        ),
        tuned={name: tuning.tau(values[~is_report]) for name, values in everything.items()},
        gains={name: reported.gain(values[is_report], params) for name, values in everything.items()},
    )


def _sum(seconds: Mapping[str, float], members: frozenset[str]) -> float:
    """Seconds of a combination, as if its members shared nothing; NaN where one is not known."""
    return sum(seconds.get(name, math.nan) for name in members)


def trained(folder: Path, recipe: str) -> list[dict[str, str]]:
    """The rows of one recipe that have an accuracy, by network and seed."""
    return [row for row in read(folder / RESULTS) if row["recipe"] == recipe and row["top1"]]


def tops(rows: Sequence[Mapping[str, str]]) -> dict[str, list[float]]:
    """Network → accuracies, the first seed first."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        found[row["name"]].append(float(row["top1"]))
    return found


def latencies(folder: Path) -> dict[str, float]:
    """Digest of the network as trained → measured latency (ms)."""
    return {row["small"]: float(row["latency_ms"]) for row in read(folder / LATENCY) if row["quality"] != "failed"}


def bench_of(folder: Path, rows: Sequence[Mapping[str, str]]) -> tuple[Bench, Mask]:
    """The networks, and which are of the half `report`."""
    accuracies, timed = tops(rows), latencies(folder)
    facts = {row["name"]: row for row in rows}
    bench = Bench(
        names=tuple(accuracies),
        top1=np.array([statistics.fmean(values) for values in accuracies.values()]),
        macs=np.array([float(facts[name]["macs"]) for name in accuracies]),
        latency_ms=np.array([timed.get(facts[name]["small"], math.nan) for name in accuracies]),
        gap=least_gap(deviation_between_seeds(accuracies.values())),
    )
    return bench, np.array([facts[name]["half"] == "report" for name in accuracies])


def _another_seed(rows: Sequence[Mapping[str, str]], bench: Bench, is_report: Mask) -> list[Correlation]:
    """The first seed as a score of the mean of the others; nothing where no network has two."""
    accuracies = tops(rows)
    has = is_report & np.array([len(accuracies[name]) > 1 for name in bench.names])
    names = [name for name, is_in in zip(bench.names, has, strict=True) if is_in]
    if len(names) < 2:
        return []
    others = np.array([statistics.fmean(accuracies[name][1:]) for name in names])
    first = np.array([accuracies[name][0] for name in names])
    return correlations(dataclasses.replace(bench.only(has), top1=others), {"another seed": first}, {})


def _scores(
    folder: Path, recipe: str, of: str, bench: Bench, rows: Sequence[Mapping[str, str]]
) -> tuple[dict[str, Floats], dict[str, float]]:
    """Score → values in the order of the networks (NaN: none), and its median seconds."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in read(folder / SCORES):
        if row["of"] == of and row["score"]:
            found[row["proxy"]][row["name"]] = float(row["score"])
            seconds[row["proxy"]] += [float(row["seconds"])] if row["seconds"] else []
    facts = {row["name"]: row for row in rows}
    for name in bench.names:  # a baseline is always there: that of the network as trained
        for count in ("params", "macs", "activations"):
            found[f"{count}{_AS_TRAINED}"][name] = math.log(float(facts[name][count]))
    for row in read(folder / CURVES):
        if row["recipe"] == recipe and row["seed"] == "0" and int(row["epoch"]) < RECIPES[recipe].epochs:
            label = f"top-1 after epoch {row['epoch']}"
            found[label][row["name"]] = float(row["top1"])
            seconds[label].append(float(row["seconds"]) * int(row["epoch"]))
    for other in (one for one in RECIPES if one != recipe):
        for name, values in tops(trained(folder, other)).items():
            found[f"{_ELSEWHERE}{other}"][name] = statistics.fmean(values)
    arrays = {name: np.array([values.get(net, math.nan) for net in bench.names]) for name, values in found.items()}
    return arrays, {name: statistics.median(values) for name, values in seconds.items() if values}


def _csv(judged: Judged, seeds: Sequence[Correlation]) -> str:
    """The table of correlations, and at equal cost the columns `tuned`, `gain`, `gain_low` and `gain_high`."""
    lines = list(csv.reader(io.StringIO(table([*judged.rows, *seeds]))))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*lines[0], "tuned", "gain", "gain_low", "gain_high"])
    for line in lines[1:]:
        numbers: list[float] = []
        if line[0] in judged.tuned and line[1] == EQUAL_COST:
            gained = judged.gains[line[0]]
            numbers = [judged.tuned[line[0]], gained.value, gained.low, gained.high]
        writer.writerow([*line, *(f"{value:.4f}" for value in numbers), *[""] * (4 - len(numbers))])
    return text.getvalue()


def _markdown(
    asked: argparse.Namespace,
    bench: Bench,
    is_report: Mask,
    deviation: float | None,
    judged: Judged,
    seeds: Sequence[Correlation],
) -> str:
    recipe = RECIPES[asked.recipe]
    between = "not known: one seed each" if deviation is None else f"{deviation:.2f} points"
    lines: dict[str, dict[str, Correlation]] = defaultdict(dict)
    for row in [*judged.rows, *seeds]:
        lines[row.proxy][row.part] = row
    pairs = {part: max((parts[part].pairs for parts in lines.values() if part in parts), default=0) for part in PARTS}
    told = (
        f"{len(bench.names)} networks, {int(is_report.sum())} of them in the half that is reported here; "
        f"{recipe.images:,} images × {recipe.epochs} epochs of {recipe.data} at {recipe.resolution} px. Top-1 from "
        f"{bench.top1.min():.1f} to {bench.top1.max():.1f} %; its deviation between seeds: {between}. Kendall's τ "
        f"with 95 % intervals over pairs at least {bench.gap:.2f} points apart; pairs: "
        f"{', '.join(f'{part} {number}' for part, number in pairs.items())}. `tuned` is τ at equal cost on the other "
        "half, on which combinations were chosen; `over params` is what τ at equal cost gains over the parameters of "
        "the networks as trained, on the same draws."
    )
    heading = f"# Which score ranks networks truly? {asked.recipe}, networks scored as {asked.of}"
    columns = ["score", *PARTS, "tuned", "over params", "Spearman", "networks", "seconds"]
    page = [heading, "", told, "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    page += [_line(name, parts, judged) for name, parts in lines.items()]
    return "\n".join(page) + "\n"


def _line(name: str, parts: Mapping[str, Correlation], judged: Judged) -> str:
    one, gained = next(iter(parts.values())), judged.gains.get(name)
    rho = next((row.spearman for row in parts.values() if row.spearman is not None), None)
    cells = [
        f"**{name}**" if name.removesuffix(_AS_TRAINED) in BASELINES else name,
        *(_words(row.tau, row.low, row.high) if row else "–" for row in map(parts.get, PARTS)),
        _number(judged.tuned.get(name)),
        _words(gained.value, gained.low, gained.high) if gained else "–",
        _number(rho),
        str(one.networks),
        _number(one.seconds),
    ]
    return f"| {' | '.join(cells)} |"


def _words(value: float, low: float, high: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f} ({low:.2f} to {high:.2f})"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def main() -> None:
    """Write the tables of one recipe."""
    parser = argparse.ArgumentParser(description="Judge every score by the trained networks.")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the tables")
    parser.add_argument("--out", type=Path, help="where to write; that folder if left out")
    parser.add_argument("--recipe", choices=list(RECIPES), default="cifar10")
    parser.add_argument("--of", choices=["full", "small"], default="full", help="how networks were scored")
    asked = parser.parse_args()
    rows = trained(asked.folder, asked.recipe)
    bench, is_report = bench_of(asked.folder, rows)
    scores, seconds = _scores(asked.folder, asked.recipe, asked.of, bench, rows)
    judged = judge(bench, scores, seconds, is_report)
    seeds = _another_seed(rows, bench, is_report)
    stem = (asked.out or asked.folder) / f"judge-{asked.recipe}-{asked.of}"
    write_text(stem.with_suffix(".csv"), _csv(judged, seeds))
    deviation = deviation_between_seeds(tops(rows).values())
    write_text(stem.with_suffix(".md"), _markdown(asked, bench, is_report, deviation, judged, seeds))


if __name__ == "__main__":
    main()
