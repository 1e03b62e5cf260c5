"""EfficientViT-MIT, Table 2: parameters and multiply-adds of the classification networks at every published side.

Source: arXiv 2205.14756, Table 2, and the classification README of the authors' repository.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.checks import Equal
from archlab.artifacts.paper import beside, values
from archlab.artifacts.rows import Row, counted
from archlab.families import published

__all__ = ["ARTIFACT"]

_METRICS = {"params": "parameters", "macs": "multiply-adds"}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count every network at every side."""
    rows = []
    for setting in _settings():
        size, side = setting.removeprefix("EfficientViT-").split(" r")
        net = of_spec(published(f"efficientvit_{size.lower()}").spec.replace(resolution=int(side)))
        costs = counted(net.costs(), f"counted at {side} px")
        rows += [beside("EfficientViT-MIT", "networks", setting, metric, **fields) for metric, fields in costs.items()]
    return tuple(rows)


def _settings() -> list[str]:
    """The classification networks, named ``EfficientViT-B1 r224`` and so on."""
    return [value.setting for value in values("EfficientViT-MIT", "networks", "macs") if " r" in value.setting]


ARTIFACT = Artifact(
    name="mit_table2",
    source="EfficientViT-MIT (arXiv 2205.14756), Table 2: parameters and MACs of the classification networks",
    needs="nothing",
    compute=compute,
    checks=tuple(Equal(claim=f"{word} are the printed ones", metric=metric) for metric, word in _METRICS.items()),
)
