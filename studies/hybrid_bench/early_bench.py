"""By what should a short training be judged after its first epoch? Kendall's τ of each way, on the half `tune`.

    python studies/hybrid_bench/early_bench.py --data DATA/cifar10_search.npz [--first 64]

Every network is trained as `short_train` does, up to the first rung: one of nine epochs on 4,000 images. Then five
numbers: loss and top-1 of the averaged weights on the 1,000 images held out, both again with the statistics of every
BatchNorm measured anew, and the mean training loss of the epoch (B. Ru et al., NeurIPS 2021, arXiv 2006.04492). Give
the command again and it goes on where it stopped; at the end it prints τ at equal cost for each, by results.csv.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from bench_judge import bench_of, trained
from bench_networks import HERE, load
from bench_recipes import RECIPES
from bench_table import append, read

from archlab.model.build import build
from archlab.proxy.halving import short_training
from archlab.training.loop import train
from archlab.training.scoring import evaluate, settle_batch_norms

__all__ = ["COLUMNS", "EARLY", "main"]

EARLY = "early.csv"
WAYS = {"train_loss": -1, "val_loss": -1, "top1": 1, "settled_loss": -1, "settled_top1": 1}
"""Column → 1 where more is better, -1 where less is."""
COLUMNS = ("name", *WAYS)
_RECIPE = "cifar10"


def main() -> None:
    """Train what is missing, and say what orders the networks."""
    parser = argparse.ArgumentParser(description="By what should a short training be judged?")
    parser.add_argument("--data", type=Path, required=True, help="images for short_train")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the tables")
    parser.add_argument("--specs", type=Path, default=HERE / "specs.jsonl")
    parser.add_argument("--first", type=int, default=64, help="only the first so many networks")
    asked = parser.parse_args()
    short = short_training(asked.data)
    plan, path = short.plan.training(), asked.folder / EARLY
    for network in load(asked.specs)[: asked.first]:
        if network.half != "tune" or network.name in {row["name"] for row in read(path)}:
            continue
        module = build(RECIPES[_RECIPE].small(network.spec), seed=plan.seed)
        with tempfile.TemporaryDirectory() as folder:
            (first,) = train(module, short.dataset, plan, out=Path(folder), until=1).metrics
        settle_batch_norms(module, short.dataset, plan.resolution, seed=plan.seed)
        settled = evaluate(module, short.dataset, plan.resolution)
        values = (first.train_loss, first.val_loss, first.top1, *settled)
        append(path, COLUMNS, [{"name": network.name, **dict(zip(WAYS, values, strict=True))}])
        sys.stdout.write(f"{network.name}: {first.top1:.1f} %, settled {settled[1]:.1f} %\n")
        sys.stdout.flush()
    _show(asked.folder, read(path))


def _show(folder: Path, rows: list[dict[str, str]]) -> None:
    bench, _ = bench_of(folder, trained(folder, _RECIPE))
    early = {row["name"]: row for row in rows}
    is_known = np.array([name in early for name in bench.names])
    known = bench.only(is_known)
    for way, sign in WAYS.items():
        values = np.array([sign * float(early[name][way]) for name in known.names])
        sys.stdout.write(f"{way}: {known.tau(values):.2f} at equal cost, {len(known.names)} networks\n")


if __name__ == "__main__":
    main()
