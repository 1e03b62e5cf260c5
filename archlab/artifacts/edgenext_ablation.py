"""What EdgeNeXt's Tables 7 to 10 share: variants of EdgeNeXt-S at 256 px, and of a small one for the accuracy.

Costs and latencies are those of the real networks. Accuracies are of EdgeNeXt-XXS's widths and depths at 64 px, trained
on small images: they can tell a direction, never ImageNet's percentages. The tables' own columns are confirmed by no
accessible copy, so no value of the paper stands beside ours, and the verdicts rest on what its text says.
"""

from collections.abc import Callable, Mapping

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.rows import Row, counted
from archlab.artifacts.verdict import Check
from archlab.families import edgenext, published
from archlab.families.knobs import Scalar
from archlab.spec import ArchSpec

__all__ = ["LATENCY", "TOP1", "Knobs", "ablation", "real_of", "rows_of", "small_of"]

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
    small, turned = published(_SMALL_BASE), dict(knobs)
    for name, depth, small_depth in zip(_SDTA, real_of({}).depths, small.spec.depths, strict=True):
        if turned.get(name) == depth:
            turned[name] = small_depth
    return edgenext.make(**{**small.axes, "resolution": _SMALL_SIDE, "classes": _SMALL_CLASSES, **turned})


def ablation(
    table: int, title: str, settings: Mapping[str, Knobs], compute: Callable[[Bench], tuple[Row, ...]], *checks: Check
) -> Artifact:
    """The artifact of a table.

    Args:
        table: Its number in the paper.
        title: What it shows.
        settings: Its rows, and the knobs that are turned in each.
        compute: Gives the rows.
        *checks: What the paper's text says of it.
    """
    return Artifact(
        name=f"edgenext_table{table}",
        source=f"EdgeNeXt (arXiv 2206.10589), Table {table}: {title}",
        needs="networks trained at small scale for the accuracies; a device for the latencies",
        compute=compute,
        checks=checks,
        small=small_of(settings),
    )


def rows_of(bench: Bench, settings: Mapping[str, Knobs]) -> tuple[Row, ...]:
    """Parameters, multiply-adds and latency of each setting, and its accuracy where its small network is trained."""
    nets = {setting: of_spec(real_of(knobs)) for setting, knobs in settings.items()}
    times, small = bench.times(nets), small_of(settings)
    rows = []
    for setting, net in nets.items():
        costs = counted(net.costs(), "counted at 256 px")
        rows += [
            *(Row(setting=setting, metric=metric, **fields) for metric, fields in costs.items()),
            Row(setting=setting, metric=LATENCY, unit="ms", **times[setting]),
            Row(setting=setting, metric=TOP1, unit="%", **bench.score(small[setting])),
        ]
    return tuple(rows)
