"""EfficientViT of MIT: plain convolution stages, then modules of multi-scale linear attention and an MBConv.

Five stages of stride 2; stage 0 is the stem. `depth` counts cells after the entry of a stage. A cell is one local
block, or with `mixer` "msla" the attention and `ffns` local blocks. Stages 3 and 4 use the MBConv with fewer norms.
A backbone without classifier is written with the default `head_widths`.

Source: Cai et al., EfficientViT: Multi-Scale Linear Attention (arXiv 2205.14756) and its repository.
"""

from collections.abc import Mapping

from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, quotient, scaled, staged
from archlab.families.published import Published
from archlab.families.reading import not_of, ratio_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "axes_of", "make"]

_STAGES = 5
_EPS = 1e-5
_LOCALS = ("mbconv", "fused_mbconv")

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels, a multiple of 32", low=32),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "act": Knob(default="hardswish", help="activation", words=cells.ACTS),
    "eps": Knob(default=_EPS, help="epsilon of every norm", low=1e-12, high=0.1),
    "head_widths": Knob(default="1536-1600", help="hidden widths of the classifier", parts=2, high=65_536),
    "width": Knob(default=16, help="channels for one part of growth", high=4096),
    "growth": Knob(default="1-2-4-8-16", help="widths of the stages in parts of width", parts=_STAGES, high=256),
    "local_0": Knob(default="dsconv", help="stage 0: blocks after the stem", words=("dsconv", "resconv")),
    **staged("local", ("mbconv",) * 4, "convolution block, also of the entry", first=1, words=_LOCALS),
    **staged("depth", (1, 1, 2, 3, 4), "cells after the entry", low=0, high=64),
    **staged("kernel", (3,) * _STAGES, "side of the local blocks' kernel, odd", high=31),
    **staged("entry_expansion", (4.0,) * 4, "inner width of the entry over its input", first=1, low=0.25, high=64),
    **staged("expansion", (4.0,) * 4, "inner width of the local blocks over width", first=1, low=0.25, high=16),
    **staged("mixer", ("none", "none", "msla", "msla"), "attention of every cell", first=1, words=("none", "msla")),
    **staged("key_dim", (16,) * 4, "width of a head", first=1, high=512),
    **staged("scales", ("5",) * 4, "kernels of the aggregated scales", first=1, parts=-1, high=31),
    **staged("ffns", (1,) * 4, "local blocks after each attention", first=1, low=0, high=8),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build an EfficientViT of MIT from its knobs; every knob has B1's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("efficientvit_mit", AXES, axes)
    act, eps = values.word("act"), values.number("eps")
    widths = [values.whole("width") * part for part in values.primitive("growth", "width")]
    stages = [_stem(values, widths[0])]
    stages += [_stage(values, i, widths[i - 1], widths[i]) for i in range(1, _STAGES)]
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=32,
        head=HeadSpec(kind="conv", norm="bn", widths=values.parts("head_widths"), act=act, eps=eps),
        classes=values.whole("classes"),
    )


def _eps(values: Values) -> float | None:
    eps = values.number("eps")
    return None if eps == _EPS else eps


def _stem(values: Values, width: int) -> StageSpec:
    kind, act, eps = values.word("local_0"), values.word("act"), _eps(values)
    entry = BlockSpec(kind="conv", width=width, stride=2, kernels=(3,), norm="bn", act=act, eps=eps)
    kernel = cells.odd(values.whole("kernel_0"))
    hidden = width if kind == "resconv" else None
    block = BlockSpec(kind=kind, width=width, hidden=hidden, kernels=(kernel,), norm="bn", act=act, eps=eps)
    return StageSpec(entry=entry, blocks=(block,) * values.whole("depth_0"))


def _stage(values: Values, i: int, in_width: int, width: int) -> StageSpec:
    entry_hidden = scaled(in_width, values.number(f"entry_expansion_{i}"), "the expansion")
    hidden = scaled(width, values.number(f"expansion_{i}"), "the expansion")
    entry, local = (
        _local(values, i, width=width, hidden=inner, stride=stride)
        for inner, stride in ((entry_hidden, 2), (hidden, 1))
    )
    if values.word(f"mixer_{i}") == "none":
        cell: tuple[BlockSpec, ...] = (local,)
    else:
        cell = (_mixer(values, i, width), *(local,) * values.whole(f"ffns_{i}"))
    return StageSpec(entry=entry, blocks=cell * values.whole(f"depth_{i}"))


def _local(values: Values, i: int, *, width: int, hidden: int, stride: int) -> BlockSpec:
    kind = values.word(f"local_{i}")
    kernel = cells.odd(values.whole(f"kernel_{i}"))
    return BlockSpec(
        kind=kind,
        width=width,
        stride=stride,
        hidden=hidden,
        kernels=(kernel,),
        norm="bn_last" if i >= 3 and kind == "mbconv" else "bn",
        act=values.word("act"),
        eps=_eps(values),
    )


def _mixer(values: Values, i: int, width: int) -> BlockSpec:
    key_dim = values.whole(f"key_dim_{i}")
    return BlockSpec(
        kind="msla",
        width=width,
        heads=quotient(width, key_dim, "head widths"),
        key_dim=key_dim,
        kernels=tuple(cells.odd(k) for k in values.parts(f"scales_{i}")),
        norm="bn",
        eps=_eps(values),
    )


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    if len(spec.stages) != _STAGES:
        raise not_of("efficientvit_mit", spec)
    growth, entry = ratio_of(spec.widths), spec.stages[0].entry
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "act": entry.act or "relu",
        "eps": _EPS if entry.eps is None else entry.eps,
        "width": growth.unit,
        "growth": growth.text,
    }
    hidden = spec.head.widths if spec.head else ()
    axes["head_widths"] = "-".join(str(width) for width in hidden) or AXES["head_widths"].default
    for i, stage in enumerate(spec.stages):
        read = _read_stage(stage, spec.widths[i - 1]) if i else _read_stem(stage)
        axes |= {f"{name}_{i}": value for name, value in read.items()}
    return verified("efficientvit_mit", spec, make, axes)


def _read_stem(stage: StageSpec) -> dict[str, Scalar]:
    read: dict[str, Scalar] = {"depth": stage.depth}
    if stage.blocks:
        read |= {"local": stage.blocks[0].kind, "kernel": (stage.blocks[0].kernels or (0,))[0]}
    return read


def _read_stage(stage: StageSpec, in_width: int) -> dict[str, Scalar]:
    entry = stage.entry
    mixers = [block for block in stage.blocks if block.kind == "msla"]
    locals_ = [block for block in stage.blocks if block.kind != "msla"]
    read: dict[str, Scalar] = {
        "local": entry.kind,
        "kernel": (entry.kernels or (0,))[0],
        "entry_expansion": (entry.hidden or 0) / in_width,
        "depth": len(mixers) or stage.depth,
    }
    if stage.blocks:
        read["mixer"] = "msla" if mixers else "none"
    if locals_:
        read["expansion"] = (locals_[0].hidden or 0) / stage.width
    if mixers:
        read["ffns"] = len(locals_) // len(mixers)
        read["key_dim"] = mixers[0].key_dim if isinstance(mixers[0].key_dim, int) else 0
        read["scales"] = "-".join(str(kernel) for kernel in mixers[0].kernels or ())
    return read


def _row(
    name: str,
    width: int,
    blocks: tuple[int, ...],
    key_dim: int,
    head_widths: str,
    *,
    params: int,
    macs: int,
    top1: float | None,
    source: str,
    large: bool = False,
) -> Published:
    axes: dict[str, Scalar] = {"width": width, "key_dim_3": key_dim, "key_dim_4": key_dim}
    axes |= {f"depth_{i}": depth for i, depth in enumerate(blocks)}
    axes |= {"head_widths": head_widths} if head_widths else {"classes": 0}
    return Published(
        name=f"efficientvit_{name}",
        family="efficientvit_mit",
        make=make,
        axes={**axes, **(_LARGE if large else {})},
        resolution=224,
        params=params,
        macs=macs,
        top1=top1,
        source=source,
    )


_LARGE: Mapping[str, Scalar] = {
    "act": "gelu_tanh",
    "eps": 1e-7,
    "local_0": "resconv",
    "local_1": "fused_mbconv",
    "local_2": "fused_mbconv",
    "entry_expansion_1": 16.0,
    "entry_expansion_2": 16.0,
    "entry_expansion_3": 16.0,
    "entry_expansion_4": 24.0,
    "expansion_4": 6.0,
    "mixer_3": "none",
}
"""What all L sizes share."""

_ZOO = "authors' repository, classification README (ImageNet-1k at 224)"

PUBLISHED = (
    _row(
        "b0",
        8,
        (1, 1, 1, 2, 2),
        16,
        "1024-1280",
        params=3_410_008,
        macs=100_233_216,
        top1=71.408,
        source="timm, weights r224_in1k; the authors list the model without an accuracy",
    ),
    _row("b1", 16, (1, 1, 2, 3, 4), 16, "1536-1600", params=9_102_024, macs=519_214_592, top1=79.39, source=_ZOO),
    _row("b2", 24, (1, 2, 3, 4, 6), 32, "2304-2560", params=24_330_712, macs=1_584_937_984, top1=82.1, source=_ZOO),
    _row("b3", 32, (1, 3, 5, 6, 9), 32, "2304-2560", params=48_646_056, macs=3_953_822_208, top1=83.468, source=_ZOO),
    _row(
        "l0",
        32,
        (1, 1, 1, 4, 4),
        32,
        "",
        params=27_805_472,
        macs=4_504_600_576,
        top1=None,
        large=True,
        source="authors' repository; the backbone of a segmentation model, published without a classifier",
    ),
    _row(
        "l1",
        32,
        (1, 1, 1, 6, 6),
        32,
        "3072-3200",
        params=52_654_088,
        macs=5_258_479_616,
        top1=84.484,
        large=True,
        source=_ZOO,
    ),
    _row(
        "l2",
        32,
        (1, 2, 2, 8, 8),
        32,
        "3072-3200",
        params=63_707_016,
        macs=6_949_862_400,
        top1=85.05,
        large=True,
        source=_ZOO,
    ),
    _row(
        "l3",
        64,
        (1, 2, 2, 8, 8),
        32,
        "6144-6400",
        params=246_037_288,
        macs=27_586_525_184,
        top1=85.814,
        large=True,
        source=_ZOO,
    ),
)
"""The published sizes; MACs counted on timm's networks."""
