"""What does a study folder say? Reads plan.yaml, run.json and trials.jsonl into one value, or says what is damaged.

Where the search measured, confirmed.jsonl and anchor.jsonl tell what was measured again.

The trials are the truth: the front and the best are found from them again, never copied from run.json. In run.json,
keys that a later version may add are passed over. A last line without its end is the mark of a search that was killed
while it wrote: it is left out and noted, because the search itself will write it again.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archlab.errors import PlanError, StudyError, UnknownNameError, four_parts
from archlab.study.anchor import Reading
from archlab.study.anchor import read as read_anchor
from archlab.study.confirm import Confirmed
from archlab.study.confirm import read as read_confirmed
from archlab.study.plan import StudyPlan, read_plan
from archlab.study.record import Record

__all__ = ["Baseline", "Run", "Score", "Study", "interval_ms", "latency_ms", "latency_source", "read", "score"]

_CONFIG = ConfigDict(extra="ignore", allow_inf_nan=False)
_FILES = ("plan.yaml", "run.json", "trials.jsonl")
_CUT = "The last line of trials.jsonl is cut off (the search was stopped while writing it): left out."
_UNFINISHED = (
    "The search is not finished: published models may be missing. The same archlab search command goes on with it."
)
_RESUME = "run the same archlab search command again with this folder as --out: it rebuilds the files"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """A published model put beside the search on the same device; `top1` is what its paper reports, in per cent.

    `note` says why a number is missing.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    model: str
    digest: str | None = None
    family: str | None = None
    resolution: int | None = None
    score: float | None = None
    latency_ms: float | None = None
    latency_interval: tuple[float, float] | None = None
    latency_source: str | None = None
    top1: float | None = None
    macs: int | None = None
    params: int | None = None
    note: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """What stood for accuracy."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    title: str = ""
    source: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """run.json: how the study was run. `protocol`, `device` and `fingerprint` are shown as they are.

    `device` is the catalog row, or only its name.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    argv: list[str] = dataclasses.field(default_factory=list)
    version: str | None = None
    git: dict[str, Any] | None = None
    versions: dict[str, str | None] = dataclasses.field(default_factory=dict)
    device: dict[str, Any] | str = dataclasses.field(default_factory=dict)
    fingerprint: dict[str, Any] = dataclasses.field(default_factory=dict)
    started: str | None = None
    seconds: float | None = None
    protocol: dict[str, Any] = dataclasses.field(default_factory=dict)
    score: Score | None = None
    baselines: list[Baseline] = dataclasses.field(default_factory=list)
    cache_hits: int | None = None
    is_finished: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """One study folder, read; `name` is the folder's own, `notes` says what was found odd and left out.

    `confirmed` holds the second measurements of the front, `anchor` the readings of the anchor model.
    """

    folder: Path
    name: str
    plan: StudyPlan
    run: Run
    trials: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()
    anchor: tuple[Reading, ...] = ()

    @property
    def space(self) -> str:
        """Name of the search space, without the folder and suffix of a file."""
        return Path(self.plan.space).stem

    @property
    def device_row(self) -> dict[str, Any]:
        """The device's row of the catalog at the time of the search; empty where it was not kept."""
        return self.run.device if isinstance(self.run.device, dict) else {}

    @property
    def device_title(self) -> str:
        """The device as the catalog calls it in full."""
        return str(self.device_row.get("title") or self.plan.device)

    @property
    def score_title(self) -> str:
        """What the score is called, without the explanation after its colon."""
        score = self.run.score
        return (score.title.partition(":")[0].strip() or score.name) if score else self.plan.proxy

    @property
    def seconds(self) -> float | None:
        """How long the search took; of an unfinished one, how long its trials took."""
        return self.run.seconds if self.run.is_finished else sum(trial.seconds for trial in self.trials)


def score(record: Record) -> float | None:
    """Give the accuracy score, higher is better; None where it is not known."""
    return record.evaluation.values.get("score") if record.evaluation else None


def latency_ms(record: Record) -> float | None:
    """Give the latency in milliseconds; None where it is not known."""
    return record.evaluation.values.get("latency_ms") if record.evaluation else None


def interval_ms(record: Record) -> tuple[float, float] | None:
    """Give the interval of the latency in milliseconds; None where there is none."""
    return record.evaluation.intervals.get("latency_ms") if record.evaluation else None


def latency_source(record: Record) -> str:
    """Give the source of the latency, ``kind:by@device``; empty where it is not known."""
    return record.evaluation.sources.get("latency_ms", "") if record.evaluation else ""


def read(folder: Path | str) -> Study:
    """Read a study folder.

    Raises:
        StudyError: When a file is missing or damaged; the message names the file and the line.
    """
    where = Path(folder)
    _check_files(where)
    trials, is_cut = _trials(where / "trials.jsonl")
    run = _run(where / "run.json")
    notes = [_CUT] * is_cut + [_UNFINISHED] * (not run.is_finished)
    return Study(
        folder=where,
        name=where.resolve().name,
        plan=_plan(where),
        run=run,
        trials=trials,
        notes=tuple(notes),
        confirmed=read_confirmed(where / "confirmed.jsonl"),
        anchor=read_anchor(where / "anchor.jsonl"),
    )


def _check_files(where: Path) -> None:
    missing = [name for name in _FILES if not (where / name).is_file()]
    if not missing:
        return
    wrong = "no such study folder" if not where.is_dir() else f"the study folder has no {missing[0]}"
    do = _RESUME if 0 < len(missing) < len(_FILES) else "check the path, or make a study with archlab search"
    raise StudyError(four_parts(wrong, given=str(where), allowed=f"a folder with {', '.join(_FILES)}", do=do))


def _plan(where: Path) -> StudyPlan:
    try:
        return read_plan(where / "plan.yaml")
    except (PlanError, UnknownNameError) as error:
        raise StudyError(f"{where}: {error}") from None


def _run(path: Path) -> Run:
    try:
        return _RUN.validate_json(_text(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        _damaged(path, f"{at}: {first['msg']}" if at else first["msg"], "one JSON document as archlab search writes it")


def _trials(path: Path) -> tuple[tuple[Record, ...], bool]:
    """Read the records, and whether a last line was cut off."""
    *lines, rest = _text(path).split("\n")
    trials = [_record(line, path, row) for row, line in enumerate(lines, start=1) if line.strip()]
    if not trials:
        _damaged(path, "no complete line", "one JSON record per line")
    return tuple(trials), bool(rest)


def _record(line: str, path: Path, row: int) -> Record:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        _damaged(path, f"line {row}: {error}", "one JSON record per line")
    return Record.from_dict(document, where=f"line {row} of {path}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        _damaged(path, "bytes that are not UTF-8", "text in UTF-8")


def _damaged(path: Path, given: str, allowed: str) -> NoReturn:
    raise StudyError(
        four_parts(f"{path.name} is damaged in {path.parent}", given=given[:160], allowed=allowed, do=_RESUME)
    )


_RUN: TypeAdapter[Run] = TypeAdapter(Run)
