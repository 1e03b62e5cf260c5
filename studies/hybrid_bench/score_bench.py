"""Score every network of specs.jsonl by every proxy: one row of scores.csv per network and proxy.

    python studies/hybrid_bench/score_bench.py [--first 64] [--of full small] [--recipe cifar10]
    python studies/hybrid_bench/score_bench.py --proxy short_train --data DATA/cifar10.npz --work WORK --first 64

`full` is the network at its own resolution and with 1000 classes, as a search scores it; `small` is the one trained.
Without `--proxy` all proxies that need no training are asked. Give the command again and it goes on where it stopped; a
network that has no such score gets an empty one. Scores of one network share passes, so that the time of one tells
little: every eighth network is scored by one at a time, and only those rows have seconds. `short_train` trains as in a
search, rung by rung beside the networks before, and has the seconds of each.
"""

import argparse
import sys
import time
from pathlib import Path

from bench_networks import HERE, Network, load
from bench_recipes import RECIPES
from bench_table import append, read

from archlab.errors import ArchlabError
from archlab.proxy import PROXIES, scores
from archlab.proxy.halving import ShortTraining, short_training
from archlab.spec import ArchSpec

__all__ = ["COLUMNS", "SCORES", "main"]

SCORES = "scores.csv"
COLUMNS = ("name", "of", "proxy", "score", "seconds")
_TIMED_EVERY = 8


def _rows(
    network: str, of: str, spec: ArchSpec, labels: dict[str, str], training: ShortTraining | None, *, is_timed: bool
) -> list[dict[str, object]]:
    """A row per score, under its label; scored one at a time where that is asked for."""
    lacking: list[str] = []

    def skip(proxy: str, error: ArchlabError) -> None:
        lacking.append(proxy)

    sets = [[proxy] for proxy in labels] if is_timed else [list(labels)]
    found = [row for some in sets for row in scores(some, spec, training=training, on_skip=skip)]
    timed = {name for name in labels if is_timed or PROXIES[name].trains}
    told = {row.proxy: (repr(row.score), f"{row.seconds:.3f}" if row.proxy in timed else "") for row in found}
    told |= dict.fromkeys(lacking, ("", ""))
    return [
        {"name": network, "of": of, "proxy": labels[proxy], "score": score, "seconds": seconds}
        for proxy, (score, seconds) in told.items()
    ]


def _spec(network: Network, of: str, recipe: str) -> ArchSpec:
    return network.spec if of == "full" else RECIPES[recipe].small(network.spec)


def main() -> None:
    """Score what is missing."""
    parser = argparse.ArgumentParser(description="Score the networks of the benchmark.")
    parser.add_argument("--specs", type=Path, default=HERE / "specs.jsonl")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--of", nargs="+", choices=["full", "small"], default=["full"])
    parser.add_argument("--recipe", choices=list(RECIPES), default="cifar10", help="how small")
    parser.add_argument(
        "--proxy", nargs="+", choices=list(PROXIES), help="which; all that need no training if left out"
    )
    parser.add_argument("--data", type=Path, help="images for short_train; digits if left out")
    parser.add_argument("--work", type=Path, default=HERE / "out", help="folder of the short trainings")
    parser.add_argument("--first", type=int, help="only the first so many networks")
    asked = parser.parse_args()
    proxies = asked.proxy or [name for name, row in PROXIES.items() if not row.trains]
    path = asked.out / SCORES
    done = {(row["name"], row["of"], row["proxy"]) for row in read(path)}
    images = asked.data.stem if asked.data else "digits"
    labels = {name: f"{name}:{images}" if PROXIES[name].trains else name for name in proxies}
    trains = any(PROXIES[name].trains for name in proxies)
    training = short_training(asked.data, asked.work / f"short_train-{images}") if trains else None
    for number, network in enumerate(load(asked.specs)[: asked.first]):
        for of in asked.of:
            spec, started = _spec(network, of, asked.recipe), time.perf_counter()
            left = {name: label for name, label in labels.items() if (network.name, of, label) not in done}
            if left:
                is_timed = number % _TIMED_EVERY == 0
                append(path, COLUMNS, _rows(network.name, of, spec, left, training, is_timed=is_timed))
                sys.stdout.write(f"{network.name} {of}: {time.perf_counter() - started:.1f} s\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
