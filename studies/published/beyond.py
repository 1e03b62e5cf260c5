"""Does the interval still hold beyond the sizes that were learnt from? The smallest and the largest tenth, left out.

    PYTHONPATH=studies/predictors python studies/published/beyond.py [--reference FOLDER] [--cache FOLDER]

Learns from nine tenths of the networks by multiply-adds and predicts the rest, once at each end; families are not left
out, only sizes. Writes `beyond.csv`.
"""

import argparse
import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
from judge import reference
from published_learning import codes, learn
from published_networks import networks, table

from archlab.files import write_text

HERE = Path(__file__).parent
TENTH = 0.1


def main() -> None:
    """Learn, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/timm_traces"))
    given = parser.parse_args()
    found = networks(reference(given.reference), given.cache)
    full, family, top1 = table(found), codes([one.family for one in found]), np.array([one.top1 for one in found])
    macs = np.array([one.macs for one in found])
    low, high = np.quantile(macs, [TENTH, 1 - TENTH])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["out", "networks", "is_extrapolated", "mean_error", "bias", "in_interval", "in_ordinary_interval"]
    names.append("median_width")
    writer.writerow(names)
    for name, out in (("smallest tenth", macs <= low), ("largest tenth", macs >= high)):
        learnt = learn(full[~out], family[~out], top1[~out])
        answer = learnt.answer(full[out])
        ordinary = dataclasses.replace(learnt, wide=1.0, below=0.0, above=0.0).answer(full[out])
        held, plain = (((one.low <= top1[out]) & (top1[out] <= one.high)).mean() for one in (answer, ordinary))
        error = answer.top1 - top1[out]
        width = np.median(answer.high - answer.low)
        values = [answer.is_extrapolated.mean(), np.abs(error).mean(), error.mean(), held, plain, width]
        writer.writerow([name, int(out.sum()), *(f"{value:.3f}" for value in values)])
    write_text(HERE / "beyond.csv", text.getvalue())


if __name__ == "__main__":
    main()
