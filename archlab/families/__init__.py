"""Which families of networks does archlab know? One file each, listed in `FAMILIES`."""

from archlab.errors import unknown_name
from archlab.families import convnext, deit, edgenext, efficientvit_mit, efficientvit_msra, hybrid, roadmap, swin
from archlab.families.published import Family, Published

__all__ = ["FAMILIES", "Family", "Published", "all_named", "all_published", "published"]

FAMILIES: dict[str, Family] = {
    "convnext": Family(
        name="convnext",
        title="ConvNeXt",
        source="arXiv 2201.03545",
        make=convnext.make,
        axes_of=convnext.axes_of,
        axes=convnext.AXES,
        published=convnext.PUBLISHED,
    ),
    "deit": Family(
        name="deit",
        title="DeiT",
        source="arXiv 2012.12877",
        make=deit.make,
        axes_of=deit.axes_of,
        axes=deit.AXES,
        published=deit.PUBLISHED,
    ),
    "edgenext": Family(
        name="edgenext",
        title="EdgeNeXt",
        source="arXiv 2206.10589",
        make=edgenext.make,
        axes_of=edgenext.axes_of,
        axes=edgenext.AXES,
        published=edgenext.PUBLISHED,
    ),
    "efficientvit_mit": Family(
        name="efficientvit_mit",
        title="EfficientViT (MIT)",
        source="arXiv 2205.14756",
        make=efficientvit_mit.make,
        axes_of=efficientvit_mit.axes_of,
        axes=efficientvit_mit.AXES,
        published=efficientvit_mit.PUBLISHED,
    ),
    "efficientvit_msra": Family(
        name="efficientvit_msra",
        title="EfficientViT (MSRA)",
        source="arXiv 2305.07027",
        make=efficientvit_msra.make,
        axes_of=efficientvit_msra.axes_of,
        axes=efficientvit_msra.AXES,
        published=efficientvit_msra.PUBLISHED,
    ),
    "hybrid": Family(
        name="hybrid",
        title="Hybrid of all families",
        source="the four papers of the other families",
        make=hybrid.make,
        axes_of=hybrid.axes_of,
        axes=hybrid.AXES,
    ),
    "roadmap": Family(
        name="roadmap",
        title="ResNet to ConvNeXt",
        source="arXiv 2201.03545 §2",
        make=roadmap.make,
        axes_of=roadmap.axes_of,
        axes=roadmap.AXES,
        published=roadmap.PUBLISHED,
        steps=roadmap.STEPS,
    ),
    "swin": Family(
        name="swin",
        title="Swin",
        source="arXiv 2103.14030",
        make=swin.make,
        axes_of=swin.axes_of,
        axes=swin.AXES,
        published=swin.PUBLISHED,
    ),
}


def published(name: str) -> Published:
    """Look a published network, or a step of an ablation, up by name.

    Raises:
        UnknownNameError: If no family has one of that name; the message has the nearest.
    """
    rows = {row.name: row for row in all_named()}
    if name not in rows:
        raise unknown_name("published network", name, rows, do="see: archlab models")
    return rows[name]


def all_published() -> tuple[Published, ...]:
    """Every published network, family by family, small to large."""
    return tuple(row for family in FAMILIES.values() for row in family.published)


def all_named() -> tuple[Published, ...]:
    """Every network with a name: the published ones, and the steps of ablations between them."""
    return (*all_published(), *(row for family in FAMILIES.values() for row in family.steps))
