"""Train the networks of specs.jsonl, one row of results.csv after the other.

    python studies/data/make_npz.py --out DATA
    python studies/hybrid_bench/train_bench.py --data DATA --work WORK --recipe cifar10 --first 64
    python studies/hybrid_bench/train_bench.py --data DATA --work WORK --recipe cifar10 --first 16 --seeds 1 2
    python studies/hybrid_bench/train_bench.py --data DATA --work WORK --recipe cifar10_long --device cuda --workers 14

Each training runs on one thread; `--workers` of them run at once, on each of the devices in turn. Give the command
again, at the same time too, and it does what is left: a training that was cut off goes on from its last state under
WORK, one that another process has in hand is left to it, and one whose row is there is not repeated. Several machines
share the work by `--shard 1/3`, 2/3, 3/3, with an `--out` each; bench_table.py joins those. `--minutes` ends in time.

Needs torch, numpy, safetensors, pydantic, pyyaml, pillow, scikit-learn.
"""

import argparse
import dataclasses
import functools
import multiprocessing
import multiprocessing.synchronize
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from bench_networks import HERE, Network, load
from bench_recipes import RECIPES, Recipe
from bench_table import CURVES, RESULTS, add, locked, read

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import PlanError
from archlab.model.build import build
from archlab.training.data import load_data
from archlab.training.dataset import Dataset
from archlab.training.loop import train
from archlab.training.progress import TrainProgress, TrainResult

__all__ = ["Job", "main", "run"]

_stop: multiprocessing.synchronize.Event | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One training: which network, how, from which seed, where, and until when (seconds since 1970)."""

    network: Network
    recipe: str
    seed: int
    device: str
    data: Path
    work: Path
    out: Path
    deadline_s: float

    @property
    def run(self) -> Path:
        """Folder of the training while it lasts."""
        return self.work / f"{self.recipe}-{self.network.name}-{self.seed}"

    @property
    def lock(self) -> Path:
        """Held by the process that has the training in hand."""
        return self.work / f"{self.run.name}.lock"


def run(job: Job) -> dict[str, Any] | None:
    """Train, or go on with it; gives the row that is now in the table, None where it was stopped or another has it."""
    torch.set_num_threads(1)
    if _is_over(job):
        return None
    with locked(job.lock) as is_ours:
        if not is_ours or _key(job) in _done(job.out):
            return None
        recipe = RECIPES[job.recipe]
        result, trouble = _trained(job, recipe)
        if result is not None and not result.is_finished:
            return None
        row = _row(job, recipe, result, trouble)
        curve = [] if result is None else [_epoch(job, one.to_dict()) for one in result.metrics]
        add(job.out, {CURVES: curve, RESULTS: [row]})
        shutil.rmtree(job.run, ignore_errors=True)
    job.lock.unlink(missing_ok=True)
    return row


def _trained(job: Job, recipe: Recipe) -> tuple[TrainResult | None, str]:
    dataset = _dataset(job.data / f"{recipe.data}.npz", recipe.images, recipe.val_images)
    module = build(recipe.small(job.network.spec), seed=job.seed)
    plan = recipe.plan(job.seed, job.device)
    try:
        return train(module, dataset, plan, out=job.run, on_progress=functools.partial(_check, job)), ""
    except PlanError as error:
        return None, str(error).partition(";")[0]


@functools.lru_cache(maxsize=1)
def _dataset(path: Path, images: int, val_images: int) -> Dataset:
    return load_data(path).first(images, val_images)


def _check(job: Job, told: TrainProgress) -> None:
    if _is_over(job):
        raise KeyboardInterrupt  # `train` saves and comes back


def _is_over(job: Job) -> bool:
    return time.time() > job.deadline_s or (_stop is not None and _stop.is_set())


def _row(job: Job, recipe: Recipe, result: TrainResult | None, trouble: str) -> dict[str, Any]:
    small = recipe.small(job.network.spec)
    report = count(trace(small))
    last = result.metrics[-1] if result is not None else None
    return {
        "name": job.network.name,
        "origin": job.network.origin,
        "half": job.network.half,
        "recipe": job.recipe,
        "seed": job.seed,
        "top1": "" if last is None else round(last.top1, 4),
        "val_loss": "" if last is None else round(last.val_loss, 6),
        "params": report.params,
        "macs": report.macs,
        "activations": report.activation_elems,
        "data": recipe.data,
        "images": recipe.images,
        "epochs": recipe.epochs,
        "resolution": recipe.resolution,
        "stem_divisor": recipe.stem_divisor,
        "seconds": "" if result is None else round(result.seconds, 1),
        "where": _where(job.device),
        "trouble": trouble,
        "digest": job.network.spec.digest,
        "small": small.digest,
    }


def _epoch(job: Job, metrics: dict[str, Any]) -> dict[str, Any]:
    values = {k: round(metrics[k], 6) for k in ("train_loss", "val_loss", "top1", "seconds")}
    return {"name": job.network.name, "recipe": job.recipe, "seed": job.seed, "epoch": metrics["epoch"], **values}


def _where(device: str) -> str:
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, bf16"
    return f"cpu {platform.machine()}, 1 thread"


def _key(job: Job) -> tuple[str, str, str]:
    return job.recipe, job.network.name, str(job.seed)


def _done(out: Path) -> set[tuple[str, str, str]]:
    return {(row["recipe"], row["name"], row["seed"]) for row in read(out / RESULTS)}


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the networks of the benchmark.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the .npz files of make_npz.py")
    parser.add_argument("--work", type=Path, required=True, help="folder of the trainings in hand")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.csv and curves.csv")
    parser.add_argument("--specs", type=Path, default=HERE / "specs.jsonl")
    parser.add_argument("--recipe", nargs="+", choices=list(RECIPES), default=["cifar10"])
    parser.add_argument("--first", type=int, help="only the first so many networks")
    parser.add_argument("--only", nargs="+", help="only the networks of these names")
    parser.add_argument("--shard", default="1/1", help="I/N: every Nth training, from the Ith on")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--device", nargs="+", default=["cpu"], help="cpu, cuda, cuda:1 …; several take turns")
    parser.add_argument("--workers", type=int, default=1, help="trainings at once, over all devices")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; state is kept")
    return parser.parse_args()


def _jobs(asked: argparse.Namespace) -> Iterator[Job]:
    """What is left, recipe by recipe, seed by seed, in the order of the list."""
    shard, shards = map(int, asked.shard.split("/"))
    deadline_s = time.time() + 60 * asked.minutes
    found = [one for one in load(asked.specs)[: asked.first] if asked.only is None or one.name in asked.only]
    done = _done(asked.out)
    whats = [(r, s, n) for r in asked.recipe for s in asked.seeds for n in found][shard - 1 :: shards]
    for number, (recipe, seed, network) in enumerate(whats):
        job = Job(
            network=network,
            recipe=recipe,
            seed=seed,
            device=asked.device[number % len(asked.device)],
            data=asked.data,
            work=asked.work,
            out=asked.out,
            deadline_s=deadline_s,
        )
        if _key(job) not in done:
            yield job


def _begin(stop: multiprocessing.synchronize.Event) -> None:
    global _stop
    _stop = stop


def main() -> None:
    """Train what is asked for and not yet done."""
    asked = _asked()
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    with ProcessPoolExecutor(asked.workers, mp_context=spawn, initializer=_begin, initargs=(stop,)) as pool:
        waiting = [pool.submit(run, job) for job in _jobs(asked)]
        try:
            for number, done in enumerate(as_completed(waiting), start=1):
                row = done.result()
                if row is not None:
                    what = f"top-1 {row['top1']} %, {row['seconds']} s {row['trouble']}"
                    sys.stdout.write(
                        f"{number} of {len(waiting)}: {row['recipe']} {row['name']} {row['seed']}: {what}\n"
                    )
                    sys.stdout.flush()
        except KeyboardInterrupt:
            stop.set()
            pool.shutdown(cancel_futures=True)
            sys.stderr.write("stopped; the same command goes on\n")


if __name__ == "__main__":
    main()
