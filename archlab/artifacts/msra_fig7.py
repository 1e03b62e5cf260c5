"""EfficientViT (MSRA), Fig. 7: how wide queries and keys should be, and how wide the values.

M4 with queries and keys of 4 to 64 channels per head, and with values of 0.4 to 1.2 times the share of a head. The
paper's numbers are read off the figure's axes. A wider branch is slower there: that order is judged here. Queries and
keys of 16 and values as wide as a head's share are where the accuracy stops to grow: that needs training.

Source: arXiv 2305.07027, Fig. 7.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger, NotLarger, SameOrder
from archlab.artifacts.msra_ablation import BESIDE_V100, TOP1, real, rows_of, small
from archlab.artifacts.rows import Row
from archlab.families.knobs import Scalar
from archlab.spec import ArchSpec

__all__ = ["ARTIFACT"]

_KEYS = {f"QK dim {dim}": dim for dim in (4, 8, 16, 32, 64)}
_VALUES = {f"V dim ratio {ratio}": ratio for ratio in (0.4, 0.6, 0.8, 1.0, 1.2)}
_APART = 0.02


def _keyed(dim: int) -> dict[str, Scalar]:
    return {f"key_dim_{i}": dim for i in range(3)}


def _valued(spec: ArchSpec, ratio: float) -> dict[str, Scalar]:
    """Knobs for values of `ratio` times the share of a head, rounded to whole channels."""
    heads = [next(block.heads or 1 for block in stage.blocks if block.heads) for stage in spec.stages]
    shares = [stage.width // n for stage, n in zip(spec.stages, heads, strict=True)]
    return {f"value_ratio_{i}": round(share * ratio) / share for i, share in enumerate(shares)}


_REAL_KEYS = {setting: real(1, **_keyed(dim)) for setting, dim in _KEYS.items()}
_REAL_VALUES = {setting: real(1, **_valued(real(), ratio)) for setting, ratio in _VALUES.items()}
_SMALL_KEYS = {setting: small(1, **_keyed(dim)) for setting, dim in _KEYS.items()}
_SMALL_VALUES = {setting: small(1, **_valued(small(), ratio)) for setting, ratio in _VALUES.items()}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time both rows of networks; accuracies where trained."""
    keys = rows_of(bench, "Fig. 7 QK dimension", _REAL_KEYS, _SMALL_KEYS, (BESIDE_V100,))
    return keys + rows_of(bench, "Fig. 7 V ratio", _REAL_VALUES, _SMALL_VALUES, (BESIDE_V100,))


ARTIFACT = Artifact(
    name="msra_fig7",
    source="EfficientViT-MSRA (arXiv 2305.07027), Fig. 7: width of queries and keys, and of values",
    needs="networks trained at small scale for the accuracies; a device for the throughputs",
    compute=compute,
    checks=(
        SameOrder(
            claim="wider queries and keys are slower, as on a V100",
            metric=BESIDE_V100,
            apart=_APART,
            settings=tuple(_KEYS),
        ),
        SameOrder(
            claim="wider values are slower, as on a V100", metric=BESIDE_V100, apart=_APART, settings=tuple(_VALUES)
        ),
        Larger(
            claim="16 channels for queries and keys are more accurate than 4",
            metric=TOP1,
            more="QK dim 16",
            less="QK dim 4",
            by=0.63,
        ),
        NotLarger(claim="64 are not more accurate than 16", metric=TOP1, changed="QK dim 64", than="QK dim 16"),
        Larger(
            claim="values as wide as a head's share are more accurate than 0.4 of it",
            metric=TOP1,
            more="V dim ratio 1.0",
            less="V dim ratio 0.4",
            by=1.0,
        ),
    ),
    small=_SMALL_KEYS | _SMALL_VALUES,
)
