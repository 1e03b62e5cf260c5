"""What does a score cost? CPU seconds per network of every training-free score alone, and of all together.

Each of three networks is scored as a search does it (16 generated images of 64 pixels, one thread; building,
initialising and counting included), by each score alone and by all at once, in turns; the numbers are medians over the
repeats. All together share their passes: the last lines compare that with the dearest score alone and with the sum.
CPU times of this process hardly move with other work on the machine. Run it as

    python benchmarks/proxy_speed.py [--repeats 3] [--models NAME ...] > FILE

The run that is committed beside this file, `proxy_speed.txt`, says what was reached; exit status 1 means that all
together cost more than 1.5 times the dearest.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

import torch
from cpu_times import measured, place

from archlab.families import published
from archlab.proxy import PROXIES, scores
from archlab.proxy.size import counted, traced
from archlab.spec import ArchSpec

__all__ = ["main"]

MODELS = ("edgenext_xx_small", "efficientvit_m2", "efficientvit_b1")
ALL = "all together"
LIMIT = 1.5


def main() -> int:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of every time (default: 3)")
    parser.add_argument("--models", nargs="+", default=MODELS, help="published names")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name, row in PROXIES.items() if not row.trains]
    seconds = {model: timed(published(model).spec, names, options.repeats) for model in options.models}
    print(f"{'CPU s':18}" + "".join(f"{model:>20}" for model in seconds))
    for name in [*names, ALL]:
        print(f"{name:18}" + "".join(f"{row[name]:20.3f}" for row in seconds.values()))
    ratios = {}
    for model, row in seconds.items():
        dearest = max(names, key=row.__getitem__)
        ratios[model] = row[ALL] / row[dearest]
        total = sum(row[name] for name in names)
        print(f"{model}: {ratios[model]:.2f} times the dearest ({dearest}), {row[ALL] / total:.2f} times one by one")
    document = {
        "seconds": seconds,
        "ratios": ratios,
        "repeats": options.repeats,
        **place(),
    }
    print(json.dumps(document))
    return 0 if max(ratios.values()) <= LIMIT else 1


def timed(spec: ArchSpec, names: Sequence[str], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each score alone and of all together, after one run of all that is not counted."""
    asked = {**{name: [name] for name in names}, ALL: list(names)}
    found: dict[str, list[float]] = {name: [] for name in asked}
    scores(names, spec)
    for _ in range(repeats):
        for name, together in asked.items():
            for known in (counted, traced):
                known.cache_clear()  # what an earlier run has counted
            _, time_ms = measured(lambda together=together: scores(together, spec))  # type: ignore[misc]
            found[name].append(time_ms / 1e3)
    return {name: statistics.median(times) for name, times in found.items()}


if __name__ == "__main__":
    sys.exit(main())
