"""How well does `published` predict the accuracy of families that it has not seen, beside plain baselines?

    PYTHONPATH=studies/predictors python studies/published/judge.py
        [--reference FOLDER] [--cache FOLDER] [--folds 10] [--seed 0] [--out CSV]

Reads `timm_bench.csv` and `models.csv` (`--reference`, or `../reference` beside the folder that ARCHLAB_DATA names),
traces every network once (needs timm; kept in the cache), then learns everything, settings and widths included, from
all folds of families but one, in turn, and predicts that one. A family is the module file of timm that implements a
network. Writes `predictions.csv`, of which `published_report.py` makes the tables. A quarter of an hour on one core.
`--folds 5 --seed 1 --out predictions_five_folds.csv` leaves out twice as much at once, dealt differently.
"""

import argparse
import csv
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from published_learning import codes, families_out, grow, halves, learn, settings_for
from published_networks import Network, networks, table

from archlab.files import write_text
from archlab.proxy.published_data import at_usual

HERE = Path(__file__).parent
RECIPE_COLUMNS = 4

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Trace, learn, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/timm_traces"))
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "predictions.csv")
    given = parser.parse_args()
    found = networks(reference(given.reference), given.cache)
    ways = judged(found, given.folds, given.seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "side", "tag", "family", "recipe", "top1", "params", "macs", "activations", *ways])
    for at, one in enumerate(found):
        recipe = "-".join(f"{value:.3g}" for value in one.recipe)
        known = [one.model, one.side, one.tag, one.family, recipe, one.top1, one.params, one.macs, one.activations]
        writer.writerow([*known, *(f"{values[at]:.3f}" for values in ways.values())])
    write_text(given.out, text.getvalue())


def reference(given: Path | None) -> Path:
    """The folder of the tables: as given, or beside the folder that ARCHLAB_DATA names."""
    data = os.environ.get("ARCHLAB_DATA")
    path = given or (Path(data).parent / "reference" if data else None)
    if path is None or not (path / "timm_bench.csv").is_file():
        raise SystemExit(f"no timm_bench.csv in {path}: give --reference FOLDER, or set ARCHLAB_DATA")
    return path


def judged(found: list[Network], folds: int, seed: int) -> dict[str, Floats]:
    """Predictions of every network by what has not seen its family, by way."""
    top1, family = np.array([one.top1 for one in found]), codes([one.family for one in found])
    full = table(found)
    plain = at_usual(full)
    counts = np.array([one.counts for one in found])
    counts_recipe = np.column_stack([counts, full[:, -RECIPE_COLUMNS:]])
    names = ("fold", "published", "low", "high", "is_extrapolated", "smooth", "trees", "usual", "unknown")
    ways = {name: np.zeros(len(found)) for name in (*names, "boosting", "boosting_recipe")}
    for fold, out in enumerate(families_out(family, folds, seed)):
        ways["fold"][out] = fold
        for name, columns in (("boosting", counts), ("boosting_recipe", counts_recipe)):
            ways[name][out] = grow(columns[~out], top1[~out], seeds=1).predict(columns[out])
        _published(ways, out, full, plain, family, top1)
        print(f"fold {fold}: {out.sum()} networks", flush=True)
    return ways


def _published(
    ways: dict[str, Floats],
    out: npt.NDArray[np.bool_],
    full: Floats,
    plain: Floats,
    family: npt.NDArray[np.intp],
    top1: Floats,
) -> None:
    """Fill in one fold: with the recipe known, asked for the usual one, and with no recipe ever known."""
    learnt = learn(full[~out], family[~out], top1[~out])
    found = learnt.answer(full[out])
    ways["published"][out], ways["is_extrapolated"][out] = found.top1, found.is_extrapolated
    ways["low"][out], ways["high"][out] = found.low, found.high
    ways["smooth"][out] = learnt.smooth(full[out])[0]
    ways["trees"][out] = learnt.trees.predict(full[out]) + learnt.gain(full[out], ways["smooth"][out])
    ways["usual"][out] = learnt.predict(plain[out])[0]
    settings = settings_for(plain[~out], family[~out], top1[~out])
    ways["unknown"][out] = halves(plain[~out], family[~out], top1[~out], settings, seeds=3).predict(plain[out])[0]


if __name__ == "__main__":
    main()
