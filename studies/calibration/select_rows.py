"""Choose the published latencies that the estimates rest on, from a table that was collected from public sources.

    python studies/calibration/select_rows.py COLLECTED.csv

Kept are classification rows, batch 1, TensorRT FP16, status verified-source, of a network that we or timm build. A kept
row is not used, and says why, where

- it repeats a measurement: a paper's table that rounds what the authors' repository prints;
- nothing says which network was timed: the collection names none of timm's and the source states no multiply-adds;
- the source times a variant that neither we nor timm build by that name;
- the source prints the same figure for one model at two input sizes: one of them must be a slip, perhaps both;
- the protocol is not stated.

Two more rules need the traced network and stand in `archlab/latency/calibrate.py`. The collected table is not part of
this repository: what came of it is `archlab/latency/data/latencies.csv`.
"""

import collections
import csv
import io
import re
import sys
from pathlib import Path

from networks import network_for

import archlab.latency
from archlab.files import write_text

OUT = Path(archlab.latency.__file__).parent / "data" / "latencies.csv"

DEVICES = {"Jetson AGX Orin": "orin", "Jetson Nano": "nano", "NVIDIA T4": "t4"}

SOURCES = {
    "EdgeNeXt official code comments": "edgenext_code",
    "EdgeNeXt paper Table 3": "edgenext_paper",
    "EfficientViT(MIT) repo cls README": "mit_readme",
    "EfficientViT(MIT) paper Table 2": "mit_paper",
    "Nota NetsPresso": "netspresso",
    "NVIDIA torch2trt": "torch2trt",
    "keras_cv_attention_models": "kecam",
    "mmdeploy": "mmdeploy",
}
"""How a source begins in the collected table → its name in `sources.csv`."""

ROUNDED = {"edgenext_paper": "edgenext_code", "mit_paper": "mit_readme"}

HEADER = ["device", "source", "model", "network", "resolution", "classes", "ms", "stated_macs", "used", "why_not"]

Row = dict[str, str]


def main(collected: Path) -> None:
    """Write `latencies.csv`."""
    with collected.open(newline="", encoding="utf-8") as file:
        rows = [made for row in csv.DictReader(file) if (made := _kept(row))]
    rows.sort(key=lambda row: (row["device"], row["source"], row["network"], int(row["resolution"])))
    _refuse_repeats(rows)
    _refuse_slips(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(OUT, text.getvalue())
    used = collections.Counter((row["device"], row["used"]) for row in rows)
    print(*(f"{device} used={yes}: {count}" for (device, yes), count in sorted(used.items())), sep="\n")


def _kept(row: Row) -> Row | None:
    source = next((name for start, name in SOURCES.items() if row["source"].startswith(start)), None)
    fits = row["task"] == "cls" and row["batch"] == "1" and row["precision"] == "fp16"
    fits &= row["status"] == "verified-source" and row["runtime"].startswith("TensorRT")
    if not fits or source is None or row["device"] not in DEVICES or not row["resolution"].isdigit():
        return None
    network = network_for(row["model"], row["timm_name"], int(row["resolution"]))
    if network is None:
        return None
    macs = re.search(r"source FLOPs ([\d.]+)([GM])", row["notes"])
    stated = "" if macs is None else f"{float(macs[1]) * (1e9 if macs[2] == 'G' else 1e6):.0f}"
    why_not = _why_not(row, source, stated)
    value = float(row["value"])
    return {
        "device": DEVICES[row["device"]],
        "source": source,
        "model": row["model"],
        "network": network,
        "resolution": row["resolution"],
        "classes": "3" if source == "netspresso" else "1000",
        "ms": f"{value if row['unit'] == 'ms' else 1000 / value:.6g}",
        "stated_macs": stated,
        "used": "no" if why_not else "yes",
        "why_not": why_not,
    }


def _why_not(row: Row, source: str, stated: str) -> str:
    if source == "mmdeploy":
        return "whether host transfer is timed is not stated"
    if "use_dw_strides=False" in row["notes"] or "reparameterised" in row["notes"]:
        return "a variant that timm does not build by this name"
    if not row["timm_name"] and not stated:
        return "which network of this name was timed is not stated"
    return ""


def _refuse(row: Row, why: str) -> None:
    if row["used"] == "yes":
        row.update(used="no", why_not=why)


def _refuse_repeats(rows: list[Row]) -> None:
    seen = {(row["device"], row["source"], row["network"], row["resolution"]) for row in rows}
    for row in rows:
        finer = ROUNDED.get(row["source"])
        if finer and (row["device"], finer, row["network"], row["resolution"]) in seen:
            _refuse(row, f"the same measurement as in {finer}, rounded")


def _refuse_slips(rows: list[Row]) -> None:
    sides = collections.defaultdict(set)
    for row in rows:
        sides[row["source"], row["model"], row["ms"]].add(row["resolution"])
    for row in rows:
        if len(sides[row["source"], row["model"], row["ms"]]) > 1:
            _refuse(row, "the source prints the same figure at two input sizes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
