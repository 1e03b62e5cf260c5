"""Do intervals from 15 measured networks hold nine truths in ten? Many calibrations, each judged by what it never saw.

    python studies/predictors/calibrate_coverage.py [--draws 24] [--seed 0] [--networks 15]

A draw splits the 200 measured networks of `hybrid.jsonl.gz` at random: 100 to choose from, by the rule that
`archlab device calibrate` chooses by, and 100 to judge by. Everything after the choice is the product's own code: fits,
networks left out, ends, and how much farther apart they are for an unfamiliar network. Beside it stand the ends that
archlab gave before (the least and the greatest score, the same for every network) from the same fits. The published
networks, which a real calibration chooses from as well, were not measured beside the 200: the stored calibration of
`calibrated.py` is the check that has them. Writes `calibrate_coverage.csv` (a line per draw and predictor) and
`calibrate_coverage.md`. 15 seconds a draw on an idle core; draws of an earlier run of the same seed are kept.
"""

import argparse
import csv
import io
import math
import os
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from hybrid import HERE, read_networks

from archlab.device.catalog import RunSpec, device
from archlab.files import write_text
from archlab.latency import PREDICTORS
from archlab.latency.choice import spread
from archlab.latency.estimate import central
from archlab.latency.own import assemble
from archlab.latency.samples import Measured

NAMES = ("roofline", "lookup", "fitted")
HEADER = ("seed", "networks", "predictor", "error_pct", "held_before", "held", "width_before", "width")
TABLE, PAGE = HERE / "calibrate_coverage.csv", HERE / "calibrate_coverage.md"

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Draw, calibrate, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draws", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--networks", type=int, nargs="+", default=[15])
    given = parser.parse_args()
    fit, judge, _ = read_networks(HERE / "hybrid.jsonl.gz")
    rows = _read()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARCHLAB_CALIBRATIONS"] = folder
        for count in given.networks:
            for seed in range(given.seed, given.seed + given.draws):
                if not any((row[0], row[1]) == (str(seed), str(count)) for row in rows):
                    rows += _draw([*fit, *judge], seed, count)
                    _write(sorted(rows, key=lambda row: (int(row[1]), int(row[0]))))
    write_text(PAGE, _page(rows))


def _draw(networks: Sequence[Measured], seed: int, count: int) -> Iterator[tuple[str, ...]]:
    """Calibrate on networks chosen from one half, judge by the other half."""
    order = np.random.default_rng(seed).permutation(len(networks))
    pool, rest = ([networks[i] for i in part] for part in np.array_split(order, 2))
    chosen = [pool[i] for i in spread([one.spec for one in pool], count)]
    cpu, run = device("cpu"), RunSpec()
    calibration, left_out = assemble(chosen, cpu, run)
    calibration.save()
    ms, true = np.array([one.ms for one in chosen]), np.array([one.ms for one in rest])
    for name in NAMES:
        found = [PREDICTORS[name].predict(one.trace, cpu, run) for one in rest]
        low, high = np.array([(one.lo_ms, one.hi_ms) for one in found]).T
        score = np.log(true / np.array([one.ms for one in found]))
        least, greatest = central(np.log(ms / left_out[name]))
        held = ((low <= true) & (true <= high)).mean(), ((least <= score) & (score <= greatest)).mean()
        error = 100 * float(np.abs(np.exp(-score) - 1).mean())
        widths = greatest - least, float(np.median(np.log(high / low)))
        yield (str(seed), str(count), name, *(f"{x:.4g}" for x in (error, held[1], held[0], *widths)))


def _read() -> list[tuple[str, ...]]:
    if not TABLE.exists():
        return []
    with TABLE.open(newline="") as file:
        return [tuple(row) for row in list(csv.reader(file))[1:]]


def _write(rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([HEADER, *rows])
    write_text(TABLE, text.getvalue())


def _page(rows: Sequence[tuple[str, ...]]) -> str:
    lines = []
    for count in sorted({int(row[1]) for row in rows}):
        for name in NAMES:
            lines.append(_line(name, count, [row[3:] for row in rows if row[1:3] == (str(count), name)]))
    return f"""# Intervals from few networks: how often they hold the truth

Written by `calibrate_coverage.py`; do not edit. Each draw chooses its networks from 100 of the 200 of `hybrid.md`, at
random, by the rule of `archlab device calibrate`, and is judged by the other 100. "Before" are the least and the
greatest score of the networks left out, from the same fits. Width: high end over low end, the median.

| predictor | networks | draws | mean error | held before | held | width before | width |
| --- | --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(lines)}

Promised: 90 %; allowed: 85 to 95 % on average. The deviation is that of single draws. A single calibration of that
few networks says its own width only roughly.

## Why they were too wide

- The chosen networks are far apart on purpose. One that is left out lies 2.7 standard deviations from the nearest
  other, a usual network 1.8: it is missed by more (roofline 6.5 % against 5.7 %, lookup 5.0 % against 3.4 %, root mean
  square over 12 draws).
- Fifteen scores have no 5 % quantile inside them, so the ends were the least and the greatest: one odd network, or one
  noisy measurement, made both ends for all.
- `fitted` erred the other way: its trees learn what extreme networks are missed by, which helps those of them that are
  left out (4.9 % mean error where the roofline has 5.5 %) and misleads about the others (4.6 % against 4.3 %).

What is done: scores are divided by √(1 + (distance/1.5)²) before the ends are taken and multiplied by that of the asked
network afterwards (`latency/familiarity.py`); below 39 scores the ends come from their root mean square by Student's t;
the trees of `fitted` count by n/(n + 30). The 30 was chosen by hand on 12 draws of the same 200 networks with other
seeds, the 1.5 on 12 more (seeds 200 to 211), where 4, 2.5, 2, 1.5 and 1.25 hold 94, 92, 91, 89 and 87 % (roofline),
97, 96, 95, 95 and 94 % (`lookup`), 92, 90, 88, 86 and 85 % (`fitted`), worked out by hand from their scores. Scales by
the roofline's leverage served the roofline as well, and `lookup` not at all.
"""


def _line(name: str, count: int, rows: Sequence[tuple[str, ...]]) -> str:
    error, before, held, width_before, width = np.array(rows, np.float64).T
    shares = [f"{100 * x.mean():.1f} ± {100 * x.std():.1f} %" for x in (before, held)]
    widths = [f"{math.exp(x.mean()):.2f}" for x in (width_before, width)]
    return f"| {' | '.join([name, str(count), str(len(rows)), f'{error.mean():.1f} %', *shares, *widths])} |"


if __name__ == "__main__":
    main()
