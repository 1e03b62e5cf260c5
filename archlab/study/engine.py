"""Searches: the one file that knows Optuna.

The storage is the truth. A study is a multi-objective Optuna study whose trials carry their record as a user
attribute, written before the trial is told; the budget is the constraint ``latency_ms``. Any number of processes may
work on one storage: each claims the trial it works on, and what a dead process left open is closed without counting.
The sampler is asked for networks that were never tried (`unseen.pick`).
"""

import contextlib
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from archlab.errors import SpecError
from archlab.families.knobs import Scalar
from archlab.space import Point, SearchSpace
from archlab.spec import ArchSpec
from archlab.study.claim import is_lost, new_claim
from archlab.study.conduct import conduct, join
from archlab.study.folder import StudyFolder
from archlab.study.journal import JournalFile, journal_path
from archlab.study.loop import Asked
from archlab.study.objective import OBJECTIVES
from archlab.study.plan import StudyPlan
from archlab.study.record import Record
from archlab.study.result import Progress, StudyResult
from archlab.study.rivalry import Rival, verdict
from archlab.study.roles import Services
from archlab.study.samplers import SAMPLERS
from archlab.study.storage import sqlite_path, without_password
from archlab.study.trouble import damaged, explained, is_full, no_folder, no_storage, no_url
from archlab.study.unseen import PointReader, UnseenSampler, pick

__all__ = ["OptunaLedger", "run", "work"]

_STATES = {"complete": TrialState.COMPLETE, "skipped": TrialState.PRUNED, "failed": TrialState.FAIL}
_DIRECTIONS = {True: optuna.study.StudyDirection.MAXIMIZE, False: optuna.study.StudyDirection.MINIMIZE}
_DECISION_S, _GLANCE_S = 30.0, 0.02
_RIVALS = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, UnicodeError)


def run(
    plan: StudyPlan,
    out: Path | str,
    *,
    argv: Sequence[str] = (),
    first: Sequence[ArchSpec] = (),
    on_progress: Callable[[Progress], object] = lambda progress: None,
    services: Services | None = None,
) -> StudyResult:
    """Search, or go on with the search that the folder holds, up to the plan's trials or minutes.

    Ctrl-C ends it cleanly after closing the network in flight; the same call then goes on.

    Args:
        plan: What to search.
        out: The study folder; its name is the study's name in the storage.
        argv: The command line, for the record.
        first: Networks to try first, beside the published ones; those outside the space are left out.
        on_progress: Called after every network and every published model.
        services: How networks are evaluated; the real ones if left out.

    Raises:
        PlanError: When no network of the space meets the budget, or a name or file of the plan is wrong.
        StudyError: When the folder or storage is damaged, belongs to another plan, or network after network fails.
        StorageFullError: When nothing more can be written; nothing written before is lost.
    """
    folder = StudyFolder(Path(out))
    ledger = OptunaLedger(plan.storage, folder.journal, folder.path.resolve().name)
    with contextlib.closing(ledger), explained(ledger.storage_name, optuna.exceptions.OptunaError):
        return conduct(ledger, plan, folder, argv=argv, first=first, on_progress=on_progress, services=services)


def work(
    storage: str,
    study: str,
    *,
    on_progress: Callable[[Progress], object] = lambda progress: None,
    services: Services | None = None,
) -> int:
    """Help with a study that another process started; give the number of networks this process closed.

    Raises:
        StudyError: When there is no such study in the storage.
    """
    ledger = OptunaLedger(storage, None, study)
    with contextlib.closing(ledger), explained(ledger.storage_name, optuna.exceptions.OptunaError):
        return join(ledger, on_progress=on_progress, services=services)


class OptunaLedger:
    """The study `name` in an Optuna storage, a URL or the folder's own journal file, opened when first needed."""

    def __init__(self, storage: str | None, journal: Path | None, name: str) -> None:
        self.name = name
        self.storage_name = without_password(storage) if storage else str(journal)
        self._url = storage or ""
        self._path = journal_path(storage) if storage else journal
        self._is_own = storage is None
        self._claim = new_claim()
        self._records: dict[int, Record] = {}
        self._open_trials: dict[int, Trial] = {}
        self._known: set[str] = set()
        self._storage: BaseStorage | None = None
        self._study: optuna.Study | None = None

    def stored(self) -> Mapping[str, Any] | None:
        """What `begin` kept of the study, or None when the storage has no such study; creates nothing."""
        path = self._path or sqlite_path(self._url)
        if path is not None and not path.exists():
            return None
        names = optuna.get_all_study_names(storage=self._open())
        if self._is_own and len(names) == 1:
            self.name = names[0]  # the folder may have been renamed or copied since
        if self.name not in names:
            return None
        attributes = optuna.load_study(study_name=self.name, storage=self._open()).user_attrs
        return attributes or None

    def begin(self, plan: StudyPlan, space: SearchSpace, seed: int, keep: Mapping[str, Any]) -> None:
        """Open the study for work, creating it where needed; what `keep` holds is stored with it."""
        directions = [_DIRECTIONS[OBJECTIVES[name].is_maximised] for name in plan.objectives]
        self._plan, self._space = plan, space
        self._reader = PointReader(space, is_flat=SAMPLERS[plan.sampler].is_flat)
        self._study = study = optuna.create_study(
            storage=self._open(),
            study_name=self.name,
            directions=directions,
            load_if_exists=True,
            sampler=self._sampler(seed),
        )
        before = study.user_attrs
        for key, value in keep.items():
            if before.get(key) != value:
                study.set_user_attr(key, value)

    def enqueue(self, point: Point, origin: str) -> None:
        """Have `point` tried before the sampler is asked."""
        self._opened.enqueue_trial(self._reader.filled(point), user_attrs={"origin": origin})

    def origins(self) -> set[str]:
        """Origins of all trials that are closed, at work or waiting."""
        self.running()
        waiting = self._trials(TrialState.WAITING, TrialState.RUNNING)
        return {r.origin for r in self.records()} | {str(t.user_attrs.get("origin")) for t in waiting}

    def ask(self) -> Asked:
        """Open a trial and let the sampler fill it."""
        running = {str(trial.user_attrs.get("digest")) for trial in self._trials(TrialState.RUNNING)}
        self._known = running | {str(record.digest) for record in self.records()}
        trial = self._opened.ask()
        self._open_trials[trial.number] = trial
        trial.set_user_attr("claim", self._claim)
        point = self._reader.read(lambda axis: cast(Scalar, trial.suggest_categorical(axis.name, axis.choices)))
        origin = trial.user_attrs.get("origin")
        return Asked(
            number=trial.number,
            point=point,
            origin=origin or "sampled",
            is_exhausted=origin is None and self._is_known(point),
        )

    def reserve(self, number: int, digest: str) -> bool:
        """Note which network a trial tries; False where another trial has it, closed or at work (`rivalry`)."""
        trial = self._open_trials[number]
        trial.set_user_attr("digest", digest)
        ends = time.monotonic() + _DECISION_S
        while (mine := verdict(number, self._rivals(number, digest))) is None and time.monotonic() < ends:
            time.sleep(_GLANCE_S)
            self.running()  # closes what a dead process left undecided
        if mine is False:
            return False
        trial.set_user_attr("has_taken", True)
        return True

    def _rivals(self, number: int, digest: str) -> list[Rival]:
        return [
            Rival(number=t.number, is_running=t.state == TrialState.RUNNING, has_taken="has_taken" in t.user_attrs)
            for t in self._trials(*_RIVALS)
            if t.user_attrs.get("digest") == digest and t.number != number
        ]

    def tell(self, record: Record) -> None:
        """Write the record, then the constraint, then close the trial."""
        trial = self._open_trials.pop(record.number)
        trial.set_user_attr("record", record.to_dict())
        for name, violation in record.violations.items():
            trial.set_constraint(name, violation)
        values = None
        if record.state == "complete":
            assert record.evaluation is not None
            values = [record.evaluation.values[name] for name in self._plan.objectives]
        self._opened.tell(trial, values, state=_STATES[record.state])

    def lose(self, number: int) -> None:
        """Close a trial without a record."""
        self._open_trials.pop(number, None)
        self._opened.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def requeue(self, number: int, point: Point, origin: str) -> None:
        """Queue a trial's network, then close the trial without a record: a kill in between loses nothing."""
        self.enqueue(point, origin)
        self.lose(number)

    def records(self) -> list[Record]:
        """Every closed trial that has a record, by number."""
        for trial in self._trials(*_STATES.values()):
            document = trial.user_attrs.get("record")
            if trial.number in self._records or not isinstance(document, dict):
                continue
            record = Record.from_dict(document, where=f"trial {trial.number} of {self.storage_name}")
            if _STATES[record.state] == trial.state:
                self._records[trial.number] = record
        return [self._records[number] for number in sorted(self._records)]

    def running(self, before: int | None = None) -> int:
        """Count running trials of living processes; those of dead ones are closed."""
        alive = 0
        for trial in self._trials(TrialState.RUNNING):
            if is_lost(trial.user_attrs.get("claim"), trial.datetime_start, self._claim):
                with contextlib.suppress(ValueError):  # another process was faster
                    self.lose(trial.number)
            elif before is None or trial.number < before:
                alive += 1
        return alive

    def close(self) -> None:
        """Close the connections to a database."""
        if isinstance(self._storage, RDBStorage):
            self._storage.scoped_session.remove()
            self._storage.engine.dispose()

    @property
    def _opened(self) -> optuna.Study:
        assert self._study is not None, "begin comes first"
        return self._study

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._opened.get_trials(deepcopy=False, states=states)

    def _is_known(self, point: Point) -> bool:
        try:
            return self._space.decode(point).digest in self._known
        except SpecError:
            return True

    def _sampler(self, seed: int) -> BaseSampler:
        rng = random.Random(seed)
        choices = {axis.name: optuna.distributions.CategoricalDistribution(axis.choices) for axis in self._space.axes}

        def choose(suggest: Callable[[], Point]) -> Point:
            return self._reader.filled(pick(self._space, suggest, self._is_known, rng))

        return cast(BaseSampler, UnseenSampler(_sampler(self._plan.sampler, seed), self._space, choices, choose))

    def _open(self) -> BaseStorage:
        if self._storage is None:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            self._storage = _database(self._url) if self._path is None else _journal(self._path)
        return self._storage


def _sampler(name: str, seed: int) -> BaseSampler:
    row = SAMPLERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # TPE's group is experimental
        return cast(BaseSampler, getattr(optuna.samplers, row.kind)(seed=seed, **row.options))


def _journal(path: Path) -> BaseStorage:
    try:
        return JournalStorage(cast(Any, JournalFile(path)))
    except _DAMAGE as error:
        raise damaged(str(path), error) from None
    except OSError as error:
        if is_full(error):
            raise
        raise no_folder(f"{path} ({error.strerror})") from None


def _database(url: str) -> BaseStorage:
    if "://" not in url:
        raise no_url(url)
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    try:
        return RDBStorage(url, engine_kwargs=options)
    except Exception as error:  # whatever a driver throws, the user gave a URL that leads nowhere
        raise no_storage(url, error) from None
