"""What EdgeNeXt's Tables 7 to 10 share: variants of EdgeNeXt-S at 256 px, and of a small one for the accuracy.

Costs and latencies are those of the real networks. Accuracies are of EdgeNeXt-XXS's widths and depths at 64 px, trained
on small images: they can tell a direction, never ImageNet's percentages. The tables' own columns are confirmed by no
accessible copy, so no value of the paper stands beside ours, and the verdicts rest on what its text says.
"""

from collections.abc import Mapping

from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.paper import numbers
from archlab.artifacts.rows import Row, counted
from archlab.families import edgenext, published
from archlab.families.knobs import Scalar
from archlab.spec import ArchSpec

__all__ = ["LATENCY", "TOP1", "Knobs", "real_of", "rows_of", "size_of", "small_of"]

LATENCY, TOP1 = "latency", "top1"
_SMALL_SIDE, _SMALL_CLASSES = 64, 50
_BASE, _SMALL_BASE = "edgenext_small", "edgenext_xx_small"
_SDTA = tuple(f"sdta_{i}" for i in range(4))

Knobs = Mapping[str, Scalar]


def real_of(knobs: Knobs) -> ArchSpec:
    """EdgeNeXt-S with some knobs turned."""
    row = published(_BASE)
    return edgenext.make(**{**row.axes, "resolution": row.resolution, **knobs})


def small_of(settings: Mapping[str, Knobs]) -> dict[str, ArchSpec]:
    """The small network of each setting, at 64 px; where all encoders of a stage are SDTA, here as well."""
    return {setting: _small(knobs) for setting, knobs in settings.items()}


def _small(knobs: Knobs) -> ArchSpec:
    base, small = real_of({}).depths, published(_SMALL_BASE)
    depths = published(_SMALL_BASE).spec.depths
    turned = dict(knobs)
    for i, name in enumerate(_SDTA):
        if turned.get(name) == base[i]:
            turned[name] = depths[i]
    return edgenext.make(**{**small.axes, "resolution": _SMALL_SIDE, "classes": _SMALL_CLASSES, **turned})


def rows_of(bench: Bench, settings: Mapping[str, Knobs], small: Mapping[str, ArchSpec]) -> tuple[Row, ...]:
    """Parameters, multiply-adds, latency and accuracy of each setting."""
    nets = {setting: of_spec(real_of(knobs)) for setting, knobs in settings.items()}
    times = bench.times(nets)
    rows = []
    for setting, net in nets.items():
        costs = counted(net.costs(), "counted at 256 px")
        rows += [
            *(Row(setting=setting, metric=metric, **fields) for metric, fields in costs.items()),
            Row(setting=setting, metric=LATENCY, unit="ms", **times[setting]),
            Row(setting=setting, metric=TOP1, unit="%", **bench.score(small[setting])),
        ]
    return tuple(rows)


def size_of(item: str, setting: str) -> float:
    """The size of a difference that the paper's text states, in points, without its sign."""
    return abs(numbers("EdgeNeXt", item)[setting])
