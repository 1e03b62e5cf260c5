"""EdgeNeXt, Table 10: SDTA encoders at the start or at the end of their stage.

The text confirms: the end is better than the start.

Source: arXiv 2206.10589, Table 10 and the text on it.
"""

from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.edgenext_ablation import TOP1, Knobs, ablation, rows_of
from archlab.artifacts.rows import Row

__all__ = ["ARTIFACT", "SETTINGS"]

_START, _END = "at the start of the stage", "at the end of the stage (adopted)"
SETTINGS: dict[str, Knobs] = {
    _START: dict.fromkeys(("place_1", "place_2", "place_3"), "start"),
    _END: {},
}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time every place; accuracies where trained."""
    return rows_of(bench, SETTINGS)


ARTIFACT = ablation(
    10,
    "SDTA encoders at the start or the end of a stage",
    SETTINGS,
    compute,
    Larger(claim="the end of a stage is better than its start", metric=TOP1, more=_END, less=_START),
)
