"""Train the networks of `trained_networks.py` and write what came out of it beside this file.

    python studies/data/make_npz.py --out DATA
    python studies/trained/train_all.py --data DATA --work WORK [--groups a b] [--only NAME ...] [--seeds 0 1 2]

Each network is trained on one thread, `--workers` of them at the same time; with `--device cuda` on a GPU. Runs live
under WORK and go on where they stopped when the command is given again; a run whose row is in results.csv is not
repeated. Written here: `results.csv`, one row per run; `specs/NET.yaml`; `curves/NET-SEED.csv`, the metrics per epoch;
and, in half precision, `weights/NET-SEED.safetensors` of the networks that the analyses read.
"""

import argparse
import csv
import io
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from trained_networks import NETWORKS

from archlab.api.exporting import spec_yaml
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.files import write_bytes, write_text
from archlab.model.build import build
from archlab.training.data import load_data
from archlab.training.loop import train

__all__ = ["add_row", "keep", "main", "read_rows", "run"]

HERE = Path(__file__).parent
COLUMNS = (
    *("net", "data", "images", "resolution", "epochs", "seed"),
    *("params", "macs", "top1", "val_loss", "seconds", "digest"),
)
_LIMIT_BYTES = 10 * 2**20
_NICE = 10


def run(net: str, seed: int, data: Path, work: Path, device: str) -> dict[str, Any] | None:
    """Train one network from one seed, or go on with it; gives its row, None where it was interrupted."""
    os.nice(_NICE)
    torch.set_num_threads(1)
    entry = NETWORKS[net]
    recipe = entry.recipe
    dataset = load_data(data / f"{recipe.data}.npz").first(recipe.images, recipe.val_images)
    module = build(entry.spec, seed=seed)
    result = train(module, dataset, recipe.plan(seed, device), out=work / f"{net}-{seed}")
    if not result.is_finished:
        return None
    report = count(trace(entry.spec))
    return {
        "net": net,
        "data": recipe.data,
        "images": recipe.images,
        "resolution": recipe.resolution,
        "epochs": recipe.epochs,
        "seed": seed,
        "params": report.params,
        "macs": report.macs,
        "top1": round(result.metrics[-1].top1, 4),
        "val_loss": round(result.metrics[-1].val_loss, 6),
        "seconds": round(result.seconds, 1),
        "digest": entry.spec.digest,
    }


def keep(row: dict[str, Any], work: Path, out: Path) -> None:
    """Copy spec, curve and weights of a finished run, then add its row to the results."""
    net, run_name = row["net"], f"{row['net']}-{row['seed']}"
    write_text(out / "specs" / f"{net}.yaml", spec_yaml(NETWORKS[net].spec))
    write_text(out / "curves" / f"{run_name}.csv", (work / run_name / "metrics.csv").read_text())
    if NETWORKS[net].keeps_weights:
        tensors = safetensors.torch.load_file(work / run_name / "weights.safetensors")
        halves = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
        weights = safetensors.torch.save(halves, metadata={"format": "pt"})
        if len(weights) < _LIMIT_BYTES:
            write_bytes(out / "weights" / f"{run_name}.safetensors", weights)
    add_row(row, out / "results.csv")


def add_row(row: dict[str, Any], path: Path) -> None:
    """Add or replace the row of a run, in the order of the table."""
    rows = {(r["net"], int(r["seed"])): r for r in [*read_rows(path), row]}
    order = list(NETWORKS)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[key] for key in sorted(rows, key=lambda key: (order.index(key[0]), key[1])))
    write_text(path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of results, of networks that still are in the table."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["net"] in NETWORKS]


def _is_done(net: str, seed: int, rows: list[dict[str, Any]]) -> bool:
    entry = NETWORKS[net]
    wanted = (net, str(seed), entry.spec.digest, str(entry.recipe.epochs), str(entry.recipe.images))
    return wanted in {(r["net"], r["seed"], r["digest"], r["epochs"], r["images"]) for r in rows}


def _asked() -> argparse.Namespace:
    groups = list(dict.fromkeys(entry.group for entry in NETWORKS.values()))
    parser = argparse.ArgumentParser(description="Train the networks of trained_networks.py.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the .npz files of make_npz.py")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--groups", nargs="*", choices=groups, default=groups, help="groups of networks, in order")
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS), help="names of networks instead of groups")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2, help="networks trained at the same time")
    parser.add_argument("--device", default="cpu", help="where torch trains")
    return parser.parse_args()


def main() -> None:
    """Train what is asked for and not yet done, seed by seed."""
    asked = _asked()
    rows = read_rows(asked.out / "results.csv")
    nets = asked.only or [net for group in asked.groups for net in NETWORKS if NETWORKS[net].group == group]
    jobs = [(net, seed) for seed in asked.seeds for net in nets]
    jobs = [job for job in jobs if not _is_done(*job, rows)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.workers, mp_context=spawn, max_tasks_per_child=1) as pool:
        waiting = [pool.submit(run, net, seed, asked.data, asked.work, asked.device) for net, seed in jobs]
        for done in as_completed(waiting):
            row = done.result()
            if row is None:
                continue
            keep(row, asked.work, asked.out)
            sys.stdout.write(f"{row['net']} seed {row['seed']}: top-1 {row['top1']} %, {row['seconds']} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
