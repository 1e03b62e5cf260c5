"""Does `published` know anything of families that its tables hardly hold? Four, with accuracies from their READMEs.

    PYTHONPATH=studies/predictors python studies/published/outside.py [--reference FOLDER] [--cache FOLDER]

Reads `published_backbones.csv` (in `../bench/published_backbones` beside the reference folder) for EfficientFormerV2,
RepViT, SwiftFormer and FastViT. The few of their networks that the fit knows are taken out of it first, with
EfficientFormer. The recipe is DeiT's for 300 epochs, with a teacher where the authors had one. Writes `outside.csv`.
"""

import argparse
import csv
import io
import math
from pathlib import Path

import numpy as np
from judge import reference
from published_learning import codes, learn
from published_networks import Network, networks, table, traced

from archlab.files import write_text
from archlab.proxy.published_features import NAMES

HERE = Path(__file__).parent
OUT = ("efficientformer", "efficientformer_v2", "fastvit", "repvit", "swiftformer")
STARTS = {"EfficientFormerV2-": True, "RepViT-": True, "SwiftFormer-": True, "FastViT-": False}
"""How the names begin, and whether the plain row is that of a taught network."""


def main() -> None:
    """Learn without the families, predict them, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/timm_traces"))
    given = parser.parse_args()
    folder = reference(given.reference)
    known = [one for one in networks(folder, given.cache) if one.family not in OUT]
    asked = traced(_asked(folder.parent / "bench/published_backbones/published_backbones.csv"), given.cache)
    learnt = learn(table(known), codes([one.family for one in known]), np.array([one.top1 for one in known]))
    columns = table(asked)
    found = learnt.answer(columns)
    sizes = np.exp(columns[:, [NAMES.index("log_params"), NAMES.index("log_macs")]])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "recipe", "top1", "published", "low", "high", "is_extrapolated", "params", "macs"])
    for at, one in enumerate(asked):
        values = [f"{value[at]:.2f}" for value in (found.top1, found.low, found.high)]
        writer.writerow(
            [
                one.model,
                one.tag,
                one.top1,
                *values,
                int(found.is_extrapolated[at]),
                *(round(size) for size in sizes[at]),
            ]
        )
    write_text(HERE / "outside.csv", text.getvalue())


def _asked(path: Path) -> list[Network]:
    found: dict[tuple[str, str], Network] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            is_taught = next((taught for start, taught in STARTS.items() if row["model"].startswith(start)), None)
            if is_taught is None:
                continue
            is_taught = is_taught or "distilled" in row["recipe"]
            model = row["model"].lower().replace("-", "_").replace(".", "_")
            tag = "taught" if is_taught else "plain"
            found[model, tag] = Network(
                model=model,
                side=int(row["resolution"]),
                tag=tag,
                top1=float(row["top1"]),
                params=float(row["params_m"] or "nan") * 1e6,
                macs=float(row["macs_g"] or "nan") * 1e9,
                activations=math.nan,
                recipe=(3.0, math.log(300), float(is_taught), 0.0),
            )
    return list(found.values())


if __name__ == "__main__":
    main()
