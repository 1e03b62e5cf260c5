"""EdgeNeXt, Table 1: the architecture of the three sizes, with parameters and multiply-adds.

Widths, depths, kernels and the number of SDTA encoders are read off the built networks. The paper's MAdds are counted
with norms, ours without: they are 0.3 to 1.2 % lower by convention, which the tolerance covers.

Source: arXiv 2206.10589, Table 1; parameters and MAdds as in the authors' model zoo.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Equal
from archlab.artifacts.edgenext_table2 import MAIN
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import Row, counted
from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.families import published
from archlab.spec import ArchSpec

__all__ = ["ARTIFACT"]

_LAYOUT = ("widths", "depths", "kernels", "SDTA encoders")


def compute(bench: Bench) -> tuple[Row, ...]:
    """Read the layout off each network and count it."""
    return tuple(row for size, name in MAIN.items() for row in _rows(size, published(name).spec))


def _rows(size: str, spec: ArchSpec) -> list[Row]:
    costs = counted(count(trace(spec)), f"counted at {spec.resolution} px")
    return [
        *(
            beside("EdgeNeXt", "Table 1", size, metric, ours=text, ours_source="built network")
            for metric, text in _layout(spec)
        ),
        *(beside("EdgeNeXt", "networks", size, metric, **fields) for metric, fields in costs.items()),
    ]


def _layout(spec: ArchSpec) -> list[tuple[str, str]]:
    sdta = [sum(block.kind == "sdta" for block in stage.blocks) for stage in spec.stages]
    kernels = [next(b.kernels[0] for b in stage.blocks if b.kernels) for stage in spec.stages]
    lists = (spec.widths, spec.depths, kernels, sdta)
    return [(metric, "/".join(str(n) for n in numbers)) for metric, numbers in zip(_LAYOUT, lists, strict=True)]


ARTIFACT = Artifact(
    name="edgenext_table1",
    source="EdgeNeXt (arXiv 2206.10589), Table 1: architecture, parameters and MAdds of XXS, XS and S",
    needs="nothing",
    compute=compute,
    checks=(
        *(Equal(claim=f"{metric} of the stages are the paper's", metric=metric) for metric in _LAYOUT),
        Equal(claim="parameters are the published ones", metric="params"),
        Equal(claim="multiply-adds are the published ones", metric="macs"),
    ),
)
