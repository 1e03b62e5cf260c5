"""ConvNeXt: four stages of one block, a patch stem, a 2×2 convolution between stages.

The knobs are the paper's: the stage ratio and how often it is repeated, the width and its growth, kernels,
expansion, norm and activation.

Source: Liu et al., A ConvNet for the 2020s (arXiv 2201.03545); sizes below tiny are timm's.
"""

from collections.abc import Mapping
from typing import Any

from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, staged
from archlab.families.published import Published
from archlab.families.reading import not_of, ratio_of, verified
from archlab.spec import ArchSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "axes_of", "make"]

_STAGES = 4

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels, a multiple of 32", low=32),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "stem": Knob(default="patchify", help="4×4 patches, or two overlapping 3×3", words=("patchify", "overlap")),
    "norm": Knob(default="ln", help="LayerNorm or BatchNorm", words=("ln", "bn")),
    "act": Knob(default="gelu", help="activation", words=cells.ACTS),
    "width": Knob(default=96, help="channels for one part of growth", high=4096),
    "growth": Knob(default="1-2-4-8", help="widths of the stages in parts of width", parts=_STAGES, high=128),
    "ratio": Knob(default="1-1-3-1", help="depths of the stages in parts of unit", parts=_STAGES, low=0, high=64),
    "unit": Knob(default=3, help="blocks for one part of the stage ratio", high=64),
    **staged("kernel", (7,) * _STAGES, "side of the depthwise kernel, odd", high=31),
    **staged("expansion", (4.0,) * _STAGES, "inner width over width", low=0.25, high=16),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build a ConvNeXt from its knobs; every knob has ConvNeXt-T's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("convnext", AXES, axes)
    norm, act = values.word("norm"), values.word("act")
    growth, ratio = values.primitive("growth", "width"), values.primitive("ratio", "unit")
    widths = [values.whole("width") * part for part in growth]
    stages = []
    for i, (width, part) in enumerate(zip(widths, ratio, strict=True)):
        block = cells.convnext(
            width,
            kernel=cells.odd(values.whole(f"kernel_{i}")),
            expansion=values.number(f"expansion_{i}"),
            norm=norm,
            act=act,
        )
        entry = cells.norm_patch(width, norm=norm) if i else cells.stem(values.word("stem"), width, norm=norm, act=act)
        stages.append(StageSpec(entry=entry, blocks=(block,) * (part * values.whole("unit"))))
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=32,
        head=HeadSpec(kind="pool", norm=norm),
        classes=values.whole("classes"),
    )


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    if len(spec.stages) != _STAGES or not any(spec.depths):
        raise not_of("convnext", spec)
    growth, ratio = ratio_of(spec.widths), ratio_of(spec.depths)
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "stem": "overlap" if spec.stages[0].entry.kind == "overlap_stem" else "patchify",
        "norm": spec.stages[1].entry.norm or "ln",
        "act": next(b.act for s in spec.stages for b in s.blocks) or "gelu",
        "width": growth.unit,
        "growth": growth.text,
        "ratio": ratio.text,
        "unit": ratio.unit,
    }
    for i, stage in enumerate(spec.stages):
        if stage.blocks:
            block = stage.blocks[0]
            axes[f"kernel_{i}"] = (block.kernels or (0,))[0]
            axes[f"expansion_{i}"] = (block.hidden or 0) / block.width
    return verified("convnext", spec, make, axes)


def _row(
    name: str, widths: tuple[int, str], depths: tuple[int, str], numbers: tuple[int, int, float | None], source: str
) -> Published:
    axes: dict[str, Any] = dict(zip(("width", "growth", "unit", "ratio"), (*widths, *depths), strict=True))
    params, macs, top1 = numbers
    return Published(
        name=f"convnext_{name}",
        family="convnext",
        make=make,
        axes=axes,
        resolution=224,
        params=params,
        macs=macs,
        top1=top1,
        source=source,
    )


_PAPER = "paper, Table 1 (ImageNet-1k only)"
_DOUBLE = "1-2-4-8"

PUBLISHED = (
    _row("atto", (40, _DOUBLE), (2, "1-1-3-1"), (3_695_520, 547_332_480, 75.672), "timm, weights d2_in1k at 224"),
    _row("femto", (48, _DOUBLE), (2, "1-1-3-1"), (5_217_784, 779_629_824, 77.498), "timm, weights d1_in1k at 224"),
    _row("pico", (64, _DOUBLE), (2, "1-1-3-1"), (9_045_672, 1_367_055_360, 79.516), "timm, weights d1_in1k at 224"),
    _row("nano", (80, _DOUBLE), (2, "1-1-4-1"), (15_593_560, 2_445_528_320, 80.762), "timm, weights d1h_in1k at 224"),
    _row("tiny", (96, _DOUBLE), (3, "1-1-3-1"), (28_589_128, 4_455_531_264, 82.1), _PAPER),
    _row("small", (96, _DOUBLE), (3, "1-1-9-1"), (50_223_688, 8_683_712_256, 83.1), _PAPER),
    _row("base", (128, _DOUBLE), (3, "1-1-9-1"), (88_591_464, 15_354_729_472, 83.8), _PAPER),
    _row("large", (192, _DOUBLE), (3, "1-1-9-1"), (197_767_336, 34_361_433_600, 84.3), _PAPER),
    _row(
        "xlarge",
        (256, _DOUBLE),
        (3, "1-1-9-1"),
        (350_196_968, 60_921_030_656, None),
        "paper, Table 1; published with ImageNet-22K pretraining only (87.0), so no plain ImageNet-1k accuracy exists",
    ),
)
"""The published sizes; MACs counted on timm's networks."""
