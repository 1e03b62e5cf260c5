"""Hybrid: the block kinds of all families in one network, stage by stage.

A knob of a stage ends with the stage's stride: `width_s16` are the channels of the maps at 1/16 of the input side, so
it means the same under every stem. The stems: `patchify` and `overlap` start at stride 4, `overlap16` (MSRA) at 16 and
goes on to 64, `conv` (MIT) at 2. A stage repeats cells (`depth`); `attention` says how many of them mix by attention
(`none`, `one`, `half`, `all`), `mixer` how, `local` what the others are. Rules without a knob: attention windows have
the side resolution / 32, which makes four windows at stride 16; MBConvs beside linear attention have fewer norms.

Source: the cells are those of the four families; see their files. Every published EdgeNeXt, EfficientViT-MSRA, B size
of EfficientViT-MIT, and ConvNeXt up to tiny is a point of this family.
"""

from collections.abc import Mapping

from archlab.families import cells
from archlab.families.hybrid_reading import read
from archlab.families.hybrid_stages import LOCALS, MIXERS, SHARES, StageKnobs, stage_blocks
from archlab.families.knobs import Knob, Scalar, Values
from archlab.families.layouts import DOWNSAMPLES, LAYOUTS, STRIDES
from archlab.families.reading import verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "axes_of", "make"]

_WIDTHS = {2: 16, 4: 48, 8: 96, 16: 160, 32: 304, 64: 384}
_DEPTHS = {2: 1, 4: 3, 8: 3, 16: 6, 32: 3, 64: 3}


def _stage_knobs(stride: int) -> dict[str, Knob]:
    at = f"stride {stride}: "
    return {
        f"width_s{stride}": Knob(default=_WIDTHS[stride], help=at + "channels"),
        f"depth_s{stride}": Knob(default=_DEPTHS[stride], help=at + "cells", high=64),
        f"attention_s{stride}": Knob(default="none", help=at + "cells that mix by attention", words=SHARES),
        f"place_s{stride}": Knob(default="end", help=at + "where those stand", words=("start", "end")),
        f"mixer_s{stride}": Knob(default="sdta", help=at + "kind of attention", words=MIXERS),
        f"local_s{stride}": Knob(default="convnext", help=at + "kind of the other cells", words=LOCALS),
        f"kernel_s{stride}": Knob(default=7, help=at + "side of their depthwise kernel, odd", high=31),
        f"expansion_s{stride}": Knob(default=4.0, help=at + "inner width over width", low=0.25, high=16),
        f"heads_s{stride}": Knob(default=4, help=at + "heads (msla: width / key_dim)", high=256),
        f"splits_s{stride}": Knob(default=2, help=at + "channel groups of sdta", low=2, high=64),
        f"key_dim_s{stride}": Knob(default=16, help=at + "width of queries and keys per head", high=512),
        f"value_ratio_s{stride}": Knob(
            default=1.0, help=at + "width of the values over width / heads", low=0.0625, high=8
        ),
        f"head_kernels_s{stride}": Knob(
            default="same", help=at + "kernels of the heads of cga: all 5, or 7 5 3 3 …", words=("same", "falling")
        ),
        f"position_s{stride}": Knob(
            default="none", help=at + "positional encoding in no or every attention", words=("none", "every")
        ),
        f"ffns_s{stride}": Knob(default=1, help=at + "FFNs after mhsa and wmsa, or on each side of cga", high=8),
    }


def _knobs() -> dict[str, Knob]:
    knobs = {
        "resolution": Knob(default=224, help="input side in pixels, a multiple of 32", low=32),
        "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
        "stem": Knob(default="patchify", help="first layers", words=tuple(LAYOUTS)),
        "norm": Knob(default="ln", help="norm of patches, ConvNeXt, sdta, mhsa and head", words=("ln", "bn")),
        "act": Knob(default="gelu", help="activation", words=cells.ACTS),
        "downsample": Knob(default="norm_patch", help="entry of a stage", words=DOWNSAMPLES),
        "head": Knob(default="pool", help="pooling then linear, or MIT's two hidden layers", words=("pool", "conv")),
        "head_widths": Knob(default="1024-1280", help="hidden widths of the conv head", parts=2, high=65_536),
        "width_s2": Knob(default=_WIDTHS[2], help="stride 2: channels (stem conv)"),
        "depth_s2": Knob(default=_DEPTHS[2], help="stride 2: separable convolutions (stem conv)", low=0, high=16),
    }
    for stride in STRIDES[1:]:
        knobs |= _stage_knobs(stride)
    return knobs


AXES: Mapping[str, Knob] = _knobs()


def make(**axes: Scalar) -> ArchSpec:
    """Build a hybrid network from its knobs.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("hybrid", AXES, axes)
    strides = LAYOUTS[values.word("stem")]
    resolution = values.whole("resolution")
    stages: list[StageSpec] = []
    for i, stride in enumerate(strides):
        if stride == 2:
            stages.append(_separable_stage(values))
            continue
        knobs = StageKnobs(values, stride, window=max(1, resolution // 32))
        entry = _entry(values, knobs, stages[-1].width) if i else _stem(values, knobs.width)
        pairs = values.word("downsample") == "patch_merge"
        stages.append(
            StageSpec(
                entry=entry,
                blocks=stage_blocks(knobs, pair_first=pairs and i > 0, pair_last=pairs and i < len(strides) - 1),
            )
        )
    return cells.network(
        stages, resolution=resolution, multiple=32, head=_head(values), classes=values.whole("classes")
    )


def _stem(values: Values, width: int) -> BlockSpec:
    name, norm, act = values.word("stem"), values.word("norm"), values.word("act")
    return (
        cells.overlap(width, stride=16, act=act) if name == "overlap16" else cells.stem(name, width, norm=norm, act=act)
    )


def _separable_stage(values: Values) -> StageSpec:
    width, act = values.whole("width_s2"), values.word("act")
    entry = BlockSpec(kind="conv", width=width, stride=2, kernels=(3,), norm="bn", act=act)
    block = BlockSpec(kind="dsconv", width=width, kernels=(3,), norm="bn", act=act)
    return StageSpec(entry=entry, blocks=(block,) * values.whole("depth_s2"))


def _entry(values: Values, knobs: StageKnobs, in_width: int) -> BlockSpec:
    kind, act = values.word("downsample"), values.word("act")
    if kind == "patch_merge":
        return cells.merge(knobs.width, in_width, act=act)
    if kind == "norm_patch":
        return cells.norm_patch(knobs.width, norm=values.word("norm"))
    return BlockSpec(
        kind="mbconv",
        width=knobs.width,
        stride=2,
        hidden=4 * in_width,
        kernels=(3,),
        norm=knobs.mbconv_norm,
        act=act,
    )


def _head(values: Values) -> HeadSpec:
    norm = values.word("norm")
    if values.word("head") == "conv":
        widths = values.parts("head_widths")
        return HeadSpec(kind="conv", norm="bn", widths=widths, act=values.word("act"), eps=1e-5)
    late = norm == "bn" and values.word("stem") == "patchify"
    return HeadSpec(kind="norm_pool" if late else "pool", norm=norm)


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    return verified("hybrid", spec, make, read(spec))
