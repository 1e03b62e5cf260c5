"""From a plan to a finished study folder: check, open, try the published networks first, search, compare, write.

Nothing is written before the plan is known to be possible; everything written is a copy of the storage, so a study
that was stopped at any moment goes on with the same call.
"""

import dataclasses
import datetime
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archlab.errors import DeviceError, DeviceLost
from archlab.interrupt import Pause
from archlab.space import SearchSpace
from archlab.spec import ArchSpec
from archlab.study import loop
from archlab.study.baselines import Judge, compare
from archlab.study.evaluate import Evaluator
from archlab.study.folder import StudyFolder
from archlab.study.follow import Follower, confirm_front
from archlab.study.identity import check_resumed
from archlab.study.plan import StudyPlan
from archlab.study.provenance import provenance
from archlab.study.record import Record
from archlab.study.recovery import Patient, Recovery
from archlab.study.result import Progress, StudyResult, progress, summarise
from archlab.study.roles import Services, Store
from archlab.study.trouble import check_same, no_study, unreachable

__all__ = ["conduct", "join"]

_Watch = Callable[[Progress], object]


def conduct(
    store: Store,
    plan: StudyPlan,
    folder: StudyFolder,
    *,
    argv: Sequence[str],
    first: Sequence[ArchSpec],
    on_progress: _Watch,
    services: Services | None,
) -> StudyResult:
    """Run the study of `folder` to its end; see `engine.run`."""
    space = plan.search_space()
    services = services or Evaluator(plan, out=folder.path)
    watch = _Watcher(store, plan, on_progress)
    _open_patiently(store, plan, space, services, folder)
    records = store.records()
    folder.export(records)
    folder.write_plan(plan)
    before = folder.read_run()
    services.learn(records)
    started = str((store.stored() or {}).get("started"))
    head = functools.partial(_head, plan, argv, services, started)
    write = _Writer(folder, plan, head, watch, float(before.get("seconds") or 0.0))
    kept = list(before.get("baselines") or ()) if before.get("is_finished") else []
    write(records, kept, is_finished=False)
    _enqueue(store, plan, space, first)
    on_record = Follower(store, plan, space, services, folder, watch)
    recovery = _recovery(plan, services, on_record, folder, watch)
    try:
        is_finished = loop.search(store, plan, space, services.evaluate, on_record, recovery)
        if is_finished:
            on_record.end()
        baselines, is_finished = _compare(store, plan, space, Patient(services, recovery), watch, kept, is_finished)
        is_finished = is_finished and confirm_front(store.records(), plan, services, folder, watch, recovery)
    except DeviceError as error:
        folder.note({"event": "search stopped", "detail": str(error)})
        write(store.records(), kept, is_finished=False)
        raise
    folder.export(store.records())
    return write(store.records(), baselines, is_finished=is_finished)


def join(store: Store, *, on_progress: _Watch, services: Services | None) -> int:
    """Work on a study that another process started; see `engine.work`."""
    stored = store.stored()
    if stored is None or "plan" not in stored:
        raise no_study(store.name, store.storage_name)
    plan = StudyPlan.from_dict(stored["plan"], where=f"the plan in {store.storage_name}")
    space = plan.search_space()
    check_same(plan, _space_digest(space), stored, store.storage_name)
    services = services or Evaluator(plan)
    check_resumed(plan.device, stored.get("fingerprint"), services.fingerprint(), store.storage_name)
    store.begin(plan, space, plan.seed + os.getpid(), {})
    closed = []
    watch = _Watcher(store, plan, on_progress)

    def on_record(record: Record) -> None:
        closed.append(record.number)
        watch("search")

    recovery = Recovery(plan.device, plan.device_failures_in_a_row, lambda: f"started again: {services.recover()}")
    loop.search(store, plan, space, services.evaluate, on_record, recovery)
    return len(closed)


class _Watcher:
    """Tells the caller how far the search is."""

    def __init__(self, store: Store, plan: StudyPlan, on_progress: _Watch) -> None:
        self._store, self._plan, self._tell = store, plan, on_progress
        self._started = time.perf_counter()
        self._session = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def __call__(self, phase: str) -> None:
        self._session += phase == "search"
        records = self._store.records()
        self._tell(progress(self._plan, records, seconds=self.seconds, session=self._session, phase=phase))


class _Writer:
    """Writes ``run.json`` and ``best.yaml`` and gives the result they hold."""

    def __init__(
        self, folder: StudyFolder, plan: StudyPlan, head: Callable[[], dict[str, Any]], watch: _Watcher, before_s: float
    ) -> None:
        self._folder, self._plan, self._head, self._watch, self._before_s = folder, plan, head, watch, before_s

    def __call__(
        self, records: Sequence[Record], baselines: Sequence[dict[str, Any]], *, is_finished: bool
    ) -> StudyResult:
        seconds = max(self._before_s, sum(record.seconds for record in records) - self._watch.seconds)
        result = summarise(
            self._plan,
            self._folder.path,
            records,
            seconds=seconds + self._watch.seconds,
            baselines=baselines,
            is_finished=is_finished,
        )
        winner = next((record for record in records if record.digest == result.best), None)
        self._folder.write_best(winner, _best_header(result, winner))
        self._folder.write_run({**result.to_dict(), **self._head()})
        return result


def _space_digest(space: SearchSpace) -> str:
    """What the axes of a space come to: keeps studies of two versions of a space file apart."""
    axes = [[axis.name, axis.sets, list(axis.choices), dict(axis.when or {})] for axis in space.axes]
    refit = [] if space.refit is None else [dataclasses.asdict(space.refit)]
    text = json.dumps([space.family, axes, *refit], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _head(plan: StudyPlan, argv: Sequence[str], services: Services, started: str) -> dict[str, Any]:
    """What ``run.json`` says of how its numbers came about."""
    return provenance(plan, argv, services.describe(), started)


def _recovery(
    plan: StudyPlan, services: Services, follower: Follower, folder: StudyFolder, watch: _Watcher
) -> Recovery:
    """What calls the device again when it goes away; the folder keeps what happened."""

    def note(event: Mapping[str, Any]) -> None:
        folder.note(event)
        watch(event["event"])

    def call() -> str:
        if not services.recover():
            return "it is what it was"
        follower.restarted()
        return "it has started again, in the same mode with the same software; the anchor was measured again"

    return Recovery(plan.device, plan.device_failures_in_a_row, call, note)


def _open_patiently(store: Store, plan: StudyPlan, space: SearchSpace, services: Services, folder: StudyFolder) -> None:
    """Open the study; a device that goes away meanwhile is called again, as in the search.

    One that never answered is no loss: that ends it at once.
    """
    recovery = Recovery(plan.device, plan.device_failures_in_a_row, lambda: f"started again: {services.recover()}")
    while True:
        try:
            return _open(store, plan, space, services, folder)
        except DeviceLost as error:
            recovery.after(error, Pause())


def _open(store: Store, plan: StudyPlan, space: SearchSpace, services: Services, folder: StudyFolder) -> None:
    stored = store.stored()
    if stored is not None and "plan" in stored:
        check_same(plan, _space_digest(space), stored, store.storage_name)
        fingerprint = services.fingerprint()
        check_resumed(plan.device, stored.get("fingerprint"), fingerprint, store.storage_name)
    else:
        fingerprint = services.fingerprint()
        folder.check_against([], store.storage_name)
        smallest_ms, source = services.smallest_upper_ms(space)
        if smallest_ms > plan.budget_ms:
            raise unreachable(plan, smallest_ms, source)
    folder.make()
    keep = {
        "plan": plan.to_dict(),
        "space_digest": _space_digest(space),
        "fingerprint": dict(fingerprint),
        "started": (stored or {}).get("started")
        or datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
    }
    store.begin(plan, space, plan.seed, keep)
    records = store.records()
    folder.check_against(records, store.storage_name)
    store.running()
    if records:
        store.begin(plan, space, plan.seed + len(records), keep)


def _enqueue(store: Store, plan: StudyPlan, space: SearchSpace, first: Sequence[ArchSpec]) -> None:
    """Put the networks to try first in the queue, cheapest first: at most half of the trials, the rest is search."""
    given = [(f"given:{spec.digest}", spec) for spec in first]
    published = sorted(space.published(), key=lambda row: (row.macs, row.name))
    ordered = [(o, s) for o, s in given if space.contains(s)] + [(f"published:{p.name}", p.spec) for p in published]
    limit = len(ordered) if plan.trials is None else max(1, plan.trials // 2)
    there = store.origins()
    seen: set[str] = set()
    for origin, spec in ordered[:limit]:
        if origin not in there and spec.digest not in seen:
            store.enqueue(space.encode(spec), origin)
        seen.add(spec.digest)


def _compare(
    store: Store,
    plan: StudyPlan,
    space: SearchSpace,
    judge: Judge,
    watch: _Watcher,
    kept: list[dict[str, Any]],
    is_finished: bool,
) -> tuple[list[dict[str, Any]], bool]:
    """Evaluate the published models; those of a finished run are kept. An interrupt ends it with what there is."""
    if kept or not is_finished:
        return kept, is_finished
    rows: list[dict[str, Any]] = []
    try:
        for row in compare(plan, space, judge, store.records()):
            rows.append(row)
            watch("baselines")
    except KeyboardInterrupt:
        return rows, False
    return rows, True


def _best_header(result: StudyResult, winner: Record | None) -> str:
    if winner is None or winner.evaluation is None:
        return ""
    values = winner.evaluation
    return (
        f"best network of {result.study}: digest {winner.digest}, found as number {winner.number} ({winner.origin})\n"
        f"score {values.values['score']:.6g} ({values.sources['score']}), "
        f"latency {values.values['latency_ms']:.4g} ms ({values.sources['latency_ms']}), "
        f"budget {result.budget_ms:g} ms"
    )
