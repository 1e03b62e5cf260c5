"""Measure three models twenty times each while other processes load every core: is the protocol's number still right?

    python studies/noise/measure.py OUT.csv [--models NAME ...] [--rounds 20] [--unprivileged]

The load is made here: two processes multiply matrices (1024 × 1024), two copy 64 MiB to and fro, each in a session of
its own, so that the measuring process gets no favour for being their parent. Rounds alternate: the three models without
that load, then the same three with it, in random order. Others may use the machine meanwhile, so "unloaded" only means
without the load made here; what stands for the truth is the median of the CPU time of those runs.

With `--unprivileged` the protocol is refused its precedence, as an ordinary user's would be. What the witness usually
takes is learnt in the course of the command, from nothing; it is kept beside OUT, in a file whose name ends in
`.sqlite`. Run the command again and it goes on where it stopped.
"""

import argparse
import contextlib
import csv
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from archlab.device import catalog
from archlab.device import measure as measure_module
from archlab.device.measure import measure
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import deploy

MODELS = ("edgenext_xx_small", "edgenext_x_small_bn_hs", "edgenext_x_small")
FIELDS = [
    "round", "load", "model", "median_ms", "low_ms", "high_ms", "quality", "statistic", "n", "runs", "clean_share",
    "cpu_share", "calm_share", "doubt", "witness_ms", "witness_usual_ms", "cpu_median_ms", "wall_mean_ms",
    "wall_median_ms", "precedence", "seconds", "load_1min",
]  # fmt: skip
_SETTLE_S = 1.0


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME", help="published models")
    parser.add_argument("--max-s", type=float, default=10.0, help="the cap of one measurement; the command's own is 10")
    parser.add_argument("--unprivileged", action="store_true")
    asked = parser.parse_args()
    os.environ["ARCHLAB_CACHE"] = str(asked.out.with_suffix(".sqlite").resolve())
    with mock.patch.object(measure_module, "precedence", _refused) if asked.unprivileged else contextlib.nullcontext():
        _measure(asked.out, asked.models, asked.rounds, asked.max_s)


def _measure(out: Path, models: list[str], rounds: int, max_s: float) -> None:
    done = set()
    if out.exists():
        with out.open() as stream:
            done = {(row["round"], row["load"], row["model"]) for row in csv.DictReader(stream)}
    modules = {name: deploy(build(published(name).spec)) for name in models}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", newline="") as stream:
        table = csv.DictWriter(stream, FIELDS)
        if not done:
            table.writeheader()
        for number in range(rounds):
            for load in ("none", "both cores"):
                order = random.Random(number).sample(models, len(models))
                waiting = [name for name in order if (str(number), load, name) not in done]
                with _loaded(load == "both cores" and bool(waiting)):
                    for name in waiting:
                        table.writerow(
                            {"round": number, "load": load, "model": name} | _timed(name, modules[name], max_s)
                        )
                        stream.flush()


def _timed(name: str, module: Any, max_s: float) -> dict[str, Any]:
    cpu = catalog.device("cpu")
    side = published(name).spec.resolution
    began = time.perf_counter()
    found = measure(module, cpu, catalog.run_for(cpu, max_s=max_s), input_shape=(1, 3, side, side))
    facts = found.environment
    row = {
        "median_ms": found.median_ms,
        "low_ms": found.ci95_ms[0],
        "high_ms": found.ci95_ms[1],
        "quality": found.quality,
        "statistic": found.statistic,
        "n": found.n,
        "wall_median_ms": float(np.median(found.samples_ms)),
        "seconds": round(time.perf_counter() - began, 2),
        "load_1min": facts["after"].get("load_1min"),
    }
    kept = (
        *("runs", "clean_share", "cpu_share", "calm_share", "doubt", "witness_ms", "witness_usual_ms"),
        *("cpu_median_ms", "wall_mean_ms", "precedence"),
    )
    return row | {key: facts[key] for key in kept}


@contextlib.contextmanager
def _loaded(is_loaded: bool) -> Iterator[None]:
    context = multiprocessing.get_context("fork")
    works = (_multiply, _multiply, _copy, _copy) if is_loaded else ()
    processes = [context.Process(target=_alone, args=(work,), daemon=True) for work in works]
    for process in processes:
        process.start()
    if processes:
        time.sleep(_SETTLE_S)
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _alone(work: Callable[[], Callable[[], object]]) -> None:
    """Work until the parent ends, however it ends."""
    parent = os.getppid()
    os.setsid()
    once = work()
    while os.getppid() == parent:
        once()


def _multiply() -> Callable[[], object]:
    a = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    return lambda: a @ a


def _copy() -> Callable[[], object]:
    a = np.zeros(64 << 20, dtype=np.uint8)
    b = np.empty_like(a)

    def both_ways() -> None:
        b[:] = a
        a[:] = b

    return both_ways


@contextlib.contextmanager
def _refused() -> Iterator[str]:
    yield "none"


if __name__ == "__main__":
    main()
