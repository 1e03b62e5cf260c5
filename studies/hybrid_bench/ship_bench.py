"""Write what of the benchmark comes with the package: its networks, and what is known of every score.

    python studies/hybrid_bench/ship_bench.py [--recipe cifar10]

Reads the tables of this folder, judge-RECIPE-full.csv (`bench_judge.py`) among them, and `summary.csv` and
`variants_scores.csv` of `studies/published`; writes `archlab/proxy/data/hybrid_bench.json.gz` and `correlations.csv`
beside it. A network is shipped if it was trained by the recipe; a correlation, if a score of the package has it alone.
Of published accuracies those pairs are taken that were trained alike, each network predicted without having seen its
family, and for scores without training the variants that archlab can build, whatever their recipe.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from bench_judge import latencies, tops, trained
from bench_networks import HERE, load
from bench_recipes import RECIPES

from archlab.files import write_bytes, write_text
from archlab.proxy import PROXIES
from archlab.proxy.evidence import BENCHMARK, CORRELATIONS, Benchmark, Trained, pack, read_table, table
from archlab.proxy.judging import EQUAL_COST, Correlation

__all__ = ["benchmark", "judged", "main", "published"]

_SUMMARY = HERE.parent / "published" / "summary.csv"
_VARIANTS = _SUMMARY.with_name("variants_scores.csv")
_SET = "same recipe"
_WAYS = {
    "published, asked for one recipe": "published",
    "parameters": "params",
    "multiply-adds": "macs",
    "activations": "activations",
}
"""Row of the summary → our score."""


def words(recipe: str) -> str:
    """How the networks were trained."""
    one = RECIPES[recipe]
    return f"{one.epochs} epochs on {one.images:,} images of {one.data} at {one.resolution} px"


def benchmark(folder: Path, specs: Path, recipe: str) -> Benchmark:
    """The networks of one recipe that have an accuracy, in the order of the judge, so that intervals come out alike."""
    rows = trained(folder, recipe)
    facts, accuracies, timed = {row["name"]: row for row in rows}, tops(rows), latencies(folder)
    known = {network.name: network for network in load(specs)}
    networks = (
        Trained(
            name=network.name,
            origin=network.origin,
            half=facts[network.name]["half"],
            macs=int(facts[network.name]["macs"]),
            latency_ms=timed.get(facts[network.name]["small"]),
            top1=tuple(accuracies[network.name]),
            spec=network.spec,
        )
        for network in map(known.__getitem__, accuracies)
    )
    return Benchmark(recipe=words(recipe), networks=tuple(networks))


def judged(folder: Path, recipe: str) -> Iterator[Correlation]:
    """What the judge found of the scores that the package has."""
    source = f"{words(recipe)}, studies/hybrid_bench"
    for row in read_table(folder / f"judge-{recipe}-full.csv"):
        name = row.proxy.partition(":")[0]
        if name in PROXIES:
            yield Correlation(**{**row.to_dict(), "proxy": name, "source": source})


def published(path: Path) -> Iterator[Correlation]:
    """What is known from published accuracies; a row without an interval is none."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["set"] == _SET and row["way"] in _WAYS and row["tau_low"]:
                yield Correlation(
                    proxy=_WAYS[row["way"]],
                    part=EQUAL_COST,
                    tau=float(row["tau"]),
                    low=float(row["tau_low"]),
                    high=float(row["tau_high"]),
                    pairs=int(row["pairs"]),
                    networks=int(row["networks"]),
                    source="published ImageNet-1k accuracies of one recipe, families left out, studies/published",
                )


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Write the data of the package.")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the tables")
    parser.add_argument("--specs", type=Path, default=HERE / "specs.jsonl")
    parser.add_argument("--summary", type=Path, default=_SUMMARY, help="studies/published/summary.csv")
    parser.add_argument("--variants", type=Path, default=_VARIANTS, help="studies/published/variants_scores.csv")
    parser.add_argument("--recipe", choices=list(RECIPES), default="cifar10")
    parser.add_argument("--out", type=Path, default=BENCHMARK.parent)
    asked = parser.parse_args()
    found = benchmark(asked.folder, asked.specs, asked.recipe)
    if found.networks:
        write_bytes(asked.out / BENCHMARK.name, pack(found))
    rows = [*judged(asked.folder, asked.recipe), *published(asked.summary), *read_table(asked.variants)]
    write_text(asked.out / CORRELATIONS.name, table(rows))


if __name__ == "__main__":
    main()
