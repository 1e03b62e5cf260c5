"""Measure networks a second time, as a program of its own: no cache, nothing warm from the search.

``python -m archlab.study.again`` reads one JSON document from stdin, ``{plan, networks: [{digest, spec}]}``, and writes
a JSON line per network, in the order given; a noisy one is measured once more at the end and counts by its steadier
result.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archlab.device import catalog
from archlab.device.measure import measure
from archlab.device.measurement import Measurement
from archlab.errors import ArchlabError
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.spec import ArchSpec
from archlab.study.plan import StudyPlan

__all__ = ["main", "rows"]

MEASURE_S = 5.0
"""A second measurement may take so long, or as long as the first if that is longer."""


def main() -> None:
    """Read the order, write the lines; trouble is a last line ``{error}``."""
    order = json.load(sys.stdin)
    plan = StudyPlan.from_dict(order["plan"])
    try:
        for row in rows(order["networks"], lambda spec: _measured(spec, plan)):
            _write(row)
    except ArchlabError as error:
        _write({"error": str(error)})
        sys.exit(1)


def rows(
    networks: Sequence[Mapping[str, Any]], measured: Callable[[ArchSpec], Measurement]
) -> Iterator[dict[str, Any]]:
    """Measure one network after the other; noisy ones once more, after all others."""
    noisy: list[tuple[str, ArchSpec, Measurement]] = []
    for network in networks:
        spec = ArchSpec.from_dict(network["spec"], where=str(network["digest"]))
        found = measured(spec)
        if found.quality == "noisy":
            noisy.append((network["digest"], spec, found))
        else:
            yield _row(network["digest"], found)
    for digest, spec, first in noisy:
        second = measured(spec)
        is_better = second.quality == "ok" or _width(second) < _width(first)
        yield _row(digest, second if is_better else first)


def _measured(spec: ArchSpec, plan: StudyPlan) -> Measurement:
    device = catalog.device(plan.device)
    run = catalog.run_for(
        device,
        runtime=plan.runtime,
        precision=plan.precision,
        batch=plan.batch,
        threads=plan.threads,
        max_s=max(plan.measure_s, MEASURE_S),
    )
    shape = (plan.batch, 3, spec.resolution, spec.resolution)
    return measure(deploy(build(spec, seed=plan.seed)), device, run, input_shape=shape, digest=spec.digest)


def _row(digest: str, found: Measurement) -> dict[str, Any]:
    return {
        "digest": digest,
        "latency_again_ms": found.median_ms,
        "latency_again_interval": list(found.ci95_ms),
        "source": found.source,
        "quality": found.quality,
        "wall_mean_ms": found.environment.get("wall_mean_ms"),
    }


def _width(found: Measurement) -> float:
    low, high = found.ci95_ms
    return (high - low) / found.median_ms


def _write(row: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
