"""Score every network of specs.jsonl by every proxy: one row of scores.csv per network and proxy.

    python studies/hybrid_bench/score_bench.py [--first 64] [--of full small] [--recipe cifar10]
    python studies/hybrid_bench/score_bench.py --proxy short_train --data DATA/tiny50.npz --first 64

`full` is the network at its own resolution and with 1000 classes, as a search scores it; `small` is the one trained.
Without `--proxy` all proxies that need no training are asked. Give the command again and it goes on where it stopped; a
network that has no such score gets an empty one. Scores of one network share passes, so that the time of one tells
little: every eighth network is scored by one at a time, and only those rows have seconds, as have scores that train.
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
from archlab.spec import ArchSpec

__all__ = ["COLUMNS", "SCORES", "main"]

SCORES = "scores.csv"
COLUMNS = ("name", "of", "proxy", "score", "seconds")
_TIMED_EVERY = 8


def _label(proxy: str, data: Path | None) -> str:
    """A score that trains is named with its data."""
    return f"{proxy}:{data.stem if data else 'digits'}" if PROXIES[proxy].needs == "data" else proxy


def _rows(
    network: str, of: str, spec: ArchSpec, proxies: list[str], *, data: Path | None, is_timed: bool
) -> list[dict[str, object]]:
    """A row per score; scored one at a time where that is asked for."""
    lacking: list[str] = []

    def skip(proxy: str, error: ArchlabError) -> None:
        lacking.append(proxy)

    sets = [[proxy] for proxy in proxies] if is_timed else [proxies]
    found = [row for some in sets for row in scores(some, spec, data=data, on_skip=skip)]
    told = {
        row.proxy: (repr(row.score), f"{row.seconds:.3f}" if is_timed or PROXIES[row.proxy].needs == "data" else "")
        for row in found
    }
    told |= dict.fromkeys(lacking, ("", ""))
    return [
        {"name": network, "of": of, "proxy": _label(proxy, data), "score": score, "seconds": seconds}
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
    parser.add_argument("--data", type=Path, help="images for scores that train; digits if left out")
    parser.add_argument("--first", type=int, help="only the first so many networks")
    asked = parser.parse_args()
    proxies = asked.proxy or [name for name, row in PROXIES.items() if row.needs != "data"]
    path = asked.out / SCORES
    done = {(row["name"], row["of"], row["proxy"]) for row in read(path)}
    for number, network in enumerate(load(asked.specs)[: asked.first]):
        for of in asked.of:
            left = [proxy for proxy in proxies if (network.name, of, _label(proxy, asked.data)) not in done]
            if left:
                spec, is_timed = _spec(network, of, asked.recipe), number % _TIMED_EVERY == 0
                started = time.perf_counter()
                append(path, COLUMNS, _rows(network.name, of, spec, left, data=asked.data, is_timed=is_timed))
                sys.stdout.write(f"{network.name} {of}: {time.perf_counter() - started:.1f} s\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
