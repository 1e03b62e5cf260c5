"""EdgeNeXt, Table 7: what SDTA, adaptive kernels, adaptive branching and the positional encoding are worth.

"Without SDTA" makes the last encoder of stages 2 to 4 a convolution encoder; "kernel 7" puts it in every stage; fixed
splits are 4 in every stage, a number that no accessible copy states. The text confirms two differences of top-1: −1.1
without SDTA, and −0.4 more with kernel 7 everywhere; the verdict rests on these.

Source: arXiv 2206.10589, Table 7 and the text on it.
"""

from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.edgenext_ablation import TOP1, Knobs, ablation, rows_of
from archlab.artifacts.paper import numbers
from archlab.artifacts.rows import Row

__all__ = ["ARTIFACT", "SETTINGS"]

_BASE = "EdgeNeXt-S"
_NO_SDTA = "without SDTA encoders"
_KERNEL_7 = "without SDTA and with kernel 7 everywhere"

_WITHOUT: Knobs = dict.fromkeys(("sdta_1", "sdta_2", "sdta_3"), 0)
_FIXED: Knobs = dict.fromkeys(("splits_1", "splits_2", "splits_3"), 4)
SETTINGS: dict[str, Knobs] = {
    _BASE: {},
    _NO_SDTA: _WITHOUT,
    _KERNEL_7: {**_WITHOUT, **dict.fromkeys(("kernel_0", "kernel_1", "kernel_2", "kernel_3"), 7)},
    "with fixed splits": _FIXED,
    "with fixed splits and without positional encoding": {**_FIXED, "position_1": "none"},
}
_CHANGES = numbers("EdgeNeXt", "Table 7")
"""Setting → change of top-1 in points, as the text states it."""


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time every variant; accuracies where trained."""
    return rows_of(bench, SETTINGS)


ARTIFACT = ablation(
    7,
    "SDTA, adaptive kernels, adaptive branching, positional encoding",
    SETTINGS,
    compute,
    Larger(
        claim="SDTA encoders gain 1.1 points of top-1",
        metric=TOP1,
        more=_BASE,
        less=_NO_SDTA,
        by=-_CHANGES[_NO_SDTA],
    ),
    Larger(
        claim="adaptive kernels gain another 0.4 points over kernel 7 everywhere",
        metric=TOP1,
        more=_NO_SDTA,
        less=_KERNEL_7,
        by=-_CHANGES[_KERNEL_7],
    ),
)
