"""What is known of one network of a study: one JSON document, the user attribute of its Optuna trial.

A missing value is null, never a sentinel; a number never travels without its source. The record is written before
its trial is told, so a trial that the storage calls finished always has one (or was lost with its process).
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archlab.errors import SpecError, StudyError, four_parts
from archlab.spec import ArchSpec

__all__ = ["STATES", "Evaluation", "Record"]

STATES = ("complete", "skipped", "failed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The values of a network's objectives, each with its source.

    `intervals` are in the unit of the value (see `Reading`); a latency's budget is applied at the upper end.
    `quality` is the word of the measurement (ok, noisy, throttled), None for an estimate. `skipped` says why some
    objective was left out, in words. `wall_mean_ms` is the plain mean of the wall times of a measured latency's runs,
    `score_s` what the score took.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    values: dict[str, float]
    sources: dict[str, str]
    intervals: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    macs: int | None = None
    params: int | None = None
    quality: str | None = None
    skipped: str | None = None
    wall_mean_ms: float | None = None
    score_s: float | None = None

    def upper(self, name: str) -> float | None:
        """Upper end of the interval of `name`, or its value where there is no interval."""
        value = self.values.get(name)
        return self.intervals[name][1] if name in self.intervals else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One network of a study.

    `origin` is ``published:NAME``, ``given:DIGEST``, ``grown:DIGEST`` (from that network, to fill the budget),
    ``sampled`` or ``repeat of N`` (known values told again, nothing evaluated); `violations` holds upper end minus
    budget per constraint, at most 0 where the constraint is met; `error` is the one line of a failed or skipped
    network.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    number: int
    state: str
    digest: str | None
    spec: ArchSpec | None
    point: dict[str, str | bool | int | float] | None
    origin: str
    evaluation: Evaluation | None
    violations: dict[str, float]
    seconds: float
    seed: int
    error: str | None = None

    @property
    def is_feasible(self) -> bool:
        """True for an evaluated network that meets every constraint."""
        return self.state == "complete" and all(value <= 0 for value in self.violations.values())

    @property
    def is_repeat(self) -> bool:
        """True where the sampler came back to a network that was known."""
        return self.origin.startswith("repeat of ")

    def replace(self, **changes: Any) -> "Record":
        """Copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, ready for JSON."""
        document = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        document["spec"] = None if self.spec is None else self.spec.to_dict()
        if self.evaluation is not None:
            evaluation = dataclasses.asdict(self.evaluation)
            evaluation["intervals"] = {name: list(ends) for name, ends in self.evaluation.intervals.items()}
            document["evaluation"] = evaluation
        return document

    def to_json(self) -> str:
        """One line of ``trials.jsonl``."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], *, where: str = "record") -> "Record":
        """Parse what `to_dict` wrote.

        Raises:
            StudyError: When a field is missing, unknown or of the wrong type.
        """
        try:
            record = _ADAPTER.validate_json(json.dumps(document))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise _damaged(where, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        except (SpecError, TypeError, ValueError) as error:
            raise _damaged(where, str(error)) from None
        if record.state not in STATES:
            raise _damaged(where, f"state {record.state!r}")
        return record


_ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


def _damaged(where: str, what: str) -> StudyError:
    return StudyError(
        four_parts(
            f"{where} is damaged",
            given=what[:160],
            allowed="records as archlab search writes them",
            do="restore the file from a copy, or search again into another study folder (out); nothing was overwritten",
        )
    )
