"""Measure networks a second time, as a program of its own: no cache, nothing warm from the search.

``python -m archlab.study.again`` reads one JSON document from stdin, ``{plan, anchor_ms, networks: [{digest, spec}]}``,
and writes a JSON line per network, in the order given; a noisy one is measured once more at the end and counts by its
steadier result. Before each network the anchor is measured: while the device is not what it was in the search, by more
than 3 %, it waits for calm, for a while; the line says what was left of the drift.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archlab.device import catalog
from archlab.device.measure import measure
from archlab.device.measurement import Measurement
from archlab.errors import ArchlabError, DeviceUnreachable
from archlab.families import published
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.spec import ArchSpec
from archlab.study.anchor import ANCHOR, DRIFT_SHARE
from archlab.study.plan import StudyPlan

__all__ = ["MEASURE_S", "CalmWait", "main", "rows"]

MEASURE_S = 5.0
"""A second measurement may take so long, or as long as the first if that is longer."""

_ANCHOR_S = 1.0
_WAIT_S, _PATIENCE = 3.0, 4


def main() -> None:
    """Read the order, write the lines; trouble is a last line ``{error, is_away}``."""
    order = json.load(sys.stdin)
    plan = StudyPlan.from_dict(order["plan"])
    expected = order.get("anchor_ms")
    wait = CalmWait(lambda: _measured(published(ANCHOR).spec, plan, max_s=_ANCHOR_S).median_ms, expected)
    try:
        for row in rows(order["networks"], lambda spec: _measured(spec, plan), wait):
            _write(row)
    except ArchlabError as error:
        _write({"error": str(error), "is_away": isinstance(error, DeviceUnreachable)})
        sys.exit(1)


class CalmWait:
    """Waits until the device is what it was in the search; where it stays away, only the first call waits.

    Args:
        anchor_ms: Measures the anchor, in ms.
        expected_ms: What it took in the search; None where it was not measured, and nothing is waited for.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        anchor_ms: Callable[[], float],
        expected_ms: float | None,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._anchor_ms, self._expected_ms, self._sleep = anchor_ms, expected_ms, sleep
        self._patience = _PATIENCE

    def __call__(self) -> float | None:
        """Measure the anchor until it takes at most 3 % more than expected, or patience ends.

        Returns:
            How far the last reading lies from what was expected, as a share.
        """
        if self._expected_ms is None:
            return None
        drift = self._anchor_ms() / self._expected_ms - 1
        while drift > DRIFT_SHARE and self._patience > 0:
            self._patience -= 1
            self._sleep(_WAIT_S)
            drift = self._anchor_ms() / self._expected_ms - 1
        if drift <= DRIFT_SHARE:
            self._patience = _PATIENCE
        return drift


def rows(
    networks: Sequence[Mapping[str, Any]],
    measured: Callable[[ArchSpec], Measurement],
    calm: Callable[[], float | None],
) -> Iterator[dict[str, Any]]:
    """Measure one network after the other, each after `calm`; noisy ones once more, after all others."""
    noisy: list[tuple[str, ArchSpec, Measurement]] = []
    for network in networks:
        spec = ArchSpec.from_dict(network["spec"], where=str(network["digest"]))
        drift = calm()
        found = measured(spec)
        if found.quality == "noisy":
            noisy.append((network["digest"], spec, found))
        else:
            yield _row(network["digest"], found, drift)
    for digest, spec, first in noisy:
        drift = calm()
        second = measured(spec)
        is_better = second.quality == "ok" or _width(second) < _width(first)
        yield _row(digest, second if is_better else first, drift)


def _measured(spec: ArchSpec, plan: StudyPlan, *, max_s: float | None = None) -> Measurement:
    device = catalog.device(plan.device)
    run = catalog.run_for(
        device,
        runtime=plan.runtime,
        precision=plan.precision,
        batch=plan.batch,
        threads=plan.threads,
        max_s=max_s or max(plan.measure_s, MEASURE_S),
    )
    shape = (plan.batch, 3, spec.resolution, spec.resolution)
    return measure(fold(build(spec, seed=plan.seed)), device, run, input_shape=shape, digest=spec.digest)


def _row(digest: str, found: Measurement, drift: float | None) -> dict[str, Any]:
    return {
        "digest": digest,
        "latency_again_ms": found.median_ms,
        "latency_again_interval": list(found.ci95_ms),
        "source": found.source,
        "quality": found.quality,
        "drift": drift,
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
