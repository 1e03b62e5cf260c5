"""Write report.md from results.csv: what was trained, how well, and how far the three mixers lie apart.

python studies/trained/report.py
"""

import argparse
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from train_all import HERE, read_rows
from trained_networks import NETWORKS

from archlab.analysis.intervals import of_repeats
from archlab.files import write_text
from archlab.format import count

__all__ = ["main"]

_TRIO = ("msra_mhsa", "msra_split", "msra_cascade")
_MADE = """# Networks trained at small scale

Small networks on small images, for the analyses that need trained weights and for directions of the papers' ablations.
**No value here is an ImageNet accuracy, and none is near what these networks reach in a full training**: the trainings
are short (see the columns), so a difference between two networks is one between how fast they learn.

Made with

    python studies/data/make_npz.py --out DATA
    python studies/trained/train_all.py --data DATA --work WORK --groups {groups}
    python studies/trained/report.py

on one CPU thread per network. The seed sets the first weights, the order and the variation of the images. Top-1 is of
the averaged weights, on the first images of the set's own test images (`trained_networks.py` says how many): of 5,000,
the chance of the draw alone is about ±1.4 points. `specs/` holds the networks, `curves/` the metrics per epoch, and
`weights/`, in half precision, what the analyses read:
`al.create("specs/NET.yaml", weights="weights/NET-SEED.safetensors")`.
"""


def _words(values: list[float]) -> str:
    mean, low, high = of_repeats(np.array(values))
    return f"{mean:.2f}" if math.isnan(low) else f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| network | group | params | MACs | data | images × epochs | px | seeds | top-1 % (95 %) | each | hours |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    by_net: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_net[row["net"]].append(row)
    for net, runs in by_net.items():
        tops = [float(run["top1"]) for run in runs]
        first, hours = runs[0], sum(float(run["seconds"]) for run in runs) / 3600
        cells = [
            *(f"`{net}`", NETWORKS[net].group, count(int(first["params"])), count(int(first["macs"]))),
            *(first["data"], f"{int(first['images']):,} × {first['epochs']}", first["resolution"], str(len(runs))),
            *(_words(tops), ", ".join(f"{top:.2f}" for top in tops), f"{hours:.2f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _trio(rows: list[dict[str, Any]]) -> list[str]:
    """Differences between two mixers, seed by seed."""
    tops = {(row["net"], row["seed"]): float(row["top1"]) for row in rows}
    lines = ["", "## Plain attention, split features, cascade", ""]
    for less, more in zip(_TRIO[:2] + _TRIO[:1], _TRIO[1:] + _TRIO[2:], strict=True):
        seeds = [seed for net, seed in tops if net == more and (less, seed) in tops]
        if not seeds:
            continue
        gains = [tops[more, seed] - tops[less, seed] for seed in seeds]
        _, low, high = of_repeats(np.array(gains))
        verdict = "one seed tells no direction" if math.isnan(low) else "0 lies inside: no direction is shown"
        if low * high > 0:
            verdict = "the direction holds over the seeds"
        lines.append(f"- `{more}` over `{less}`: {_words(gains)} points of top-1 on {len(seeds)} seeds; {verdict}.")
    return lines if len(lines) > 3 else []


def main() -> None:
    """Write the report beside the results."""
    parser = argparse.ArgumentParser(description="Write report.md from results.csv.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    out = parser.parse_args().out
    rows = read_rows(out / "results.csv")
    groups = " ".join(dict.fromkeys(NETWORKS[row["net"]].group for row in rows))
    missing = [net for net in NETWORKS if net not in {row["net"] for row in rows}]
    lines = [_MADE.format(groups=groups), *_table(rows), *_trio(rows)]
    lines += ["", f"Not trained yet: {len(missing)} of {len(NETWORKS)} networks of the table.", ""]
    write_text(out / "report.md", "\n".join(lines))


if __name__ == "__main__":
    main()
