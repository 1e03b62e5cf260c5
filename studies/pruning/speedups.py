"""Does a network that is pruned for a measured speed-up have it when it is measured anew, beside the whole one?

Each network is pruned by Taylor importance until this machine's CPU runs it 1.25 and 1.5 times as fast, without
fine-tuning. Then both are measured in turns, block by block, which is the figure that counts. Writes speedups.csv.

    python studies/pruning/speedups.py --data cifar10.npz --net swin:SPEC.yaml:WEIGHTS.safetensors --out studies/pruning
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import archlab as al
from archlab.files import write_text

ASKED = (1.25, 1.5)


def main() -> None:
    """Prune, measure in turns, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--net", action="append", required=True, help="NAME:SPEC:WEIGHTS")
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = [_row(net, speedup, asked) for net in asked.net for speedup in ASKED]
    write_text(asked.out / "speedups.csv", pd.DataFrame(rows).to_csv(index=False))


def _row(net: str, speedup: float, asked: argparse.Namespace) -> dict[str, Any]:
    name, spec, weights = net.split(":")
    with tempfile.TemporaryDirectory() as folder:
        found = al.prune(
            spec, data=asked.data, out=folder, weights=weights, speedup=speedup, images=asked.images
        ).to_dict()
        turns = al.compare(spec, found["spec"], device="cpu").iloc[0]
    low, high = turns["ci95"]
    return {
        "net": name,
        "asked": speedup,
        "while_pruning": round(found["latency"]["before_ms"] / found["latency"]["after_ms"], 3),
        "in_turns": round(turns["ratio"], 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "whole_ms": round(turns["a_ms"], 4),
        "pruned_ms": round(turns["b_ms"], 4),
        "macs_share": round(found["macs"] / found["before"]["macs"], 3),
        "params_share": round(found["params"] / found["before"]["params"], 3),
        "top1_before": found["top1"]["before"],
        "top1_after": found["top1"]["after"],
    }


if __name__ == "__main__":
    main()
