"""What are AZ-NAS's four parts on random networks of a space? Prints the numbers of `archlab.proxy.az_nas.TYPICAL`.

python studies/proxies/az_typical.py [--networks 200] [--space hybrid] [--seed 0]
"""

import argparse
import math
import random
import sys

import numpy as np

from archlab.proxy import scores
from archlab.proxy.az_nas import PARTS
from archlab.space import load

__all__ = ["main"]


def main() -> int:
    """Print part, median and half the quartiles' distance over ln 3 (a logistic distribution's scale)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--space", default="hybrid")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    space, rng = load(options.space), random.Random(options.seed)
    values: dict[str, list[float]] = {name: [] for name in PARTS}
    for number in range(options.networks):
        for found in scores(PARTS, space.decode(space.sample(rng))):
            values[found.proxy].append(found.score)
        print(f"{number + 1}/{options.networks}", end="\r", file=sys.stderr, flush=True)
    for name, column in values.items():
        low, median, high = np.percentile(column, [25, 50, 75])
        print(f'    "{name}": ({median:.4g}, {(high - low) / 2 / math.log(3):.4g}),')
    return 0


if __name__ == "__main__":
    sys.exit(main())
