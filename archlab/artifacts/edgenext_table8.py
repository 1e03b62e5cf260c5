"""EdgeNeXt, Table 8: hybrid designs, that is how many convolution and SDTA encoders each stage has.

The text confirms: SDTA in all blocks of the last two stages is the most accurate and the slowest.

Source: arXiv 2206.10589, Table 8 and the text on it.
"""

from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.edgenext_ablation import LATENCY, TOP1, Knobs, ablation, rows_of
from archlab.artifacts.rows import Row

__all__ = ["ARTIFACT", "SETTINGS"]

_LAST = "SDTA in all blocks of the last stage"
_LAST_TWO = "SDTA in all blocks of the last two stages"
_ADOPTED = "one SDTA at the end of stages 2 to 4 (adopted)"

SETTINGS: dict[str, Knobs] = {
    _LAST: {"sdta_1": 0, "sdta_2": 0, "sdta_3": 3},
    _LAST_TWO: {"sdta_1": 0, "sdta_2": 9, "sdta_3": 3},
    _ADOPTED: {},
}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time every design; accuracies where trained."""
    return rows_of(bench, SETTINGS)


ARTIFACT = ablation(
    8,
    "hybrid designs",
    SETTINGS,
    compute,
    *(
        Larger(claim=f"{_LAST_TWO} is more accurate than: {other}", metric=TOP1, more=_LAST_TWO, less=other)
        for other in (_LAST, _ADOPTED)
    ),
    *(
        Larger(claim=f"{_LAST_TWO} is slower than: {other}", metric=LATENCY, more=_LAST_TWO, less=other)
        for other in (_LAST, _ADOPTED)
    ),
)
