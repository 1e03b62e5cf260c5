"""EfficientViT (MSRA), Table 6: what each part of the design is worth, rows 1 to 11.

The paper holds the throughput of rows 2 to 4 near that of row 1 with other depths, and row 8's FFNs of twice the width
cost too little in it to stand at M4's depths; the sources at hand give no depths. Ours are the deepest that measured at
least about as slow as M4 under ONNX Runtime on one CPU core, with a mixer in every stage: a choice of ours, so the
speeds of these four rows are shown and not judged. The speeds of the others are judged by their sign against row 1
where the paper's differ by more than 3 %, and by the order of all.

Source: arXiv 2305.07027, Table 6.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger, SameOrder
from archlab.artifacts.msra_ablation import ONNX, PAPER, TOP1, V100, real, rows_of, small
from archlab.artifacts.paper import numbers
from archlab.artifacts.rows import Row
from archlab.families.knobs import Scalar

__all__ = ["ARTIFACT", "SETTINGS"]

_ITEM = "Table 6 ablation"
_DEPTHS = {2: (2, 3, 4), 3: (1, 1, 1), 4: (1, 1, 1), 8: (1, 1, 1)}
"""Row → depths of the stages, where they are not M4's."""
_APART = 0.03


def _knobs(row: int) -> dict[str, Scalar]:
    return {f"depth_{i}": depth for i, depth in enumerate(_DEPTHS.get(row, ()))}


SETTINGS = {int(setting[1:].split()[0]): setting for setting in numbers(PAPER, _ITEM, TOP1)}
"""Row → its setting in the paper's words."""
_AS_DEEP = tuple(row for row in SETTINGS if row not in _DEPTHS)
_SPECS = {setting: real(row, **_knobs(row)) for row, setting in SETTINGS.items()}
_TRAINED = {setting: small(row, **_knobs(row)) for row, setting in SETTINGS.items()}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count and time every row; accuracies where trained."""
    return rows_of(bench, _ITEM, _SPECS, _TRAINED, (ONNX, V100))


def _printed(metric: str) -> dict[int, float]:
    found = numbers(PAPER, _ITEM, metric)
    return {row: found[setting] for row, setting in SETTINGS.items()}


def _claim(row: int, metric: str, what: str, *, is_sized: bool) -> Larger:
    """The row lies on the paper's side of row 1."""
    printed = _printed(metric)
    gain = printed[row] - printed[1]
    more, less = (row, 1) if gain > 0 else (1, row)
    return Larger(
        claim=f"{SETTINGS[row]}: {'more' if gain > 0 else 'less'} {what}",
        metric=metric,
        more=SETTINGS[more],
        less=SETTINGS[less],
        by=round(abs(gain), 3) if is_sized else None,
    )


def _speed_claims() -> list[Larger]:
    printed = _printed(ONNX)
    apart = [row for row in _AS_DEEP if abs(printed[row] / printed[1] - 1) > _APART]
    return [_claim(row, ONNX, "throughput under ONNX Runtime on a CPU", is_sized=False) for row in apart]


ARTIFACT = Artifact(
    name="msra_table6",
    source="EfficientViT-MSRA (arXiv 2305.07027), Table 6: ablation of M4, rows 1 to 11",
    needs="networks trained at small scale for the accuracies; a device for the throughputs",
    compute=compute,
    checks=(
        *(_claim(row, TOP1, "accuracy", is_sized=True) for row in SETTINGS if row != 1),
        *_speed_claims(),
        SameOrder(
            claim="the rows of M4's depths have the order of throughputs that they have on a Xeon",
            metric=ONNX,
            apart=_APART,
            settings=tuple(SETTINGS[row] for row in _AS_DEEP),
        ),
    ),
    small=_TRAINED,
)
