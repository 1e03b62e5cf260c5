"""How well does a training of a few steps order the networks? Kendall's τ after 4 to 64 steps, on the half `tune`.

    python studies/hybrid_bench/few_steps_bench.py --data DATA/cifar10_search.npz [--first 64]

One trajectory per network and rate: AdamW on batches of 32 images without augmentation, a rate that warms up over eight
steps and then stays; at each stop loss and top-1 on 512 images held out, where norms take the statistics of the batch.
Give the command again and it goes on where it stopped; at the end it prints τ at equal cost, by results.csv.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from bench_judge import bench_of, trained
from bench_networks import HERE, load
from bench_recipes import RECIPES
from bench_table import append, read
from torch import Tensor, nn
from torch.nn import functional

from archlab.model.build import build
from archlab.proxy.halving import short_training
from archlab.training.dataset import Dataset
from archlab.training.small_maps import SmallMaps

__all__ = ["COLUMNS", "FEW_STEPS", "RATES", "STOPS", "main"]

FEW_STEPS = "few_steps.csv"
COLUMNS = ("name", "rate", "steps", "val_loss", "top1", "train_s")
RATES, STOPS = (1e-3, 3e-3), (4, 8, 16, 32, 64)
_RECIPE, _SIDE, _BATCH, _VAL_BATCH, _VAL_BATCHES, _WARMUP = "cifar10", 32, 32, 128, 4, 8

Batches = list[tuple[Tensor, Tensor]]


def main() -> None:
    """Train what is missing, and say what orders the networks."""
    parser = argparse.ArgumentParser(description="How well does a training of a few steps order the networks?")
    parser.add_argument("--data", type=Path, required=True, help="images to train and to score on")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder of the tables")
    parser.add_argument("--specs", type=Path, default=HERE / "specs.jsonl")
    parser.add_argument("--first", type=int, default=64, help="only the first so many networks")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    dataset, path = short_training(asked.data).dataset, asked.folder / FEW_STEPS
    done = {(row["name"], row["rate"]) for row in read(path)}
    for network, rate in itertools.product(load(asked.specs)[: asked.first], RATES):
        if network.half == "tune" and (network.name, str(rate)) not in done:
            module = build(RECIPES[_RECIPE].small(network.spec), seed=0)
            rows = [{"name": network.name, "rate": rate, **stop} for stop in _stops(module, dataset, rate)]
            append(path, COLUMNS, rows)
            sys.stdout.write(f"{network.name}, rate {rate}: {rows[-1]['top1']} % after {rows[-1]['steps']} steps\n")
            sys.stdout.flush()
    _show(asked.folder, read(path))


def _stops(module: nn.Module, dataset: Dataset, rate: float) -> Iterator[dict[str, float]]:
    """Loss, top-1 (%) and seconds of CPU in training, at each stop."""
    torch.manual_seed(0)
    held_out: Batches = list(itertools.islice(dataset.batches(_VAL_BATCH, _SIDE, None, split="val"), _VAL_BATCHES))
    optimizer = torch.optim.AdamW(module.train().parameters(), lr=rate, weight_decay=0.05)
    batches = itertools.chain.from_iterable(dataset.batches(_BATCH, _SIDE, seed) for seed in itertools.count())
    seconds = 0.0
    with SmallMaps():
        _scored(module, held_out)  # the first statistics of the norms
        for step, (x_BCHW, labels_B) in enumerate(itertools.islice(batches, STOPS[-1]), 1):
            optimizer.param_groups[0]["lr"] = rate * min(1, step / _WARMUP)
            began = time.process_time()
            optimizer.zero_grad()
            functional.cross_entropy(module(x_BCHW), labels_B).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimizer.step()
            seconds += time.process_time() - began
            if step in STOPS:
                loss, top1 = _scored(module, held_out)
                yield {"steps": step, "val_loss": loss, "top1": top1, "train_s": round(seconds, 3)}


@torch.no_grad()
def _scored(module: nn.Module, batches: Batches) -> tuple[float, float]:
    logits = [(module(x_BCHW), labels_B) for x_BCHW, labels_B in batches]
    losses = [functional.cross_entropy(z_BK, labels_B).item() for z_BK, labels_B in logits]
    right = [(z_BK.argmax(1) == labels_B).float().mean().item() for z_BK, labels_B in logits]
    return float(np.mean(losses)), 100 * float(np.mean(right))


def _show(folder: Path, rows: list[dict[str, str]]) -> None:
    bench, _ = bench_of(folder, trained(folder, _RECIPE))
    for rate, steps in itertools.product(map(str, RATES), map(str, STOPS)):
        found = {row["name"]: row for row in rows if (row["rate"], row["steps"]) == (rate, steps)}
        known = bench.only(np.array([name in found for name in bench.names]))
        loss = known.tau(np.array([-float(found[name]["val_loss"]) for name in known.names]))
        top1 = known.tau(np.array([float(found[name]["top1"]) for name in known.names]))
        sys.stdout.write(
            f"rate {rate}, {steps} steps: {loss:.2f} by loss, {top1:.2f} by top-1, {len(found)} networks\n"
        )


if __name__ == "__main__":
    main()
