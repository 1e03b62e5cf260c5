"""What do matrix products for small maps save in a training? CPU time of a step with them and without.

Published networks and random ones of a space, fitted to small images, take steps of a training, one with
`SmallMaps` and one with torch's convolutions in turns, from the same weights and images. Times are CPU times of this
process with one thread, so other processes hardly move them. Run it as

    python benchmarks/training_step.py [--networks N] [--steps N] [--side PX] [--batch N] > FILE

The run that is committed beside this file, `training_step.txt`, says what was reached.
"""

import argparse
import contextlib
import json
import statistics
import sys
from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from cpu_times import draw, measured, place

from archlab.families import published
from archlab.model.build import build
from archlab.space import load
from archlab.spec import ArchSpec
from archlab.training import update
from archlab.training.dataset import Dataset
from archlab.training.low_resolution import at_low_resolution
from archlab.training.plan import TrainPlan
from archlab.training.update import Updater

__all__ = ["main"]

_CLASSES = 10
_PUBLISHED = (
    "edgenext_xx_small",
    "edgenext_x_small",
    "efficientvit_m0",
    "efficientvit_m2",
    "efficientvit_b0",
    "convnext_atto",
)


def main() -> int:
    """Print a line per network, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=12, help="distinct random points (default: 12)")
    parser.add_argument("--steps", type=int, default=9, help="timed steps of each kind (default: 9)")
    parser.add_argument("--side", type=int, default=64, help="of the images, in pixels (default: 64)")
    parser.add_argument("--batch", type=int, default=64, help="images in a step (default: 64)")
    parser.add_argument("--space", default="hybrid", help="a search space by name, or its file (default: hybrid)")
    parser.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = _images(options.side, options.batch)
    plan = TrainPlan(resolution=options.side, batch=options.batch, device="cpu")
    print(f"{'CPU ms per step':24}{'torch':>9}{'ours':>9}{'ratio':>9}")
    rows = {}
    for name, spec in _networks(options.space, options.networks, options.seed):
        small = at_low_resolution(spec, options.side, classes=_CLASSES)
        theirs_ms, ours_ms = _steps(small, dataset, plan, options.steps)
        rows[name] = {"torch_ms": theirs_ms, "ours_ms": ours_ms, "ratio": theirs_ms / ours_ms}
        print(f"{name:24}{theirs_ms:9.1f}{ours_ms:9.1f}{theirs_ms / ours_ms:9.2f}", flush=True)
    ratios = [row["ratio"] for row in rows.values()]
    mean = statistics.geometric_mean(ratios)
    print(f"torch's / ours: {mean:.2f} in the geometric mean, {min(ratios):.2f} to {max(ratios):.2f}")
    document = {"side": options.side, "batch": options.batch, "steps": options.steps, "space": options.space}
    print(json.dumps({**document, "seed": options.seed, "networks": rows, "ratio": mean, **place()}))
    return 0


def _networks(space: str, count: int, seed: int) -> Iterator[tuple[str, ArchSpec]]:
    for name in _PUBLISHED:
        yield name, published(name).spec
    for number, spec in enumerate(draw(load(space), count, seed)):
        yield f"random {number}", spec


def _images(side: int, count: int) -> Dataset:
    """One batch of noise: what an image shows does not change the time."""
    draw_from = np.random.default_rng(0)
    images = draw_from.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    labels = draw_from.integers(0, _CLASSES, count)
    return Dataset(
        name="noise",
        images=images,
        labels=labels,
        val_images=images,
        val_labels=labels,
        classes=_CLASSES,
        mean=(0.5, 0.5, 0.5),
        std=(0.3, 0.3, 0.3),
    )


def _steps(spec: ArchSpec, dataset: Dataset, plan: TrainPlan, steps: int) -> tuple[float, float]:
    """Median CPU milliseconds of a step with torch's convolutions and with ours; the first two do not count."""
    theirs, ours = (Updater(build(spec, seed=0), dataset, plan) for _ in range(2))
    times_ms: tuple[list[float], list[float]] = ([], [])
    for number in range(2 + steps):
        with mock.patch.object(update, "SmallMaps", contextlib.nullcontext):
            times_ms[0].append(_step_ms(theirs, number))
        times_ms[1].append(_step_ms(ours, number))
    return statistics.median(times_ms[0][2:]), statistics.median(times_ms[1][2:])


def _step_ms(updater: Updater, number: int) -> float:
    updater.module.train()
    return measured(lambda: updater.take(number, 0, updater.order(number)))[1]


if __name__ == "__main__":
    sys.exit(main())
