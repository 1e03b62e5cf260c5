"""Is what was found as fast as its rivals? Measures it in turns with each of the best, on this CPU.

    python studies/proof/proof_paired.py      # writes paired.csv

Run it on a machine that is otherwise idle. `found_ms` and `rival_ms` are those of each by itself, as the budget means
it, all by the same procedure (`proof_rivals.Clock`). `ratio` is the median over the pairs of what was found over its
rival; in turns both find the caches full of the other's weights and are slower, `found_paired_ms` and
`rival_paired_ms`.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import proof_paths  # noqa: F401
from bench_networks import load
from latency_bench import LATENCY
from proof_rivals import BUDGETS_MS, HERE, RECIPE, Clock
from proof_rivals import names as rivals
from proof_train import NETWORKS, SEEDS, accuracies, name_of

from archlab.device import catalog
from archlab.device.comparison import compare
from archlab.device.measure import workload
from archlab.device.runtime import Workload
from archlab.files import write_text
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.spec import ArchSpec

__all__ = ["PAIRED", "main", "trained_rivals"]

PAIRED = "paired.csv"
_COLUMNS = (
    *("budget_ms", "rival", "found_ms", "rival_ms"),
    *("found_paired_ms", "rival_paired_ms", "ratio", "low", "high", "verdict", "pairs"),
)


def trained_rivals(budget_ms: float) -> list[str]:
    """The rivals of a budget that were trained from all seeds."""
    tops = accuracies()
    return [name for name in rivals(budget_ms) if len(tops[name]) >= len(SEEDS)]


def _rows(specs: dict[str, ArchSpec]) -> Iterator[dict[str, Any]]:
    cpu, clock = catalog.device("cpu"), Clock(HERE / LATENCY)
    run = catalog.run_for(cpu)

    def work(name: str) -> Workload:
        small = RECIPE.small(specs[name])
        return workload(deploy(build(small)), run, (1, 3, small.resolution, small.resolution))

    for budget_ms in BUDGETS_MS:
        for rival in trained_rivals(budget_ms):
            found = compare(work(name_of(budget_ms)), work(rival), cpu, run)
            alone = (clock.ms(RECIPE.small(specs[name])) for name in (name_of(budget_ms), rival))
            paired = (found.a_ms, found.b_ms, found.ratio, *found.ci95, found.verdict, found.pairs)
            yield dict(zip(_COLUMNS, (budget_ms, rival, *alone, *paired), strict=True))


def main() -> None:
    """Measure all pairs."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in _rows({network.name: network.spec for network in load(HERE / NETWORKS)}):
        table.writerow({k: f"{v:.5f}" if isinstance(v, float) and k != "budget_ms" else v for k, v in row.items()})
    write_text(HERE / PAIRED, text.getvalue())


if __name__ == "__main__":
    main()
