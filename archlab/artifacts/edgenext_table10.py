"""EdgeNeXt, Table 10: SDTA encoders at the start or at the end of their stage.

The text confirms: the end is better than the start.

Source: arXiv 2206.10589, Table 10 and the text on it.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.edgenext_ablation import TOP1, Knobs, rows_of, small_of
from archlab.artifacts.rows import Row

__all__ = ["ARTIFACT", "SETTINGS"]

_START, _END = "at the start of the stage", "at the end of the stage (adopted)"
SETTINGS: dict[str, Knobs] = {
    _START: dict.fromkeys(("place_1", "place_2", "place_3"), "start"),
    _END: {},
}
_SMALL = small_of(SETTINGS)


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time both; accuracies where trained."""
    return rows_of(bench, SETTINGS, _SMALL)


ARTIFACT = Artifact(
    name="edgenext_table10",
    source="EdgeNeXt (arXiv 2206.10589), Table 10: SDTA encoders at the start or the end of a stage",
    needs="networks trained at small scale for the accuracies; a device for the latencies",
    compute=compute,
    checks=(Larger(claim="the end of a stage is better than its start", metric=TOP1, more=_END, less=_START),),
    small=_SMALL,
)
