"""In what words is a latency's origin said? A source is ``kind:by@device``; its kind is a word and a marker shape.

The word for a clock that really ran appears only where one did: an estimated study never prints it.
"""

import dataclasses
from collections.abc import Iterable

__all__ = ["Source", "describe", "kinds", "parse"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Where a number comes from: `kind` is measured, estimated or published; `by` the runtime, predictor or place."""

    kind: str
    by: str
    device: str

    @property
    def words(self) -> str:
        """The source in words, e.g. ``estimated by roofline for orin``."""
        if not self.kind:
            return "from an unknown source"
        join = {"measured": ("with", "on"), "estimated": ("by", "for")}.get(self.kind, ("in", "on"))
        by = f" {join[0]} {self.by}" if self.by else ""
        return f"{self.kind}{by}" + (f" {join[1]} {self.device}" if self.device else "")


def parse(text: str | None) -> Source:
    """Take ``estimated:roofline@orin`` apart; missing parts stay empty."""
    kind, _, rest = (text or "").partition(":")
    by, _, device = rest.rpartition("@") if "@" in rest else (rest, "", "")
    return Source(kind=kind, by=by, device=device)


def kinds(texts: Iterable[str | None]) -> tuple[str, ...]:
    """List the kinds of some sources once each, sorted."""
    return tuple(sorted({parse(text).kind for text in texts} - {""}))


def describe(texts: Iterable[str | None]) -> str:
    """Say in words how some latencies came about, e.g. for an axis title."""
    listed = list(texts)
    found = sorted({f"{s.kind} {'with' if s.kind == 'measured' else 'by'} {s.by}" for s in map(parse, listed) if s.by})
    return " or ".join(found) or " or ".join(kinds(listed)) or "from an unknown source"
