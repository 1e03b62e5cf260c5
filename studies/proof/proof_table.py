"""Is what the search found better than the best published network under the same budget? Writes table.csv, verdicts.md.

    python studies/proof/proof_table.py

The rival of a budget is the published or scaled network with the highest mean accuracy over three seeds. Better means
that the difference of the means is more than two standard errors of it over the seeds, and that it is not slower when
the two are measured in turns; the latencies of the table are those of each by itself.
"""

import csv
import dataclasses
import io
import math
import statistics
from collections.abc import Sequence

import proof_paths  # noqa: F401
from bench_table import read
from proof_paired import PAIRED, trained_rivals
from proof_rivals import BUDGETS_MS, HERE
from proof_train import accuracies, name_of

from archlab.files import write_text

__all__ = ["Verdict", "main", "verdict"]

_COLUMNS = ("budget", "role", "model", "latency", "accuracy", "seed")
_ERRORS = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """Found less rival: `difference` of the mean accuracies in points, its standard error, and latencies in ms."""

    budget_ms: float
    rival: str
    found: tuple[float, ...]
    published: tuple[float, ...]
    found_ms: float
    published_ms: float
    faster: str

    @property
    def difference(self) -> float:
        """Of the means, in points."""
        return statistics.fmean(self.found) - statistics.fmean(self.published)

    @property
    def error(self) -> float:
        """Standard error of the difference over the seeds, in points."""
        return math.sqrt(sum(statistics.variance(one) / len(one) for one in (self.found, self.published)))

    @property
    def is_better(self) -> bool:
        """More accurate by more than two standard errors, and not slower."""
        return self.difference > _ERRORS * self.error and self.faster != "slower"


def verdict(budget_ms: float) -> Verdict:
    """Compare what was found under a budget with the best of its rivals."""
    tops = {name: tuple(top for _, top in sorted(of.items())) for name, of in accuracies().items()}
    rival = max(trained_rivals(budget_ms), key=lambda name: statistics.fmean(tops[name]))
    pair = next(r for r in read(HERE / PAIRED) if (float(r["budget_ms"]), r["rival"]) == (budget_ms, rival))
    return Verdict(
        budget_ms=budget_ms,
        rival=rival,
        found=tops[name_of(budget_ms)],
        published=tops[rival],
        found_ms=float(pair["found_ms"]),
        published_ms=float(pair["rival_ms"]),
        faster=pair["verdict"],
    )


def _table(verdicts: Sequence[Verdict]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for one in verdicts:
        sides = (("winner", name_of(one.budget_ms), one.found_ms, one.found),)
        for role, model, ms, tops in (*sides, ("published", one.rival, one.published_ms, one.published)):
            table.writerows((one.budget_ms, role, model, f"{ms:.4f}", top, seed) for seed, top in enumerate(tops))
    return text.getvalue()


def _markdown(verdicts: Sequence[Verdict]) -> str:
    lines = [
        "| budget | found: top-1, latency | best published: top-1, latency | difference | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in verdicts:
        found, published = (f"{statistics.fmean(tops):.1f} %" for tops in (one.found, one.published))
        word = "better" if one.is_better else "not better"
        lines.append(
            f"| {one.budget_ms:g} ms | {found}, {one.found_ms:.3f} ms ({one.faster}) | {one.rival}: {published}, "
            f"{one.published_ms:.3f} ms | {one.difference:+.1f} ± {one.error:.1f} | {word} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both."""
    verdicts = [verdict(budget_ms) for budget_ms in BUDGETS_MS]
    write_text(HERE / "table.csv", _table(verdicts))
    write_text(HERE / "verdicts.md", _markdown(verdicts))


if __name__ == "__main__":
    main()
