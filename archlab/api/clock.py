"""How long does a spec take? From spec to milliseconds, measured where the device answers, else estimated."""

from archlab.api.timing import timed
from archlab.cost.trace import trace
from archlab.device.catalog import device as find_device
from archlab.device.catalog import run_for
from archlab.latency import PREDICTORS, predictor_for
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.spec import ArchSpec

__all__ = ["Clock"]


class Clock:
    """Latencies of specs on one device; a spec is timed once, and `source` says how."""

    def __init__(self, device: str, runtime: str | None = None) -> None:
        self.place = find_device(device)
        self.run = run_for(self.place, runtime=runtime)
        self.source = ""
        self._known: dict[str, float] = {}

    def __call__(self, spec: ArchSpec) -> float:
        """Give the median latency in milliseconds."""
        if spec.digest not in self._known:
            self._known[spec.digest] = self._measured(spec) if self.place.reach else self._estimated(spec)
        return self._known[spec.digest]

    def _measured(self, spec: ArchSpec) -> float:
        module = fold(build(spec))
        found = timed(module, self.place, self.run, side=spec.resolution, digest=spec.digest).summary()
        self.source = str(found["source"])
        return float(found["median_ms"])

    def _estimated(self, spec: ArchSpec) -> float:
        guess = PREDICTORS[predictor_for(self.place)].predict(trace(spec), self.place, self.run)
        self.source = guess.source
        return guess.ms
