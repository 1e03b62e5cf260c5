"""DeiT: a plain vision transformer, one sequence of patches with a class token from end to end.

A layer of the paper is two residual branches here, attention and FFN. The knobs count the branches of both kinds; they
are spread evenly, attention first, so `attentions` against `ffns` is the share of attention that figure 3 of
EfficientViT-MSRA varies.

Source: Touvron et al., Training data-efficient image transformers (arXiv 2012.12877).
"""

from collections.abc import Mapping

from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, quotient, scaled
from archlab.families.published import Published
from archlab.families.reading import not_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "axes_of", "make"]

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels, a multiple of patch", low=8),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "act": Knob(default="gelu", help="activation", words=cells.ACTS),
    "patch": Knob(default=16, help="side of a patch in pixels", high=64),
    "position": Knob(default="learned", help="position of each patch", words=("learned", "none")),
    "width": Knob(default=192, help="channels"),
    "heads": Knob(default=3, help="heads", high=256),
    "key_dim": Knob(default=0, help="width of queries and keys per head; 0: width / heads", low=0, high=512),
    "expansion": Knob(default=4.0, help="inner width of an FFN over width", low=0.25, high=16),
    "attentions": Knob(default=12, help="attention branches", low=0, high=128),
    "ffns": Knob(default=12, help="FFN branches", low=0, high=128),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build a DeiT from its knobs; every knob has the tiny network's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("deit", AXES, axes)
    width, patch, heads = values.whole("width"), values.whole("patch"), values.whole("heads")
    position = None if values.word("position") == "none" else "learned"
    entry = BlockSpec(kind="patch_tokens", width=width, stride=patch, kernels=(patch,), position=position)
    share = quotient(width, heads, "heads")
    key_dim = values.whole("key_dim")
    attention = BlockSpec(
        kind="mhsa",
        width=width,
        heads=heads,
        key_dim=None if key_dim in (0, share) else key_dim,
        norm="ln",
    )
    hidden = scaled(width, values.number("expansion"), "the expansion")
    ffn = BlockSpec(kind="ffn", width=width, hidden=hidden, norm="ln", act=values.word("act"))
    blocks = cells.spread((attention,) * values.whole("attentions"), (ffn,) * values.whole("ffns"))
    return cells.network(
        [StageSpec(entry=entry, blocks=blocks)],
        resolution=values.whole("resolution"),
        multiple=patch,
        head=HeadSpec(kind="token", norm="ln"),
        classes=values.whole("classes"),
    )


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    stage = spec.stages[0]
    attentions = [block for block in stage.blocks if block.kind == "mhsa"]
    ffns = [block for block in stage.blocks if block.kind == "ffn"]
    if len(spec.stages) != 1 or stage.entry.kind != "patch_tokens":
        raise not_of("deit", spec)
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "patch": stage.entry.stride,
        "position": stage.entry.position or "none",
        "width": stage.width,
        "attentions": len(attentions),
        "ffns": len(ffns),
    }
    if attentions:
        key_dim = attentions[0].key_dim
        axes |= {"heads": attentions[0].heads or 1, "key_dim": key_dim if isinstance(key_dim, int) else 0}
    else:
        axes["heads"] = 1
    if ffns:
        axes |= {"expansion": (ffns[0].hidden or 0) / stage.width, "act": ffns[0].act or "gelu"}
    return verified("deit", spec, make, axes)


def _row(name: str, width: int, heads: int, *, params: int, macs: int, top1: float) -> Published:
    return Published(
        name=f"deit_{name}_patch16_224",
        family="deit",
        make=make,
        axes={"width": width, "heads": heads},
        resolution=224,
        params=params,
        macs=macs,
        top1=top1,
        source="paper, Table 7 (ImageNet-1k, no distillation)",
    )


PUBLISHED = (
    _row("tiny", 192, 3, params=5_717_416, macs=1_253_683_200, top1=72.2),
    _row("small", 384, 6, params=22_050_664, macs=4_598_882_304, top1=79.8),
    _row("base", 768, 12, params=86_567_656, macs=17_563_828_224, top1=81.8),
)
"""The published sizes; MACs counted on timm's networks."""
