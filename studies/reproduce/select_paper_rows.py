"""Choose the papers' numbers that `archlab reproduce` prints, from tables that were collected from public sources.

    python studies/reproduce/select_paper_rows.py FOLDER

FOLDER holds `ablations.csv`, `models.csv` and `latency.csv`. Written are `ablations.csv` and `networks.csv` beside
`archlab/artifacts/paper.py`. Left out is every value whose status does not begin with one of `CARRIED`: what is only
remembered, or in conflict, is never printed as a paper's. `claims.csv` there is written by hand.
"""

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import archlab.artifacts.paper
from archlab.artifacts.paper import CARRIED
from archlab.files import write_text

OUT = Path(archlab.artifacts.paper.__file__).parent / "data"
HEADER = ("paper", "item", "order", "setting", "metric", "value", "unit", "source", "status", "notes")

PAPERS = {
    "convnext": "ConvNeXt",
    "edgenext": "EdgeNeXt",
    "efficientvit_mit": "EfficientViT-MIT",
    "efficientvit_msra": "EfficientViT-MSRA",
}
BESIDE = {"MobileViT-XXS": "EdgeNeXt", "MobileViT-XS": "EdgeNeXt", "MobileViT-S": "EdgeNeXt"}
"""Networks of others that a paper compares with → the paper."""
TIMED = ("EdgeNeXt ", "EfficientViT(MIT) paper Table 2", "EfficientViT(MIT) repo cls", "EfficientViT(MSRA)")
"""How the sources of the papers' own latencies begin."""
RESIZED = {("EfficientViT-M5", "384"): "EfficientViT-M5 r384"}
"""Network and resolution → its name among the networks, where a paper timed one at two resolutions."""

Row = dict[str, str]


def main(folder: Path) -> None:
    """Write both tables."""
    found = _rows(folder / "ablations.csv")
    _write("ablations.csv", (row for row in found if is_carried(row["status"], row["source"])))
    _write("networks.csv", [*_networks(folder / "models.csv"), *_latencies(folder / "latency.csv")])


def is_carried(status: str, source: str) -> bool:
    """Whether a value may be printed as a paper's: its status says so, and no part of its source is memory."""
    return status.startswith(CARRIED) and "recalled" not in source


def _networks(path: Path) -> Iterator[Row]:
    for row in _rows(path):
        paper = BESIDE.get(row["variant"]) or PAPERS.get(row["family"])
        if paper is None or not is_carried(row["status_paper"], row["source_paper"]):
            continue
        columns = (("params", "params_M_paper", "M"), ("macs", "macs_G_paper", "G"), ("top1", "top1_paper", "%"))
        for metric, column, unit in columns:
            if row[column]:
                what = {"setting": row["variant"], "metric": metric, "value": row[column], "unit": unit}
                whence = {"source": row["source_paper"], "status": row["status_paper"]}
                yield {"paper": paper, "item": "networks", "order": row["resolution"], **what, **whence, "notes": ""}


def _latencies(path: Path) -> Iterator[Row]:
    for row in _rows(path):
        paper = BESIDE.get(row["model"]) or PAPERS.get(row["family"])
        if paper is None or not row["source"].startswith(TIMED) or not is_carried(row["status"], row["source"]):
            continue
        metric = f"{row['metric']} {row['device']}, {row['runtime']}, {row['precision']}, batch {row['batch']}"
        setting = RESIZED.get((row["model"], row["resolution"]), row["model"])
        what = {"setting": setting, "metric": metric, "value": row["value"], "unit": row["unit"]}
        whence = {"source": row["source"], "status": row["status"], "notes": row["notes"]}
        yield {"paper": paper, "item": "latencies", "order": row["resolution"], **what, **whence}


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(name: str, rows: Iterable[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(OUT / name, text.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
