"""From a network to its values: latency first, then what the plan asks for, each with its source.

A device that can be reached is measured, any other estimated. A network that a prediction or its own latency puts
clearly over the budget is not scored, nor is one that the device cannot build; its evaluation says so.
"""

import functools
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from archlab.cost.count import CostReport, count
from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace
from archlab.device import catalog
from archlab.device.cache import MeasurementCache
from archlab.device.catalog import RunSpec
from archlab.device.measure import measure
from archlab.device.measurement import Measurement
from archlab.errors import EngineBuildError, UnsteadyMeasurement, four_parts
from archlab.families import published
from archlab.latency import PREDICTORS, predictor_for
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.space import SearchSpace
from archlab.spec import ArchSpec
from archlab.study.anchor import ANCHOR, PRIOR_SHARE, repeat_interval
from archlab.study.confirm import fresh_process
from archlab.study.forecast import forecast
from archlab.study.identity import Fingerprint
from archlab.study.objective import OBJECTIVES, Reading
from archlab.study.pace import Pace
from archlab.study.plan import StudyPlan
from archlab.study.presence import Presence
from archlab.study.protocol import describe
from archlab.study.reach import smallest_upper_ms
from archlab.study.record import Evaluation, Record
from archlab.study.scorer import Scorer

__all__ = ["Evaluator"]

_NEAR = 0.95
"""A measured network whose interval ends above this share of the budget is measured a second time."""


class Evaluator:
    """Evaluates networks as a plan asks; what a score trains lies in the study folder `out`, or in a passing one.

    Raises:
        UnknownNameError: For a device or proxy that is in no table.
        PlanError: For a run that the device does not offer, or images that the score does not look at.
    """

    def __init__(self, plan: StudyPlan, cache: MeasurementCache | None = None, out: Path | None = None) -> None:
        self.plan = plan
        self.score = Scorer(plan, out)
        self.device = catalog.device(plan.device)
        self.run = _run(self.device, plan)
        self.is_measured = self.device.reach is not None
        self.pace = Pace()
        self.cache_hits = 0
        self.spread = PRIOR_SHARE
        self._cache = MeasurementCache() if cache is None else cache
        self._presence = Presence(self.device, self.run)
        self._ready = functools.lru_cache(maxsize=1)(lambda spec: fold(build(spec, seed=plan.seed)))  # measured twice

    def evaluate(self, spec: ArchSpec) -> Evaluation:
        """Work out the plan's objectives of a network; one that the device cannot build has none, and says why."""
        subject = _Subject(spec, self)
        try:
            return self._evaluated(subject)
        except EngineBuildError as error:
            return subject.evaluation({}, str(error))

    def _evaluated(self, subject: "_Subject") -> Evaluation:
        limit_ms = self.plan.skip_ms
        guess = self._guess(subject) if self.is_measured else None
        if guess is not None and guess.interval is not None and guess.interval[0] > limit_ms:
            return subject.evaluation({"latency_ms": guess}, _over(guess, self.plan, "before it was measured"))
        readings = {"latency_ms": subject.latency_ms()}
        low_ms = (readings["latency_ms"].interval or (readings["latency_ms"].value,))[0]
        if low_ms > limit_ms:
            return subject.evaluation(readings, _over(readings["latency_ms"], self.plan, "so it was not scored"))
        for name in self.plan.objectives:
            if name not in readings:
                readings[name] = OBJECTIVES[name].read(subject)
        if readings["latency_ms"].quality == "noisy" or self._is_near(readings["latency_ms"]):
            readings["latency_ms"] = subject.latency_again()
        return subject.evaluation(readings, None)

    def _guess(self, subject: "_Subject") -> Reading | None:
        """Guess what a measurement would say: by the device's own calibration, else by the pace so far."""
        found = forecast(subject.trace, self.device, self.run, self.fingerprint())
        return found or self.pace.guess(subject.report.macs, self.plan.device)

    def _is_near(self, latency: Reading) -> bool:
        """Tell whether a measured latency is so near to the budget that it deserves a second measurement."""
        low, high = latency.interval or (latency.value, latency.value)
        return self.is_measured and low <= self.plan.budget_ms and high > _NEAR * self.plan.budget_ms

    def baseline(self, spec: ArchSpec, limit_ms: float) -> Evaluation:
        """Score and time a published model, but do not wait for a latency clearly above `limit_ms`.

        A score that trains is not spent on a model over the budget.
        """
        subject = _Subject(spec, self)
        if self.score.trains:
            return self._evaluated(subject)
        guess = self._guess(subject) if self.is_measured else None
        readings = {"score": subject.score()}
        if guess is not None and guess.interval is not None and guess.interval[0] > limit_ms:
            why = f"not timed: its multiply-adds put it above {guess.interval[0]:.3g} ms"
            return subject.evaluation(readings, why)
        return subject.evaluation(readings | {"latency_ms": subject.latency_ms()}, None)

    def learn(self, records: Iterable[Record]) -> None:
        """Take the measured latencies of earlier records into account."""
        for record in records:
            found = record.evaluation
            if found is not None and found.macs and found.sources.get("latency_ms", "").startswith("measured:"):
                self.pace.learn(found.macs * self.plan.batch, found.values["latency_ms"])

    def fingerprint(self) -> Fingerprint:
        """The device and its software as they were when first asked; empty where the device is estimated."""
        return self._presence.fingerprint()

    def recover(self) -> bool:
        """Call a device that went away once more; see `roles.Services`."""
        return self._presence.recover()

    def latency(self, spec: ArchSpec, trace_: OpTrace, macs: int) -> Reading:
        """Measure or estimate one network."""
        if self.is_measured:
            return self.reading([self.measured(spec, macs)])
        guess = PREDICTORS[predictor_for(self.device)].predict(trace_, self.device, self.run)
        return Reading(value=guess.ms, source=guess.source, interval=(guess.lo_ms, guess.hi_ms))

    def measured(self, spec: ArchSpec, macs: int, *, is_fresh: bool = False) -> Measurement:
        """Measure one network; `is_fresh` asks the device even where the answer is known."""
        found = measure(
            self._ready(spec),
            self.device,
            self.run,
            input_shape=(self.plan.batch, 3, spec.resolution, spec.resolution),
            digest=spec.digest,
            cache=None if is_fresh else self._cache,
        )
        self._presence.check(found.environment)
        if found.quality == "failed":
            raise _untimed(spec, self.device.name)
        self.cache_hits += bool(found.environment.get("cached"))
        self.pace.learn(macs, found.median_ms)
        return found

    def reading(self, found: Sequence[Measurement]) -> Reading:
        """Join measurements of one network, those of quality ``ok`` where there are any: the mean of their medians."""
        counted = [m for m in found if m.quality == "ok"] or [min(found, key=_width)]
        ms = statistics.fmean(m.median_ms for m in counted)
        ends = [statistics.fmean(m.ci95_ms[side] for m in counted) for side in (0, 1)]
        return Reading(
            value=ms,
            source=counted[0].source,
            interval=repeat_interval(ms, (ends[0], ends[1]), self.spread, times=len(counted)),
            quality=counted[0].quality,
            wall_mean_ms=found[0].environment.get("wall_mean_ms"),
        )

    def anchor_ms(self) -> float | None:
        """Measure the anchor; None where the device is estimated or the anchor came out noisy."""
        if not self.is_measured:
            return None
        spec = published(ANCHOR).spec
        found = self.measured(spec, count(trace(spec, batch=self.plan.batch)).macs, is_fresh=True)
        return found.median_ms if found.quality == "ok" else None

    def expect_spread(self, spread: float) -> None:
        """From now on, expect measurements of one network to lie so far apart (standard deviation, as a share)."""
        self.spread = spread

    def macs(self, spec: ArchSpec) -> int:
        """Count the multiply-adds of a network."""
        return count(trace(spec)).macs

    def smallest_upper_ms(self, space: SearchSpace) -> tuple[float, str]:
        """Find a small latency in the space, at the upper end of its interval; stops at one within the budget."""
        return smallest_upper_ms(
            space,
            self.plan.budget_ms,
            latency=lambda spec: _Subject(spec, self).latency_ms(),
            macs=self.macs,
            is_measured=self.is_measured,
            seed=self.plan.seed,
        )

    def remeasure(self, networks: Sequence[Record], anchor_ms: float | None) -> Iterator[Mapping[str, Any]]:
        """Measure networks again in a fresh process."""
        return fresh_process(self.plan, networks, anchor_ms)

    def describe(self) -> dict[str, Any]:
        """Device, fingerprint, protocol and score, for ``run.json``."""
        predictor = None if self.is_measured else PREDICTORS[predictor_for(self.device)]
        return describe(self.plan, self.device, self.run, predictor, self.fingerprint()) | {
            "cache_hits": self.cache_hits
        }


class _Subject:
    """One network, every answer worked out once."""

    def __init__(self, spec: ArchSpec, by: Evaluator) -> None:
        self._spec, self._by = spec, by
        self._found: list[Measurement] = []

    @functools.cached_property
    def trace(self) -> OpTrace:
        return trace(self._spec, batch=self._by.plan.batch)

    @functools.cached_property
    def report(self) -> CostReport:
        return count(self.trace)

    def score(self) -> Reading:
        started = time.perf_counter()
        value = self._by.score(self._spec)
        return Reading(
            value=value, source=f"proxy:{self._by.plan.proxy}", seconds=round(time.perf_counter() - started, 4)
        )

    def latency_ms(self) -> Reading:
        by = self._by
        if not by.is_measured:
            return by.latency(self._spec, self.trace, self.report.macs)
        self._found = [by.measured(self._spec, self.report.macs)]
        return by.reading(self._found)

    def latency_again(self) -> Reading:
        """Measure once more, past the cache, and join the two."""
        self._found.append(self._by.measured(self._spec, self.report.macs, is_fresh=True))
        return self._by.reading(self._found)

    def macs(self) -> Reading:
        return Reading(value=float(self.report.macs), source="counted:archlab")

    def params(self) -> Reading:
        return Reading(value=float(self.report.params), source="counted:archlab")

    def evaluation(self, readings: dict[str, Reading], skipped: str | None) -> Evaluation:
        return Evaluation(
            values={name: reading.value for name, reading in readings.items()},
            sources={name: reading.source for name, reading in readings.items()},
            intervals={name: reading.interval for name, reading in readings.items() if reading.interval is not None},
            macs=self.report.macs // self._by.plan.batch,
            params=self.report.params,
            quality=readings["latency_ms"].quality if "latency_ms" in readings else None,
            skipped=skipped,
            wall_mean_ms=readings["latency_ms"].wall_mean_ms if "latency_ms" in readings else None,
            score_s=readings["score"].seconds if "score" in readings else None,
        )


def _run(device: catalog.Device, plan: StudyPlan) -> RunSpec:
    return catalog.run_for(
        device,
        runtime=plan.runtime,
        precision=plan.precision,
        batch=plan.batch,
        threads=plan.threads,
        max_s=plan.measure_s,
    )


def _over(reading: Reading, plan: StudyPlan, when: str) -> str:
    low = (reading.interval or (reading.value,))[0]
    return f"{reading.source} of at least {low:.3g} ms is clearly over the budget of {plan.budget_ms:g} ms, {when}"


def _untimed(spec: ArchSpec, device: str) -> UnsteadyMeasurement:
    return UnsteadyMeasurement(
        four_parts(
            f"no run of the network {spec.digest} on {device} gave a time",
            given="quality failed",
            allowed="runs longer than the clock's step",
            do="check the device with: archlab measure",
        )
    )


def _width(found: Measurement) -> float:
    return found.ci95_ms[1] - found.ci95_ms[0]
