"""What stands in an artifact: one row per setting and metric, the paper's value beside ours, each with its source."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from archlab.analysis.intervals import of_repeats
from archlab.cost.count import CostReport

__all__ = ["NEEDS_COMPUTE", "NEEDS_MEANS", "Lack", "Row", "Value", "counted", "small_scale"]

Value: TypeAlias = float | int | str

NEEDS_MEANS = "needs data or a device we do not have"
NEEDS_COMPUTE = "needs compute"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lack:
    """Why there is no value of ours: `verdict` is `NEEDS_MEANS` or `NEEDS_COMPUTE`, `what` says what is missing."""

    verdict: str
    what: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One setting and one metric of a table or figure.

    `paper` is None where no accessible copy confirms the paper's value; `rounding` is half a unit of its last printed
    digit. `ours` is None where `lack` says why. `is_small_scale` marks a value of a small network trained on small
    images: it never stands for the paper's own data. `runs` counts the seeds behind `ours`.
    """

    setting: str
    metric: str
    unit: str = ""
    paper: Value | None = None
    paper_source: str = ""
    paper_status: str = ""
    rounding: float = 0.0
    ours: Value | None = None
    ours_ci95: tuple[float, float] | None = None
    ours_source: str = ""
    runs: int | None = None
    is_small_scale: bool = False
    lack: Lack | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain row; `lack` is its text, None where nothing lacks."""
        plain = dataclasses.asdict(self)
        plain["ours_ci95"] = None if self.ours_ci95 is None else list(self.ours_ci95)
        plain["lack"] = None if self.lack is None else f"{self.lack.verdict}: {self.lack.what}"
        return plain


def counted(report: CostReport, source: str) -> dict[str, dict[str, Any]]:
    """The fields of two rows: `params`, parameters in millions, and `macs`, multiply-adds in thousand millions.

    Args:
        report: Of one image.
        source: What was counted, in words.
    """
    return {
        "params": {"unit": "M", "ours": report.params / 1e6, "ours_source": source},
        "macs": {"unit": "G", "ours": report.macs / 1e9, "ours_source": source},
    }


def small_scale(found: Sequence[float] | Lack, *, runs: int = 0, source: str = "") -> dict[str, Any]:
    """The fields of a row of small scale: the mean with Student's interval of 95 %, or what lacks.

    Args:
        found: Values of one thing, in the row's unit; a single one has no interval.
        runs: Seeds behind the values.
        source: Where they are from.
    """
    if isinstance(found, Lack):
        return {"is_small_scale": True, "lack": found}
    mean, low, high = of_repeats(np.asarray(found, dtype=np.float64))
    return {
        "ours": mean,
        "ours_ci95": (low, high) if len(found) > 1 else None,
        "ours_source": source,
        "runs": runs,
        "is_small_scale": True,
    }
