"""What an artifact is: a table or figure of a paper that can be computed again, with the claims it is judged by."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from archlab.artifacts.bench import Bench
from archlab.artifacts.rows import Row
from archlab.artifacts.verdict import Check, Finding, because, overall
from archlab.spec import ArchSpec

__all__ = ["Artifact", "Outcome", "reproduce"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Artifact:
    """One table or figure of a paper.

    `source` names paper and item and what it shows; `needs` says what must be at hand beyond this package ("nothing"
    where all is computed); `compute` gives the rows; `checks` are the claims the verdict rests on. `small` are the
    networks to train at small scale for the accuracy column, by the setting of their row.
    """

    name: str
    source: str
    needs: str
    compute: Callable[[Bench], tuple[Row, ...]] = dataclasses.field(repr=False)
    checks: tuple[Check, ...] = dataclasses.field(repr=False)
    small: Mapping[str, ArchSpec] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """An artifact run again: its rows, its judged claims, and the verdict that follows."""

    artifact: str
    source: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """One of the five words."""
        return overall(self.findings)

    @property
    def because(self) -> str:
        """The numbers that decided, or what is missing."""
        return because(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain document with the keys of the public contract."""
        return {
            "artifact": self.artifact,
            "source": self.source,
            "rows": [row.to_dict() for row in self.rows],
            "claims": [dataclasses.asdict(finding) for finding in self.findings],
            "verdict": self.verdict,
            "because": self.because,
        }


def reproduce(artifact: Artifact, bench: Bench) -> Outcome:
    """Run an artifact again and judge it.

    Args:
        artifact: An entry of `ARTIFACTS`.
        bench: What there is to compute with: a device to measure on, trained networks.
    """
    rows = artifact.compute(bench)
    findings = tuple(check.judge(rows) for check in artifact.checks)
    return Outcome(artifact=artifact.name, source=artifact.source, rows=rows, findings=findings)
