"""Swin: four stages of attention inside windows, every second one shifted, and patch merging between stages.

A block of the paper is two residual branches here, attention and FFN. The knobs count the branches of both kinds in a
stage; they are spread evenly, attention first, so `attentions` against `ffns` is the share of attention that figure 3
of EfficientViT-MSRA varies. Every norm has the reference's epsilon of 1e-5.

Source: Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows (arXiv 2103.14030).
"""

from collections.abc import Mapping

from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, quotient, scaled, staged
from archlab.families.published import Published
from archlab.families.reading import not_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "axes_of", "make"]

_STAGES = 4
_EPS = 1e-5
_MIXERS = ("wmsa", "swmsa")

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels, a multiple of patch", low=8),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "act": Knob(default="gelu", help="activation", words=cells.ACTS),
    "patch": Knob(default=4, help="side of a patch in pixels", high=64),
    "window": Knob(default=7, help="side of the attention windows; a smaller map is one window", high=96),
    "shift": Knob(default="every_second", help="shifted attention", words=("every_second", "none")),
    "position": Knob(default="bias", help="bias per head and offset", words=("bias", "none")),
    **staged("width", (96, 192, 384, 768), "channels"),
    **staged("heads", (3, 6, 12, 24), "heads", high=256),
    **staged("key_dim", (0,) * _STAGES, "width of queries and keys per head; 0: width / heads", low=0, high=512),
    **staged("expansion", (4.0,) * _STAGES, "inner width of an FFN over width", low=0.25, high=16),
    **staged("attentions", (2, 2, 6, 2), "attention branches", low=0, high=128),
    **staged("ffns", (2, 2, 6, 2), "FFN branches", low=0, high=128),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build a Swin transformer from its knobs; every knob has Swin-T's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("swin", AXES, axes)
    stages = [StageSpec(entry=_entry(values, i), blocks=_blocks(values, i)) for i in range(_STAGES)]
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=values.whole("patch"),
        head=HeadSpec(kind="norm_pool", norm="ln", eps=_EPS),
        classes=values.whole("classes"),
    )


def _entry(values: Values, i: int) -> BlockSpec:
    width, patch = values.whole(f"width_{i}"), values.whole("patch")
    if i:
        return BlockSpec(kind="swin_merge", width=width, stride=2, norm="ln", eps=_EPS)
    return BlockSpec(kind="patchify", width=width, stride=patch, kernels=(patch,), norm="ln", eps=_EPS)


def _blocks(values: Values, i: int) -> tuple[BlockSpec, ...]:
    width, count = values.whole(f"width_{i}"), values.whole(f"attentions_{i}")
    shifted = "swmsa" if values.word("shift") == "every_second" else "wmsa"
    attentions = tuple(_attention(values, i, shifted if j % 2 else "wmsa") for j in range(count))
    hidden = scaled(width, values.number(f"expansion_{i}"), "the expansion")
    ffn = BlockSpec(kind="ffn", width=width, hidden=hidden, norm="ln", act=values.word("act"), eps=_EPS)
    return cells.spread(attentions, (ffn,) * values.whole(f"ffns_{i}"))


def _attention(values: Values, i: int, kind: str) -> BlockSpec:
    heads, key_dim = values.whole(f"heads_{i}"), values.whole(f"key_dim_{i}")
    share = quotient(values.whole(f"width_{i}"), heads, "heads")
    return BlockSpec(
        kind=kind,
        width=values.whole(f"width_{i}"),
        heads=heads,
        key_dim=None if key_dim in (0, share) else key_dim,
        window=values.whole("window"),
        position=None if values.word("position") == "none" else "bias",
        norm="ln",
        eps=_EPS,
    )


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    if len(spec.stages) != _STAGES or spec.stages[0].entry.kind != "patchify":
        raise not_of("swin", spec)
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "patch": spec.stages[0].entry.stride,
    }
    blocks = [block for stage in spec.stages for block in stage.blocks]
    axes["act"] = next((block.act for block in blocks if block.act), "gelu")
    mixers = [block for block in blocks if block.kind in _MIXERS]
    if mixers:
        is_shifted = any(block.kind == "swmsa" for block in mixers)
        axes |= {"window": mixers[0].window or 0, "position": mixers[0].position or "none"}
        axes["shift"] = "every_second" if is_shifted else "none"
    for i, stage in enumerate(spec.stages):
        axes |= {f"{name}_{i}": value for name, value in _read_stage(stage).items()}
    return verified("swin", spec, make, axes)


def _read_stage(stage: StageSpec) -> dict[str, Scalar]:
    mixers = [block for block in stage.blocks if block.kind in _MIXERS]
    ffns = [block for block in stage.blocks if block.kind == "ffn"]
    read: dict[str, Scalar] = {"width": stage.width, "attentions": len(mixers), "ffns": len(ffns)}
    if mixers:
        key_dim = mixers[0].key_dim
        read |= {"heads": mixers[0].heads or 1, "key_dim": key_dim if isinstance(key_dim, int) else 0}
    if ffns:
        read["expansion"] = (ffns[0].hidden or 0) / stage.width
    return read


def _row(name: str, width: int, heads: int, depth: int, *, params: int, macs: int, top1: float) -> Published:
    axes: dict[str, Scalar] = {}
    for i in range(_STAGES):
        axes |= {f"width_{i}": width << i, f"heads_{i}": heads << i}
    return Published(
        name=f"swin_{name}_patch4_window7_224",
        family="swin",
        make=make,
        axes=axes | {"attentions_2": depth, "ffns_2": depth},
        resolution=224,
        params=params,
        macs=macs,
        top1=top1,
        source="paper, Table 1 (ImageNet-1k only)",
    )


PUBLISHED = (
    _row("tiny", 96, 3, 6, params=28_288_354, macs=4_490_566_656, top1=81.3),
    _row("small", 96, 3, 18, params=49_606_258, macs=8_740_875_264, top1=83.0),
    _row("base", 128, 4, 18, params=87_768_224, macs=15_430_946_816, top1=83.5),
)
"""The published sizes; MACs counted on timm's networks."""
