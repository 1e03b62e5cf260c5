"""EdgeNeXt, Table 9: which stages have an SDTA encoder.

The text confirms: one in stage 1 does not help.

Source: arXiv 2206.10589, Table 9 and the text on it.
"""

from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import NotLarger
from archlab.artifacts.edgenext_ablation import TOP1, Knobs, ablation, rows_of
from archlab.artifacts.rows import Row

__all__ = ["ARTIFACT", "SETTINGS"]


def _stages(*counts: int) -> Knobs:
    return {f"sdta_{i}": count for i, count in enumerate(counts)}


_ADOPTED, _EVERY = "in stages 2, 3 and 4 (adopted)", "in every stage"
SETTINGS: dict[str, Knobs] = {
    "in no stage": _stages(0, 0, 0, 0),
    "in stage 4": _stages(0, 0, 0, 1),
    "in stages 3 and 4": _stages(0, 0, 1, 1),
    _ADOPTED: {},
    _EVERY: _stages(1, 1, 1, 1),
}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time every variant; accuracies where trained."""
    return rows_of(bench, SETTINGS)


ARTIFACT = ablation(
    9,
    "SDTA encoders by stage",
    SETTINGS,
    compute,
    NotLarger(claim="an SDTA encoder in stage 1 does not help", metric=TOP1, changed=_EVERY, than=_ADOPTED),
)
