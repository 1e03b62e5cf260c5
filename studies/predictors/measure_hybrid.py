"""Measure random networks of the `hybrid` space on this machine: 100 to fit predictors on, 100 to judge them by.

    python studies/predictors/measure_hybrid.py OUT.jsonl [--networks 200]

One line per network: the point, its latency by the measuring protocol (ONNX Runtime, one thread), the time of every
operator by the runtime's profiler. Networks to fit on and to judge by take turns, so that a slow hour hits both alike;
an anchor is measured again after every twenty. Run the command again and it goes on where it stopped.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from archlab import space
from archlab.device import catalog
from archlab.device.measure import measure
from archlab.device.profile import profile_ops
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.spec import ArchSpec

ANCHOR = "edgenext_x_small"
ANCHOR_EVERY = 20
PROFILED_RUNS = 12
_FIT_SEED, _JUDGE_SEED = 101, 202


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--networks", type=int, default=200)
    asked = parser.parse_args()
    done = len(asked.out.read_text().splitlines()) if asked.out.exists() else 0
    for number, (part, point, spec) in enumerate(_networks(asked.networks)):
        if number < done:
            continue
        row = {"number": number, "part": part, "point": point, "digest": spec.digest} | _timed(spec)
        with asked.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{number:3d} {part:6s} {row['median_ms']:8.2f} ms  {row['quality']}", flush=True)


def _networks(count: int) -> list[tuple[str, Any, ArchSpec]]:
    hybrid = space.default("hybrid")
    rngs = {"fit": random.Random(_FIT_SEED), "judge": random.Random(_JUDGE_SEED)}
    anchor = published(ANCHOR).spec
    rows: list[tuple[str, Any, ArchSpec]] = []
    seen: set[str] = set()
    while len(seen) < count:
        part = ("fit", "judge")[len(seen) % 2]
        point = hybrid.sample(rngs[part])
        spec = hybrid.decode(point)
        if spec.digest in seen:
            continue
        if len(seen) % ANCHOR_EVERY == 0:
            rows.append(("anchor", None, anchor))
        seen.add(spec.digest)
        rows.append((part, point, spec))
    return rows


def _timed(spec: ArchSpec) -> dict[str, Any]:
    cpu = catalog.device("cpu")
    run = catalog.run_for(cpu, warmup_s=1.5, max_s=4.0)
    module = deploy(build(spec))
    shape = (1, 3, spec.resolution, spec.resolution)
    found = measure(module, cpu, run, input_shape=shape, digest=spec.digest)
    ops = profile_ops(module, cpu, run, input_shape=shape, runs=PROFILED_RUNS)
    facts = found.environment
    return {
        "median_ms": found.median_ms,
        "ci95_ms": found.ci95_ms,
        "quality": found.quality,
        "statistic": facts["statistic"],
        "clean_share": facts["clean_share"],
        "cpu_median_ms": facts["cpu_median_ms"],
        "wall_mean_ms": facts["wall_mean_ms"],
        "runs": facts["runs"],
        "fingerprint": facts["fingerprint"],
        "ops": [[op.op, op.module, round(op.ms, 5)] for op in ops],
    }


if __name__ == "__main__":
    main()
