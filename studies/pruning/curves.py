"""How much accuracy is left at equal MACs when channels go by Taylor importance, by magnitude, and by chance?

Pruned in one shot without fine-tuning, from 90 % to 40 % of the channels; chance with three seeds. Each point is a
network that is built again from its spec, scored on held-out images and counted. Writes curves_NET.csv, which a second
call reads again, curves_NET.svg and levels.csv.

    python studies/pruning/curves.py --data cifar10.npz --net swin:SPEC.yaml:WEIGHTS.safetensors --out studies/pruning
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import archlab as al
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.figures import Line, LinePoint, draw_lines, svg
from archlab.files import write_text
from archlab.model.build import Backbone
from archlab.pruning.importance import Importance, magnitude, random, taylor
from archlab.pruning.shrink import Keep, prune
from archlab.training.data import load_data
from archlab.training.dataset import Dataset
from archlab.training.scoring import evaluate

KEPT = (0.9, 0.8, 0.7, 0.55, 0.4)
LEVELS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.45)


def points(net: str, module: Backbone, dataset: Dataset, images: int, scored: int) -> list[dict[str, Any]]:
    """Prune one network by every criterion to every share."""
    side = module.spec.resolution
    batches = list(dataset.first(images).batches(32, side, 0))
    held_out = dataset.first(1, scored)
    whole = count(trace(module.spec)).macs
    rows = []
    criteria: list[tuple[str, int, Importance]] = [("taylor", 0, taylor(batches)), ("magnitude", 0, magnitude())]
    criteria += [("random", seed, random(seed)) for seed in range(3)]
    base = {"net": net, "images": images, "scored": scored}
    top1 = evaluate(module, held_out, side)[1]
    for name, seed, importance in criteria:
        rows.append({**base, "criterion": name, "seed": seed, "keep": 1.0, "macs_share": 1.0, "top1": top1})
        for keep in KEPT:
            found = prune(module.spec, module, importance, Keep(goal=keep))
            share = count(trace(found.spec)).macs / whole
            score = evaluate(found.module, held_out, side)[1]
            rows.append({**base, "criterion": name, "seed": seed, "keep": keep, "macs_share": share, "top1": score})
    return rows


def at_level(rows: pd.DataFrame, level: float) -> float:
    """Top-1 at a share of the MACs, on the straight line between two points; nan beyond the last."""
    own = rows.sort_values("macs_share")
    if level < own["macs_share"].min():
        return float("nan")
    return float(np.interp(level, own["macs_share"], own["top1"]))


def picture(rows: pd.DataFrame, title: str) -> str:
    """Draw top-1 over MACs."""
    lines = []
    for (criterion, seed), own in rows.groupby(["criterion", "seed"], sort=False):
        marks = tuple(LinePoint(x=round(100 * m, 1), y=y) for m, y in zip(own["macs_share"], own["top1"], strict=True))
        label = f"{criterion} {seed}" if criterion == "random" else str(criterion)
        lines.append(Line(label=label, points=marks, is_dashed=criterion == "random"))
    figure = draw_lines(lines, title=title, x_title="MACs kept, %", y_title="top-1 without fine-tuning, %")
    figure.axes[0].set_xticks(range(20, 101, 10), [str(share) for share in range(20, 101, 10)])
    return svg(figure)


def main() -> None:
    """Write the curves of every network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--net", action="append", required=True, help="NAME:SPEC:WEIGHTS")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--scored", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_data(asked.data)
    tables = []
    for text in asked.net:
        name, spec_path, weights_path = text.split(":")
        path = asked.out / f"curves_{name}.csv"
        if not path.is_file():
            module = al.create(spec_path, weights=weights_path)
            assert isinstance(module, Backbone)
            rows = points(name, module, dataset, asked.images, asked.scored)
            table = pd.DataFrame(rows).round({"macs_share": 4, "top1": 2})
            write_text(path, table.to_csv(index=False))
        tables.append(pd.read_csv(path))
    table = pd.concat(tables)
    levels = [
        {"net": net, "macs_share": level, "criterion": criterion, "seed": seed, "top1": round(at_level(own, level), 2)}
        for (net, criterion, seed), own in table.groupby(["net", "criterion", "seed"], sort=False)
        for level in LEVELS
    ]
    write_text(asked.out / "levels.csv", pd.DataFrame(levels).to_csv(index=False))
    for net, own in table.groupby("net", sort=False):
        write_text(asked.out / f"curves_{net}.svg", picture(own, f"{net}: pruned in one shot"))


if __name__ == "__main__":
    main()
