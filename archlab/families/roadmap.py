"""From ResNet to ConvNeXt, one change at a time: the networks of the roadmap, and all in between.

`step(regime, order)` gives a row of the paper's tables; the steps build on each other but for the kernels 5, 9 and 11,
which are tried and left. Where the paper is silent: the first block of a stage has a 1×1 shortcut where width or side
change; an inverted bottleneck's inner width is four times the outgoing one there too; the norm of the patchify stem
follows the block's; layer scale comes with the last step.

Source: Liu et al., A ConvNet for the 2020s (arXiv 2201.03545) §2, tables 10 and 11; ResNet (arXiv 1512.03385).
"""

import dataclasses
from collections.abc import Mapping

from archlab.errors import SpecError, four_parts, unknown_name
from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, scaled
from archlab.families.published import Published
from archlab.families.reading import not_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "REGIMES", "STEPS", "axes_of", "make", "step"]

_STAGES = 4
_NORMS = {
    "bottleneck": ("bn",),
    "dw_bottleneck": ("bn",),
    "dw_first": ("bn",),
    "dw_lean": ("bn", "bn_first", "ln"),
    "convnext": ("bn", "ln"),
}
"""Block → norms it comes in."""

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels, a multiple of 32", low=32),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "stem": Knob(default="conv_pool", help="7×7 and pooling, or 4×4 patches", words=("conv_pool", "patchify")),
    "block": Knob(default="bottleneck", help="kind of every block", words=tuple(_NORMS)),
    "ends": Knob(default="wide", help="ends of a block: wider or narrower than its inside", words=("wide", "narrow")),
    "norm": Knob(
        default="bn", help="BatchNorm everywhere, one per block, or LayerNorm", words=("bn", "bn_first", "ln")
    ),
    "act": Knob(default="relu", help="activation", words=cells.ACTS),
    "width": Knob(default=64, help="narrow width of the first stage; it doubles from stage to stage"),
    "expansion": Knob(default=4.0, help="wide width over narrow", low=1, high=16),
    "depths": Knob(default="3-4-6-3", help="blocks of the stages", parts=_STAGES, high=128),
    "kernel": Knob(default=3, help="side of the k×k convolution, odd", high=31),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build a network of the roadmap from its knobs; every knob has ResNet-50's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("roadmap", AXES, axes)
    _check_words(values)
    stages = [_stage(values, i) for i in range(_STAGES)]
    if values.word("ends") == "wide":
        stages.insert(0, StageSpec(entry=_stem(values)))
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=32,
        head=_head(values),
        classes=values.whole("classes"),
    )


def _check_words(values: Values) -> None:
    block, norm, ends = values.word("block"), values.word("norm"), values.word("ends")
    if norm not in _NORMS[block]:
        raise SpecError(
            four_parts(
                f"blocks {block!r} have no norm {norm!r}",
                given=norm,
                allowed=", ".join(_NORMS[block]),
                do="change the norm or the block",
            )
        )
    if block == "convnext" and ends == "wide":
        raise SpecError(
            four_parts("ConvNeXt's blocks have narrow ends", given=ends, allowed="narrow", do="set ends to narrow")
        )


def _stem(values: Values) -> BlockSpec:
    width, act = values.whole("width"), values.word("act")
    if values.word("stem") == "conv_pool":
        return BlockSpec(kind="conv_pool", width=width, stride=4, kernels=(7,), norm="bn", act=act)
    return cells.stem("patchify", width, norm="ln" if values.word("norm") == "ln" else "bn", act=act)


def _stage(values: Values, i: int) -> StageSpec:
    depth, is_wide = values.parts("depths")[i], values.word("ends") == "wide"
    block = _block(values, i)
    if i == 0 and not is_wide:
        return StageSpec(entry=_stem(values), blocks=(block,) * depth)
    if block.kind == "convnext":
        return StageSpec(entry=cells.norm_patch(block.width, norm=values.word("norm")), blocks=(block,) * depth)
    return StageSpec(entry=dataclasses.replace(block, stride=2 if i else 1), blocks=(block,) * (depth - 1))


def _block(values: Values, i: int) -> BlockSpec:
    narrow = values.whole("width") << i
    wide = scaled(narrow, values.number("expansion"), "the expansion")
    outer, inner = (wide, narrow) if values.word("ends") == "wide" else (narrow, wide)
    return BlockSpec(
        kind=values.word("block"),
        width=outer,
        hidden=inner,
        kernels=(cells.odd(values.whole("kernel")),),
        norm=values.word("norm"),
        act=values.word("act"),
    )


def _head(values: Values) -> HeadSpec:
    if values.word("block") == "convnext":
        return HeadSpec(kind="pool", norm=values.word("norm"))
    return HeadSpec(kind="linear", norm="none")


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    is_wide = len(spec.stages) == _STAGES + 1
    stages, stem = spec.stages[is_wide:], spec.stages[0].entry
    layers = [layer for stage in stages for layer in (stage.entry, *stage.blocks) if layer.kind in _NORMS]
    if len(stages) != _STAGES or not layers or stem.kind not in ("conv_pool", "patchify"):
        raise not_of("roadmap", spec)
    last = layers[-1]
    inner = last.hidden or 1
    wide, narrow = (last.width, inner) if is_wide else (inner, last.width)
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "stem": stem.kind,
        "block": last.kind,
        "ends": "wide" if is_wide else "narrow",
        "norm": last.norm or "bn",
        "act": last.act or "relu",
        "width": max(1, narrow >> (_STAGES - 1)),
        "expansion": wide / narrow,
        "depths": "-".join(str(stage.depth + (stage.entry.kind in _NORMS)) for stage in stages),
        "kernel": (last.kernels or (0,))[0],
    }
    return verified("roadmap", spec, make, axes)


_CHANGES: tuple[tuple[str, Mapping[str, Scalar]], ...] = (
    ("resnet", {}),
    ("recipe", {}),
    ("stage_ratio", {"depths": "3-3-9-3"}),
    ("patchify_stem", {"stem": "patchify"}),
    ("depthwise", {"block": "dw_bottleneck"}),
    ("width", {"width": 96}),
    ("inverted", {"ends": "narrow"}),
    ("depthwise_first", {"block": "dw_first"}),
    ("kernel_5", {"kernel": 5}),
    ("kernel_7", {"kernel": 7}),
    ("kernel_9", {"kernel": 9}),
    ("kernel_11", {"kernel": 11}),
    ("gelu", {"kernel": 7, "act": "gelu"}),
    ("fewer_activations", {"block": "dw_lean"}),
    ("fewer_norms", {"norm": "bn_first"}),
    ("layer_norm", {"norm": "ln"}),
    ("separate_downsampling", {"block": "convnext"}),
)
"""What each row of the paper's table 10 adds to the row before; the second changes the training only."""

_LARGE: Mapping[int, Mapping[str, Scalar]] = {
    0: {"depths": "3-24-36-3"},
    2: {"depths": "3-3-27-3", "width": 84},
    5: {"width": 128},
}
"""What table 11 has in its stead."""

REGIMES: Mapping[str, str] = {
    "t": "ResNet-50 to ConvNeXt-T (table 10)",
    "b": "ResNet-200 to ConvNeXt-B (table 11)",
}


def step(regime: str, order: int, **axes: Scalar) -> ArchSpec:
    """Build a row of the roadmap; further knobs overrule its own.

    Args:
        regime: One of `REGIMES`.
        order: Number of the row, 0 (ResNet) to 16 (ConvNeXt).
        axes: Knobs that differ, e.g. a smaller width.

    Raises:
        UnknownNameError: For a regime, row or knob that does not exist.
        SpecError: For a value that no network has.
    """
    return make(**{**_step_axes(regime, order), **axes})


def _step_axes(regime: str, order: int) -> dict[str, Scalar]:
    if regime not in REGIMES:
        raise unknown_name("regime of the roadmap", regime, REGIMES)
    if not 0 <= order < len(_CHANGES):
        raise unknown_name("step of the roadmap", str(order), [str(i) for i in range(len(_CHANGES))])
    axes: dict[str, Scalar] = {}
    for i, (_, change) in enumerate(_CHANGES[: order + 1]):
        axes |= _LARGE.get(i, change) if regime == "b" else change
    return axes


def _row(name: str, regime: str, order: int, *, params: int, macs: int, top1: float) -> Published:
    return Published(
        name=name,
        family="roadmap",
        make=make,
        axes=_step_axes(regime, order),
        resolution=224,
        params=params,
        macs=macs,
        top1=top1,
        source=f"ConvNeXt paper, Table {10 if regime == 't' else 11} (ImageNet-1k, the recipe of ConvNeXt)",
    )


PUBLISHED = (
    _row("resnet50", "t", 1, params=25_557_032, macs=4_089_184_256, top1=78.82),
    _row("resnet200", "b", 1, params=64_673_832, macs=15_007_481_856, top1=81.14),
)
"""The ends that timm has under these names; the other ends are ConvNeXt's. MACs counted on timm's networks."""

_COUNTS_T = {
    2: (28_628_520, 4_525_916_160, 79.36),
    3: (28_622_184, 4_417_536_000, 79.51),
    4: (15_722_664, 2_349_507_072, 78.28),
    5: (33_761_032, 5_267_976_960, 80.5),
    6: (25_851_496, 4_644_406_272, 80.64),
    7: (25_625_512, 4_065_080_448, 79.92),
    8: (25_720_744, 4_097_293_440, 80.35),
    9: (25_863_592, 4_145_612_928, 80.57),
    10: (26_054_056, 4_210_038_912, 80.57),
    11: (26_292_136, 4_290_571_392, 80.47),
    12: (25_863_592, 4_145_612_928, 80.62),
    13: (25_863_592, 4_145_612_928, 81.27),
    14: (25_829_128, 4_145_612_928, 81.41),
    15: (25_835_176, 4_145_612_928, 81.47),
}
_COUNTS_B = {
    2: (83_066_332, 14_518_404_096, 81.33),
    3: (83_058_016, 14_376_155_136, 81.59),
    4: (42_585_556, 7_234_368_288, 80.54),
    5: (96_526_696, 16_763_933_696, 81.85),
    6: (83_700_200, 15_679_418_368, 82.64),
    7: (83_094_760, 14_627_001_856, 82.04),
    8: (83_369_192, 14_698_853_888, 82.32),
    9: (83_780_840, 14_806_631_936, 82.3),
    10: (84_329_704, 14_950_336_000, 82.27),
    11: (85_015_784, 15_129_966_080, 82.18),
    12: (83_780_840, 14_806_631_936, 82.19),
    13: (83_780_840, 14_806_631_936, 82.71),
    14: (83_688_808, 14_806_631_936, 83.17),
    15: (83_706_088, 14_806_631_936, 83.35),
}
"""Row → parameters and MACs as counted here, accuracy as the paper prints it."""

STEPS: tuple[Published, ...] = tuple(
    _row(f"roadmap_{regime}{order:02}_{_CHANGES[order][0]}", regime, order, params=params, macs=macs, top1=top1)
    for regime, counts in (("t", _COUNTS_T), ("b", _COUNTS_B))
    for order, (params, macs, top1) in counts.items()
)
"""The rows between the ends, known by name."""
