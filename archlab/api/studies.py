"""Search for networks, load what was found, report it."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from archlab import reports
from archlab.api.arguments import checked
from archlab.api.notes import note_on
from archlab.api.progress import show_progress
from archlab.api.starts import begin_from
from archlab.errors import StudyError, four_parts
from archlab.figures import draw_front
from archlab.format import percent
from archlab.model.build import build
from archlab.reports import findings, headline, study_files, tables
from archlab.reports.picture import picture
from archlab.spec import ArchSpec
from archlab.study import engine, result
from archlab.study.confirm import Confirmed, share
from archlab.study.plan import StudyPlan
from archlab.study.record import Record
from archlab.study.result import Progress
from archlab.study.storage import without_password
from archlab.study.trust import trust

__all__ = ["Found", "Study", "load", "report", "search", "work"]

_KEYS = (
    "study",
    "out",
    "device",
    "budget_ms",
    "trials",
    "feasible",
    "unique",
    "seconds",
    "is_finished",
    "best",
    "front",
    "baselines",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A network that a search found; `latency_ms` is the value, `latency_interval` its interval in ms."""

    digest: str
    spec: ArchSpec
    score: float
    latency_ms: float
    latency_interval: tuple[float, float] | None
    latency_source: str
    macs: int | None
    params: int | None

    def build(self, seed: int = 0) -> nn.Module:
        """Build the network with random weights, in evaluation mode."""
        return build(self.spec, seed=seed).eval()


class Study:
    """A study folder, loaded; every table is a DataFrame, every plot a figure.

    `is_finished` is False after a search that was interrupted.
    """

    def __init__(self, folder: Path, *, is_finished: bool = True) -> None:
        self.folder = folder
        self.is_finished = is_finished
        self._files = study_files.read(folder)

    def __repr__(self) -> str:
        plan = self._files.plan
        done = len(self._files.trials)
        return f"Study({str(self.folder)!r}: {plan.space}, {plan.device}, {plan.budget_ms:g} ms, {done} trials)"

    def to_dict(self) -> dict[str, Any]:
        """The answer of ``archlab search --json``; the front's second measurements stand beside the first."""
        found = result.summarise(
            self._files.plan,
            self.folder,
            self._files.trials,
            seconds=self._files.run.seconds or 0.0,
            baselines=[dataclasses.asdict(row) for row in self._files.run.baselines],
            is_finished=self.is_finished,
        ).to_dict()
        again = findings.confirmed(self._files)
        fared = share(findings.front(self._files), self._files.confirmed)
        return {key: found[key] for key in _KEYS} | {
            "ranking": trust(self._files.plan, self._files.trials).to_dict(),
            "front": [row | _again(again.get(row["digest"])) for row in found["front"]],
            "confirmed": dataclasses.asdict(fared) if fared.networks else None,
            **note_on(self.best),
        }

    def trust(self) -> str:
        """How far the score may be trusted, its known rank correlation, and the seconds it took, in words."""
        return headline.trusted(self._files)

    def front(self) -> pd.DataFrame:
        """The networks under budget that no other beats in both score and latency, fastest first."""
        return tables.front_table(self._files)

    def trials(self) -> pd.DataFrame:
        """Every network tried, in order."""
        return tables.trials_table(self._files)

    def baselines(self) -> pd.DataFrame:
        """The published models on the same device with the same settings."""
        return tables.published_table(self._files)

    @checked
    def best(self, budget_ms: float | None = None) -> Found:
        """The highest score whose latency interval ends under a budget.

        Args:
            budget_ms: Milliseconds; None takes the study's own budget.

        Raises:
            StudyError: When no network of the study is under the budget; the message says the fastest.
        """
        limit = self._files.plan.budget_ms if budget_ms is None else budget_ms
        known = [r for r in result.distinct(self._files.trials) if r.state == "complete"]
        under = [r for r in known if (_upper_ms(r) or limit + 1) <= limit]
        if not under:
            fastest = min((ms for r in known if (ms := _upper_ms(r)) is not None), default=None)
            raise StudyError(
                four_parts(
                    "no network of the study is under that budget",
                    given=f"{limit:g} ms",
                    allowed=f"{fastest:.3g} ms or more" if fastest else "nothing: no network was evaluated",
                    do="ask for a larger budget, or search again with the smaller one",
                )
            )
        return _found(max(under, key=lambda r: _value(r, "score")))

    def plot_front(self) -> Any:
        """The front as a matplotlib figure: budget line, published models, measured or estimated in words."""
        return draw_front(picture([self._files]))

    def explain(self) -> list[dict[str, Any]]:
        """Where the best network's cost goes, stage by stage, as rows of text; shares of latency where estimated."""
        anatomy = reports.take_apart(self._files)
        if isinstance(anatomy, str):
            return []
        return [
            {
                "stage": stage.piece.name,
                "layers": ", ".join(
                    f"{repeat.times} × {' '.join(chip.kind for chip in repeat.chips)}" for repeat in stage.layers
                ),
                "params": percent(stage.piece.params_share),
                "macs": percent(stage.piece.macs_share),
                "traffic": percent(stage.piece.traffic_share),
                "latency": percent(stage.piece.latency_share),
            }
            for stage in anatomy.stages
        ]


@checked
def search(
    *,
    budget_ms: float,
    device: str,
    space: str = "hybrid",
    trials: int | None = None,
    minutes: float | None = None,
    proxy: str | None = None,
    sampler: str = "tpe",
    runtime: str | None = None,
    threads: int | None = None,
    storage: str | None = None,
    seed: int = 0,
    start: str | Path | None = None,
    out: str | Path | None = None,
    data: str | Path | None = None,
    resolution: int | None = None,
    stem_divisor: int = 1,
    classes: int | None = None,
    argv: Sequence[str] = (),
    on_progress: Callable[[Progress], object] | None = None,
) -> Study:
    """Search a space for the best networks under a latency budget; the same call goes on where it stopped.

    Args:
        budget_ms: Latency budget in milliseconds, applied at the upper end of a latency's interval.
        device: A catalog name; one that can be reached is measured, any other estimated.
        space: A shipped space or a YAML file.
        trials: Networks to try (200 if neither `trials` nor `minutes` is given).
        minutes: Time to spend on trials.
        proxy: The accuracy score; None takes `published`, or, where there is `data`, `short_train`.
        sampler: ``tpe``, ``nsga2`` or ``random``.
        runtime: Runtime of a measured device; None takes its first.
        threads: CPU threads of a measurement; None takes the device's own.
        storage: Any Optuna storage URL; None keeps a journal file in the folder.
        seed: Seed of sampler, weights and images.
        start: A study folder whose front is tried first; what it trained is not trained again.
        out: The study folder; None takes ``studies/SPACE-DEVICE-BUDGETms``.
        data: Images for a score that trains; None takes digits.
        resolution: Side in pixels of the images that all networks are for; None leaves it to the space.
        stem_divisor: By what the stride of their stems is divided; 2 suits images of 32 px.
        classes: Of the images; None leaves the networks theirs.
        argv: The command line, for the record; empty for a call from Python.
        on_progress: Called after every network; None shows the progress on stderr.

    Raises:
        PlanError: When a name is unknown or no network of the space meets the budget.
        StudyError: When the folder is damaged or belongs to another plan.
    """
    plan = StudyPlan(
        budget_ms=budget_ms,
        device=device,
        space=space,
        trials=trials,
        minutes=minutes,
        sampler=sampler,
        runtime=runtime,
        threads=threads,
        storage=storage,
        seed=seed,
        proxy=proxy or "",
        data=None if data is None else str(data),
        resolution=resolution,
        stem_divisor=stem_divisor,
        classes=classes,
    )
    folder = Path(out) if out is not None else Path("studies") / plan.name
    first = [] if start is None else begin_from(Path(start), plan, folder)
    with contextlib.nullcontext(on_progress) if on_progress else show_progress() as watch:
        found = engine.run(plan, folder, argv=argv, first=first, on_progress=watch)
    reports.write(folder)
    return Study(folder, is_finished=found.is_finished)


@checked
def load(folder: str | Path) -> Study:
    """Load a study folder."""
    return Study(Path(folder))


@checked
def report(*folders: str | Path) -> dict[str, Any]:
    """Write report.html, front.csv and the figure of the front; several studies are compared in the first folder.

    Returns:
        ``report``: path of the page; ``figures``: paths of the figures.
    """
    written = reports.write(*(Path(folder) for folder in folders))
    return {"report": str(written.report), "figures": [str(path) for path in written.figures]}


@checked
def work(*, storage: str, study: str) -> dict[str, Any]:
    """Work on a study that another process started; says how many networks this process closed."""
    return {"study": study, "storage": without_password(storage), "trials": engine.work(storage, study)}


def _again(found: Confirmed | None) -> dict[str, Any]:
    """What the second measurement adds to a network of the front; null where there is none."""
    return {
        "latency_again_ms": found.latency_again_ms if found else None,
        "latency_again_interval": list(found.interval_again_ms) if found else None,
        "again": found.verdict if found else None,
    }


def _upper_ms(record: Record) -> float | None:
    return None if record.evaluation is None else record.evaluation.upper("latency_ms")


def _value(record: Record, name: str) -> float:
    assert record.evaluation is not None
    return record.evaluation.values[name]


def _found(record: Record) -> Found:
    assert record.evaluation is not None
    assert record.spec is not None
    assert record.digest is not None
    return Found(
        digest=record.digest,
        spec=record.spec,
        score=record.evaluation.values["score"],
        latency_ms=record.evaluation.values["latency_ms"],
        latency_interval=record.evaluation.intervals.get("latency_ms"),
        latency_source=record.evaluation.sources["latency_ms"],
        macs=record.evaluation.macs,
        params=record.evaluation.params,
    )
