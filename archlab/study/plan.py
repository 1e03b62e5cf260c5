"""What a search was asked to do: one frozen value, with YAML and flags as its two doors.

The plan is written beside the results and kept in the storage. A study goes on only under its own plan: all but
`trials`, `minutes` and `storage` must be the same, else its numbers could not be compared.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from archlab import space as space_room
from archlab.errors import PlanError, SpecError, four_parts, unknown_name
from archlab.families.refit import Refit
from archlab.proxy import DEFAULT, DEFAULT_ON_IMAGES, PROXIES
from archlab.space import SearchSpace
from archlab.study.objective import OBJECTIVES
from archlab.study.samplers import SAMPLERS
from archlab.study.storage import without_password

__all__ = ["FREE_FIELDS", "StudyPlan", "read_plan"]

FREE_FIELDS = frozenset({"trials", "minutes", "storage"})
"""Fields that may change when a study goes on."""

_DEFAULT_TRIALS = 200
_SKIP, _SKIP_TRAINED = 1.5, 1.0
_LIMITS = {
    "budget_ms": (1e-3, 1e6),
    "trials": (1, 1_000_000),
    "minutes": (1e-3, 1e6),
    "seed": (0, 2**31 - 1),
    "batch": (1, 1024),
    "threads": (1, 1024),
    "skip_factor": (1.0, 1e6),
    "score_batch": (2, 1024),
    "measure_s": (0.1, 3600),
    "resolution": (16, 4096),
    "stem_divisor": (1, 16),
    "classes": (1, 1_000_000),
    "failures_in_a_row": (1, 1_000_000),
    "device_failures_in_a_row": (1, 1_000_000),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A search: what to vary, where it must run, how fast, and how to look for it.

    `space` is a shipped name or a YAML file; `trials` counts networks (200 if neither `trials` nor `minutes` is given)
    and `minutes` caps the time spent on them; a candidate whose latency interval starts above `skip_factor` times the
    budget is not scored (1.5 if left out, 1 for a score that trains: it costs minutes); `score_batch` is the number of
    images a score sees, `measure_s` the longest one measurement may take. `runtime`, `precision` and `threads` left out
    are the device's own. After `failures_in_a_row` networks that failed, or `device_failures_in_a_row` losses of the
    device, one after the other, the search stops. `proxy` left out is `published`, and with `data`, the images of a
    score that trains, `short_train`. With a `resolution`, all networks, the published ones too, are for images of that
    side and so many `classes`, their stems' strides divided by `stem_divisor`; see `Refit`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    budget_ms: float
    device: str
    space: str = "hybrid"
    objectives: tuple[str, ...] = ("score", "latency_ms")
    proxy: str = ""
    sampler: str = "tpe"
    trials: int | None = None
    minutes: float | None = None
    seed: int = 0
    storage: str | None = None
    runtime: str | None = None
    precision: str | None = None
    batch: int = 1
    threads: int | None = None
    skip_factor: float | None = None
    score_batch: int = 16
    measure_s: float = 2.0
    failures_in_a_row: int = 10
    device_failures_in_a_row: int = 10
    data: str | None = None
    resolution: int | None = None
    stem_divisor: int = 1
    classes: int | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise PlanError(
                    four_parts(
                        f"{name} is out of range",
                        given=value,
                        allowed=f"{low:g} to {high:g}",
                        do=f"give another {name}",
                    )
                )
        if self.trials is None and self.minutes is None:
            object.__setattr__(self, "trials", _DEFAULT_TRIALS)
        if not self.proxy:
            object.__setattr__(self, "proxy", DEFAULT if self.data is None else DEFAULT_ON_IMAGES)
        if self.skip_factor is None:
            trains = self.proxy in PROXIES and PROXIES[self.proxy].trains
            object.__setattr__(self, "skip_factor", _SKIP_TRAINED if trains else _SKIP)
        if self.sampler not in SAMPLERS:
            raise unknown_name("sampler", self.sampler, SAMPLERS)
        _check_objectives(self.objectives)
        if self.resolution is None and (self.stem_divisor, self.classes) != (1, None):
            raise PlanError(
                four_parts(
                    "only networks for images of one side are fitted to them",
                    given=f"stem_divisor {self.stem_divisor}, classes {self.classes}, no resolution",
                    allowed="stem_divisor and classes beside a resolution",
                    do="give the resolution of the images",
                )
            )

    @property
    def skip_ms(self) -> float:
        """Latency above which a network is not scored."""
        assert self.skip_factor is not None
        return self.skip_factor * self.budget_ms

    def search_space(self) -> SearchSpace:
        """Read the space, with its networks as the plan asks for them.

        Raises:
            UnknownNameError: If there is no such space.
            PlanError: If its file is no space, or has no networks for such images.
        """
        space = space_room.load(self.space)
        if self.resolution is None:
            return space
        refit = Refit(resolution=self.resolution, stem_divisor=self.stem_divisor, classes=self.classes)
        try:
            return space.at(refit)
        except SpecError as error:
            raise PlanError(
                four_parts(
                    f"the space {space.name} has no networks for such images",
                    given=f"{self.resolution} px, the stem's stride divided by {self.stem_divisor}",
                    allowed=str(error).replace(";", ","),
                    do="choose another resolution or stem_divisor",
                )
            ) from None

    @property
    def name(self) -> str:
        """Default name of the study: space, device and budget."""
        return f"{Path(self.space).stem}-{self.device}-{self.budget_ms:g}ms"

    def replace(self, **changes: Any) -> Self:
        """Copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for YAML or JSON; `from_dict` is its inverse but for a password in `storage`."""
        storage = None if self.storage is None else without_password(self.storage)
        return dataclasses.asdict(self) | {"objectives": list(self.objectives), "storage": storage}

    def to_yaml(self) -> str:
        """The text of ``plan.yaml``."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_dict(cls, document: object, *, where: str = "plan") -> "StudyPlan":
        """Parse a plan strictly.

        Raises:
            PlanError: For a missing or unknown key, a wrong type or a value out of range; the message names the field.
            UnknownNameError: For a sampler or objective that is in no table.
        """
        if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
            raise PlanError(
                four_parts(
                    f"{where} is no plan",
                    given=type(document).__name__,
                    allowed="a mapping of fields",
                    do="give at least budget_ms and device",
                )
            )
        try:
            return _ADAPTER.validate_json(json.dumps(dict(document), allow_nan=False), strict=True)
        except ValidationError as error:
            _explain(error, where)
        except (TypeError, ValueError, RecursionError) as error:
            raise PlanError(
                four_parts(
                    f"{where} holds a value that no plan has",
                    given=str(error)[:120],
                    allowed="numbers, texts and lists",
                    do="any study folder holds a plan.yaml to compare with",
                )
            ) from None

    def changed_field(self, other: "StudyPlan") -> str | None:
        """Name of the first field that keeps `other` from going on with this plan's study, or None."""
        for field in dataclasses.fields(self):
            if field.name not in FREE_FIELDS and getattr(self, field.name) != getattr(other, field.name):
                return field.name
        return None


_ADAPTER: TypeAdapter[StudyPlan] = TypeAdapter(StudyPlan)


def read_plan(path: Path) -> StudyPlan:
    """Read a plan file.

    Raises:
        PlanError: When the file is missing, no YAML or no plan.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise PlanError(
            four_parts(
                f"cannot read the plan {path.name}",
                given=" ".join(str(error).split())[:160],
                allowed="a YAML file with the fields of a plan",
                do="compare with the plan.yaml of any study folder",
            )
        ) from None
    return StudyPlan.from_dict(document, where=path.name)


def _check_objectives(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in OBJECTIVES:
            raise unknown_name("objective", name, OBJECTIVES)
    if len(set(names)) != len(names) or not {"score", "latency_ms"} <= set(names):
        raise PlanError(
            four_parts(
                "objectives do not make a search",
                given=", ".join(names) or "none",
                allowed="score and latency_ms, each once, and more of " + ", ".join(OBJECTIVES),
                do="leave the field out to search for both",
            )
        )


def _explain(error: ValidationError, where: str) -> NoReturn:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else where
    known = [item.name for item in dataclasses.fields(StudyPlan)]
    if first["type"] == "unexpected_keyword_argument":
        raise PlanError(f"{where}: {unknown_name('plan field', field, known)}") from None
    missing = first["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}
    given = "nothing" if missing else repr(first.get("input"))
    raise PlanError(
        four_parts(
            f"{where}: {field} is wrong",
            given=given if len(given) <= 60 else given[:57] + "…",
            allowed=first["msg"],
            do="mend that field; any study folder holds a plan.yaml to compare with",
        )
    ) from None
