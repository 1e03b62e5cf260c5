"""How far may the score of a search be trusted, and what did it cost? Its known rank correlation, and its seconds."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from archlab.format import duration
from archlab.proxy.evidence import known_correlations
from archlab.proxy.judging import BASELINES, EQUAL_COST, Correlation
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

__all__ = ["Trust", "trust"]

_FIELDS = ("part", "tau", "low", "high", "pairs", "networks", "source")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What is known of a search's score.

    `known` is its Kendall's τ among networks of about equal cost, a row per set of accuracies it was asked of, that of
    the most pairs first; `beside` those of parameters and multiply-adds on the same sets. Both are empty where nobody
    has measured it. `seconds` is what scoring took, over the `networks` that it scored and whose records say so.
    """

    proxy: str
    known: tuple[Correlation, ...]
    beside: tuple[Correlation, ...]
    seconds: float
    networks: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: τ and what belongs to it of the first set, null if unknown; the rest in `others`."""
        known = [{name: getattr(one, name) for name in _FIELDS} for one in self.known] or [dict.fromkeys(_FIELDS)]
        return {
            "proxy": self.proxy,
            **known[0],
            "others": known[1:],
            "seconds": round(self.seconds, 3),
            "scored": self.networks,
        }

    def correlation_words(self) -> str:
        """One sentence on the rank correlation."""
        if not self.known:
            return f"how well {self.proxy} ranks trained networks is not known yet: read a score as a hint"
        found = " and ".join(map(self._words, self.known))
        ranks = f"the score {self.proxy} ranks networks of about {EQUAL_COST} with Kendall's τ"
        return f"{ranks} {found}; 0 is chance, 1 is perfect"

    def _words(self, one: Correlation) -> str:
        others = ", ".join(f"{other.proxy} {other.tau:.2f}" for other in self.beside if other.source == one.source)
        beside = f"; beside it {others}" if others else ""
        return f"{one.tau:.2f} ({one.low:.2f} to {one.high:.2f}; {one.networks} networks, {one.source}{beside})"

    def cost_words(self) -> str:
        """What the score took, in words; empty where no record says."""
        if not self.networks:
            return ""
        each = self.seconds / self.networks
        return f"scoring took {duration(self.seconds)}, {each:.2g} s for each of {self.networks} networks"


def _at_equal_cost(proxy: str) -> tuple[Correlation, ...]:
    found = (one for one in known_correlations(proxy) if one.part == EQUAL_COST)
    return tuple(sorted(found, key=lambda one: -one.pairs))


def trust(plan: StudyPlan, records: Iterable[Record]) -> Trust:
    """Collect what is known of a plan's score, and what it cost on the networks of a study."""
    evaluations = [r.evaluation for r in records if r.evaluation is not None and not r.is_repeat]
    seconds = [found.score_s for found in evaluations if found.score_s is not None]
    known = _at_equal_cost(plan.proxy)
    return Trust(
        proxy=plan.proxy,
        known=known,
        beside=tuple(one for name in BASELINES if name != plan.proxy for one in _at_equal_cost(name)),
        seconds=sum(seconds),
        networks=len(seconds),
    )
