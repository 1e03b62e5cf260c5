"""How far may the score of a search be trusted, and what did it cost? Its known rank correlation, and its seconds."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from archlab.format import duration
from archlab.proxy.evidence import known_correlation
from archlab.proxy.judging import BASELINES, Correlation
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

__all__ = ["Trust", "trust"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What is known of a search's score.

    `known` is its Kendall's τ among networks of about equal cost, `beside` that of parameters and multiply-adds; None
    and empty where nobody has measured it. `seconds` is what scoring took, over the `networks` that it scored and
    whose records say so.
    """

    proxy: str
    known: Correlation | None
    beside: tuple[Correlation, ...]
    seconds: float
    networks: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; τ and what belongs to it are null where they are not known."""
        fields = ("part", "tau", "low", "high", "pairs", "networks", "source")
        known = {name: None if self.known is None else getattr(self.known, name) for name in fields}
        return {"proxy": self.proxy, **known, "seconds": round(self.seconds, 3), "scored": self.networks}

    def correlation_words(self) -> str:
        """One sentence on the rank correlation."""
        if self.known is None:
            return f"how well {self.proxy} ranks trained networks is not known yet: read a score as a hint"
        others = ", ".join(f"{one.proxy} {one.tau:.2f}" for one in self.beside)
        beside = f"; beside it {others}" if others else ""
        return (
            f"the score {self.proxy} ranks networks of about {self.known.part} with Kendall's τ {self.known.tau:.2f} "
            f"({self.known.low:.2f} to {self.known.high:.2f}; {self.known.networks} networks, "
            f"{self.known.source}{beside}); 0 is chance, 1 is perfect"
        )

    def cost_words(self) -> str:
        """What the score took, in words; empty where no record says."""
        if not self.networks:
            return ""
        each = self.seconds / self.networks
        return f"scoring took {duration(self.seconds)}, {each:.2g} s for each of {self.networks} networks"


def trust(plan: StudyPlan, records: Iterable[Record]) -> Trust:
    """Collect what is known of a plan's score, and what it cost on the networks of a study."""
    evaluations = [r.evaluation for r in records if r.evaluation is not None and not r.is_repeat]
    seconds = [found.score_s for found in evaluations if found.score_s is not None]
    known = known_correlation(plan.proxy)
    beside = [] if known is None else [known_correlation(name, known.part) for name in BASELINES if name != plan.proxy]
    return Trust(
        proxy=plan.proxy,
        known=known,
        beside=tuple(one for one in beside if one is not None),
        seconds=sum(seconds),
        networks=len(seconds),
    )
