"""A search with made-up values, as a program of its own: tests kill it, interrupt it and run several at once.

Arguments: run OUT SPACE TRIALS SECONDS [STORAGE] | work STORAGE STUDY SECONDS. The first line of output is
"ready", every other one is a network. Where the variable GATE names a file, nothing begins before it is there.
"""

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from archlab.errors import SpecError
from archlab.study import engine
from archlab.study.plan import StudyPlan
from archlab.study.record import Evaluation


class Services:
    """Latency and score by a formula of the spec: wider and deeper is slower and better."""

    def __init__(self, budget_ms: float = 10.0, seconds: float = 0.0, stop_after: int = 1000) -> None:
        self.budget_ms, self.seconds, self.stop_after = budget_ms, seconds, stop_after
        self.seen: list[str] = []
        self.baselines: list[str] = []
        self.learnt = 0
        self.smallest_ms = 0.5

    def evaluate(self, spec: Any) -> Evaluation:
        if len(self.seen) == self.stop_after:
            raise KeyboardInterrupt
        self.seen.append(spec.digest)
        time.sleep(self.seconds)
        latency = self.latency(spec)
        if spec.widths[0] == 13:
            raise SpecError("thirteen channels bring bad luck")
        skipped = "clearly over" if latency * 0.9 > 1.5 * self.budget_ms else None
        values = {"latency_ms": latency}
        if skipped is None:
            values["score"] = self.score(spec)
        return self.evaluation(spec, values, skipped)

    def evaluation(self, spec: Any, values: dict[str, float], skipped: str | None = None) -> Evaluation:
        sources = {"latency_ms": "estimated:formula@orin", "score": "proxy:formula"}
        latency = values["latency_ms"]
        return Evaluation(
            values=values,
            sources={name: sources[name] for name in values},
            intervals={"latency_ms": (latency * 0.9, latency * 1.1)},
            macs=sum(spec.widths) * 1000,
            params=sum(spec.widths) * 100,
            skipped=skipped,
        )

    def latency(self, spec: Any) -> float:
        return sum(w * d for w, d in zip(spec.widths, spec.depths, strict=True)) * spec.resolution / 64 / 100

    def score(self, spec: Any) -> float:
        kernel = spec.stages[0].blocks[0].kernels[0]
        return math.log(sum(spec.widths)) + 0.1 * kernel + 0.01 * spec.resolution

    def baseline(self, spec: Any, limit_ms: float) -> Evaluation:
        self.baselines.append(spec.digest)
        return self.evaluation(spec, {"score": self.score(spec), "latency_ms": self.latency(spec)})

    def learn(self, records: Any) -> None:
        self.learnt += len(list(records))

    def fingerprint(self) -> dict[str, str]:
        return {}

    def recover(self) -> bool:
        return False

    def smallest_upper_ms(self, space: Any) -> tuple[float, str]:
        return self.smallest_ms, "estimated:formula@orin"

    def anchor_ms(self) -> float | None:
        return None

    def expect_spread(self, spread: float) -> None:
        raise AssertionError("nothing was measured")

    def remeasure(self, networks: Any, anchor_ms: float | None) -> Any:
        raise AssertionError("nothing was measured")

    def describe(self) -> dict[str, Any]:
        return {
            "device": {"name": "orin"},
            "fingerprint": {},
            "protocol": {"kind": "estimated"},
            "score": {"name": "x"},
        }


def main() -> None:
    """Run or help."""
    mode, *rest = sys.argv[1:]
    print("ready", flush=True)
    while os.environ.get("GATE") and not Path(os.environ["GATE"]).exists():
        time.sleep(0.01)

    def show(progress: Any) -> None:
        print(progress.phase, progress.done, flush=True)

    if mode == "work":
        storage, study, seconds = rest
        engine.work(storage, study, on_progress=show, services=Services(seconds=float(seconds)))
        return
    out, space, trials, seconds, *storage_url = rest
    plan = StudyPlan(
        budget_ms=10.0, device="orin", space=space, trials=int(trials), storage=storage_url[0] if storage_url else None
    )
    result = engine.run(plan, Path(out), services=Services(seconds=float(seconds)), on_progress=show)
    print("finished" if result.is_finished else "interrupted", result.trials, result.unique, flush=True)


if __name__ == "__main__":
    main()
