"""EdgeNeXt, Table 2: parameters and multiply-adds of all variants and of MobileViT.

EdgeNeXt's MAdds are printed with norms, ours are without. MobileViT's are printed as their authors counted them.
MobileViT comes from timm; without timm its rows say so.

Source: arXiv 2206.10589, Tables 2 and 3, and the authors' model zoo.
"""

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, Net, of_spec, of_timm
from archlab.artifacts.checks import Equal
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import Lack, Row, counted
from archlab.families import published

__all__ = ["ARTIFACT", "MAIN", "MOBILEVIT"]

MAIN = {
    "EdgeNeXt-XXS": "edgenext_xx_small",
    "EdgeNeXt-XS": "edgenext_x_small",
    "EdgeNeXt-S": "edgenext_small",
}
"""The three sizes of the paper's other tables."""
_SIZES = MAIN | {
    "EdgeNeXt-B": "edgenext_base",
    "EdgeNeXt-XXS-BN-HS": "edgenext_xx_small_bn_hs",
    "EdgeNeXt-XS-BN-HS": "edgenext_x_small_bn_hs",
    "EdgeNeXt-S-BN-HS": "edgenext_small_bn_hs",
}
MOBILEVIT = {"MobileViT-XXS": "mobilevit_xxs", "MobileViT-XS": "mobilevit_xs", "MobileViT-S": "mobilevit_s"}
_AT_224 = "EdgeNeXt-S@224"
_METRICS = {"params": "parameters", "macs": "multiply-adds"}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count every network."""
    nets: dict[str, Net | Lack] = {setting: of_spec(published(name).spec) for setting, name in _SIZES.items()}
    nets[_AT_224] = of_spec(published("edgenext_small").spec.replace(resolution=224))
    nets |= {setting: of_timm(name, 256) for setting, name in MOBILEVIT.items()}
    return tuple(row for setting, net in nets.items() for row in _rows(setting, net))


def _rows(setting: str, net: Net | Lack) -> list[Row]:
    if isinstance(net, Lack):
        return [beside("EdgeNeXt", "networks", setting, metric, lack=net) for metric in _METRICS]
    costs = counted(net.costs(), f"counted at {net.shape[-1]} px")
    return [beside("EdgeNeXt", "networks", setting, metric, **fields) for metric, fields in costs.items()]


ARTIFACT = Artifact(
    name="edgenext_table2",
    source="EdgeNeXt (arXiv 2206.10589), Table 2: parameters and MAdds of all variants and of MobileViT",
    needs="timm for the rows of MobileViT",
    compute=compute,
    checks=tuple(
        Equal(claim=f"{word} of {whose} are the printed ones", metric=metric, settings=settings)
        for whose, settings in (("EdgeNeXt", (*_SIZES, _AT_224)), ("MobileViT", tuple(MOBILEVIT)))
        for metric, word in _METRICS.items()
    ),
)
