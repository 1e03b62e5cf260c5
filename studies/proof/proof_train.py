"""Train what was found and its rivals alike, from scratch: all once, the best of them from three seeds.

    python studies/data/make_npz.py --out DATA
    python studies/proof/proof_train.py --data DATA --work WORK [--workers 2]

What was found under a budget is the network with the highest score in the front of `search-BUDGET`. First every network
is trained from seed 0; then what was found, and of each budget the rivals within two points of the best one, from seeds
1 and 2. A training that the benchmark of hybrids has already done (same network, recipe, seed) is taken from there, and
a network that was found under two budgets is trained once. The command goes on where it was; several may run at the
same time.
"""

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import proof_paths  # noqa: F401
from bench_networks import HERE as BENCH
from bench_networks import Network, line, load
from bench_table import CURVES, RESULTS, add, read
from proof_rivals import BUDGETS_MS, HERE, RECIPE, RECIPE_NAME, SPECS
from proof_rivals import names as rivals

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.families.refit import Refit
from archlab.files import write_text
from archlab.reports import study_files
from archlab.study import result

__all__ = ["NETWORKS", "SEEDS", "accuracies", "found", "main", "name_of"]

NETWORKS = "networks.jsonl"
SEEDS = (0, 1, 2)
_NEAR = 2.0
"""Points; two seeds of a network here differed by 1.9 at most, in the benchmark of hybrids once by 3.8."""


def name_of(budget_ms: float) -> str:
    """The name of what was found under a budget."""
    return f"found_{budget_ms:g}ms"


def found(budget_ms: float) -> Network:
    """The network with the highest score that the search of a budget found within it, for images of the full side."""
    study = study_files.read(HERE / f"search-{budget_ms:g}ms")
    winner = result.best(study.trials)
    assert winner is not None
    assert winner.spec is not None
    refit = Refit(resolution=RECIPE.resolution, stem_divisor=RECIPE.stem_divisor, classes=RECIPE.classes)
    spec = refit.undo(winner.spec, classes=1000)
    assert RECIPE.small(spec) == winner.spec
    return Network(name=name_of(budget_ms), origin="found", macs=count(trace(winner.spec)).macs, spec=spec)


def accuracies() -> dict[str, dict[int, float]]:
    """Network → seed → top-1 in percent, as far as trained."""
    tops: dict[str, dict[int, float]] = defaultdict(dict)
    for row in read(HERE / RESULTS):
        if row["recipe"] == RECIPE_NAME and row["top1"]:
            tops[row["name"]][int(row["seed"])] = float(row["top1"])
    return tops


def _best() -> list[str]:
    """What was found, and of each budget the rivals whose accuracy is near to the highest."""
    tops, best = accuracies(), list[str]()
    for budget_ms in BUDGETS_MS:
        means = {name: statistics.fmean(tops[name].values()) for name in rivals(budget_ms)}
        best += [name_of(budget_ms), *(name for name in means if means[name] >= max(means.values()) - _NEAR)]
    return list(dict.fromkeys(best))


def _take_over(networks: list[Network], folder: Path) -> None:
    """Copy the rows of trainings that lie in a folder under another name; a network is known by its digest."""
    theirs = [row for row in read(folder / RESULTS) if row["recipe"] == RECIPE_NAME]
    for network in networks:
        small = RECIPE.small(network.spec).digest
        for other in {row["name"] for row in theirs if row["small"] == small}:
            for table in (CURVES, RESULTS):
                rows = [row for row in read(folder / table) if (row["name"], row["recipe"]) == (other, RECIPE_NAME)]
                add(HERE, {table: [row | {"name": network.name} for row in rows]})


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description="Train the networks of the proof.")
    parser.add_argument("--data", required=True, help="folder of the .npz files of make_npz.py")
    parser.add_argument("--work", required=True, help="folder of the trainings in hand")
    parser.add_argument("--workers", default="2", help="trainings at once")
    asked = parser.parse_args()
    networks = [*load(HERE / SPECS), *map(found, BUDGETS_MS)]
    write_text(HERE / NETWORKS, "".join(f"{line(network)}\n" for network in networks))
    once = {RECIPE.small(network.spec).digest: network.name for network in reversed(networks)}.values()
    _take_over(networks, BENCH)
    command = [sys.executable, str(BENCH / "train_bench.py"), "--data", asked.data, "--work", asked.work]
    command += ["--out", str(HERE), "--specs", str(HERE / NETWORKS), "--recipe", RECIPE_NAME]
    command += ["--workers", asked.workers]
    subprocess.run([*command, "--seeds", "0", "--only", *once], check=True)
    _take_over(networks, HERE)
    best = [name for name in _best() if name in once]
    subprocess.run([*command, "--seeds", *map(str, SEEDS), "--only", *best], check=True)
    _take_over(networks, HERE)


if __name__ == "__main__":
    main()
