"""Do the two claims of EfficientViT-MSRA's figure 5 hold on networks trained at small scale?

Claims: early stages keep more channels than late ones; queries with keys and feed-forward parts go first, values last.
The analysis `redundancy` prunes every trained network to the asked share of its channels; the interval of each row is
over the batches of images, that of the verdicts over the trained seeds where there are three, else over the batches.
Writes fig5_NET.csv and one figure per network, which a second call reads again, and verdicts.csv.

    python studies/pruning/fig5.py --data cifar10.npz --net deit-0:SPEC:WEIGHTS --net swin-0:SPEC:WEIGHTS --out DIR
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import archlab as al
from archlab.analysis.intervals import of_repeats
from archlab.figures import Line, LinePoint, draw_lines, svg
from archlab.files import write_text

KEEPS = (0.7, 0.5)


def main() -> None:
    """Analyse every network and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--net", action="append", required=True, help="NAME-SEED:SPEC:WEIGHTS")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    table = pd.concat([rows_of(text, asked.data, asked.images, asked.out) for text in asked.net])
    write_text(asked.out / "verdicts.csv", pd.DataFrame(verdicts(table)).to_csv(index=False))


def rows_of(text: str, data: str, images: int, out: Path) -> pd.DataFrame:
    """Analyse one network, or read what an earlier call found."""
    name, spec, weights = text.split(":")
    path = out / f"fig5_{name}.csv"
    net, _, seed = name.rpartition("-")
    if not path.is_file():
        tables = []
        for keep in KEEPS:
            found = al.analyze("redundancy", spec, weights=weights, data=data, images=images, keep=keep)
            tables.append(found.rows.assign(model=net, weights=name, data=Path(data).stem, seed=int(seed)))
        write_text(path, pd.concat(tables).round({"share": 4, "low": 4, "high": 4}).to_csv(index=False))
    table = pd.read_csv(path, dtype={"stage": str})
    write_text(out / f"fig5_{name}.svg", picture(table[table["keep"] == KEEPS[0]], name))
    return table


def picture(table: pd.DataFrame, name: str) -> str:
    """Draw the share kept by stage, one line per role."""
    inside = table[table["stage"] != "all"]
    parts = list(dict.fromkeys(inside["stage"]))
    lines = []
    for role, own in inside.groupby("role", sort=False):
        values = zip(own["stage"], 100 * own["share"], 100 * own["low"], 100 * own["high"], strict=True)
        points = tuple(LinePoint(x=parts.index(part) + 1.0, y=y, low=low, high=high) for part, y, low, high in values)
        lines.append(Line(label=str(role), points=points, is_dashed=role == "all"))
    names = [part if "quarter" in part else f"stage {part}" for part in parts]
    title = f"{name}: {100 * KEEPS[0]:.0f} % of the channels kept"
    return svg(draw_lines(lines, title=title, x_title="", y_title="channels kept, %", x_names=names))


def verdicts(table: pd.DataFrame) -> list[dict[str, object]]:
    """Judge every claim for every network and share kept."""
    found: list[dict[str, object]] = []
    for (net, keep), own in table.groupby(["model", "keep"], sort=False):
        parts = [stage for stage in dict.fromkeys(own["stage"]) if stage != "all"]
        pairs = [("the first part keeps more than the last", (parts[0], "all"), (parts[-1], "all"))]
        pairs += [(f"values keep more than {role}", ("all", "v"), ("all", role)) for role in ("qk", "ffn")]
        for claim, more, less in pairs:
            gaps, low, high = gap(own, more, less)
            verdict = "holds" if low > 0 else "is contradicted" if high < 0 else "is undecided"
            found.append(
                {
                    "net": net,
                    "keep": keep,
                    "claim": claim,
                    "seeds": len(gaps),
                    "gap_points": round(100 * float(np.mean(gaps)), 1),
                    "low": round(100 * low, 1),
                    "high": round(100 * high, 1),
                    "verdict": verdict,
                }
            )
    return found


def gap(table: pd.DataFrame, more: tuple[str, str], less: tuple[str, str]) -> tuple[list[float], float, float]:
    """Shares of one row less those of another by seed, and the interval of their mean.

    Student's over the seeds from three on; else from the rows' own intervals over the batches, taken as independent.
    """
    first, second = (table[(table["stage"] == s) & (table["role"] == r)].sort_values("seed") for s, r in (more, less))
    gaps = (first["share"].to_numpy() - second["share"].to_numpy()).tolist()
    mean, low, high = of_repeats(np.array(gaps))
    if len(gaps) < 3:
        widths = [(t["high"] - t["low"]).to_numpy() / 2 for t in (first, second)]
        half = float(np.sqrt((widths[0] ** 2 + widths[1] ** 2).mean()))
        low, high = mean - half, mean + half
    return gaps, low, high


if __name__ == "__main__":
    main()
