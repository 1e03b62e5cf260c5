"""EdgeNeXt: convolution encoders with a kernel that grows by stage, and SDTA encoders in the later stages.

`depth` counts all encoders of a stage, `sdta` how many of them are SDTA, `place` whether those stand at the start or
the end. `norm` "bn" is the paper's faster variant: BatchNorm everywhere, also on the last map, before pooling.

Source: Maaz et al., EdgeNeXt (arXiv 2206.10589) and its repository.
"""

from collections.abc import Mapping

from archlab.errors import SpecError, four_parts
from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, staged
from archlab.families.published import Published
from archlab.families.reading import not_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "axes_of", "make"]

_STAGES = 4

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=256, help="input side in pixels, a multiple of 32", low=32),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "stem": Knob(default="patchify", help="4×4 patches, or two overlapping 3×3", words=("patchify", "overlap")),
    "norm": Knob(default="ln", help="LayerNorm or BatchNorm", words=("ln", "bn")),
    "act": Knob(default="gelu", help="activation", words=cells.ACTS),
    **staged("width", (48, 96, 160, 304), "channels"),
    **staged("depth", (3, 3, 9, 3), "encoders, SDTA among them", low=0, high=128),
    **staged("kernel", (3, 5, 7, 9), "side of the depthwise kernel, odd", high=31),
    **staged("expansion", (4.0,) * _STAGES, "inner width over width", low=0.25, high=16),
    **staged("sdta", (0, 1, 1, 1), "SDTA encoders", low=0, high=128),
    **staged("place", ("end",) * _STAGES, "where the SDTA encoders stand", words=("start", "end")),
    **staged("splits", (2, 2, 3, 4), "channel groups of an SDTA encoder", low=2, high=64),
    **staged("heads", (8,) * _STAGES, "heads of an SDTA encoder", high=256),
    **staged(
        "position", ("none", "fourier", "none", "none"), "encoding in every SDTA encoder", words=("none", "fourier")
    ),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build an EdgeNeXt from its knobs; every knob has EdgeNeXt-S's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("edgenext", AXES, axes)
    norm, act = values.word("norm"), values.word("act")
    stages = []
    for i in range(_STAGES):
        width = values.whole(f"width_{i}")
        entry = cells.norm_patch(width, norm=norm) if i else cells.stem(values.word("stem"), width, norm=norm, act=act)
        stages.append(StageSpec(entry=entry, blocks=_encoders(values, i, width)))
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=32,
        head=HeadSpec(kind="pool" if norm == "ln" else "norm_pool", norm=norm),
        classes=values.whole("classes"),
    )


def _encoders(values: Values, i: int, width: int) -> tuple[BlockSpec, ...]:
    depth, count = values.whole(f"depth_{i}"), values.whole(f"sdta_{i}")
    if count > depth:
        raise SpecError(
            four_parts(
                f"stage {i} has more SDTA encoders than encoders",
                given=f"{count} of {depth}",
                allowed=f"0 to {depth}",
                do=f"lower sdta_{i} or raise depth_{i}",
            )
        )
    norm, act, expansion = values.word("norm"), values.word("act"), values.number(f"expansion_{i}")
    plain: tuple[BlockSpec, ...] = ()
    mixed: tuple[BlockSpec, ...] = ()
    if depth > count:
        kernel = cells.odd(values.whole(f"kernel_{i}"))
        block = cells.convnext(width, kernel=kernel, expansion=expansion, norm=norm, act=act)
        plain = (block,) * (depth - count)
    if count:
        position = values.word(f"position_{i}")
        mixer = cells.sdta(
            width,
            splits=values.whole(f"splits_{i}"),
            heads=values.whole(f"heads_{i}"),
            expansion=expansion,
            position=None if position == "none" else position,
            norm=norm,
            act=act,
        )
        mixed = (mixer,) * count
    return mixed + plain if values.word(f"place_{i}") == "start" else plain + mixed


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    blocks = [block for stage in spec.stages for block in stage.blocks]
    if len(spec.stages) != _STAGES:
        raise not_of("edgenext", spec)
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "stem": "overlap" if spec.stages[0].entry.kind == "overlap_stem" else "patchify",
        "norm": spec.stages[1].entry.norm or "ln",
        "act": next((block.act for block in blocks if block.act), "gelu"),
    }
    for i, stage in enumerate(spec.stages):
        axes |= {f"{name}_{i}": value for name, value in _read_stage(stage).items()}
    return verified("edgenext", spec, make, axes)


def _read_stage(stage: StageSpec) -> dict[str, Scalar]:
    mixed = [block for block in stage.blocks if block.kind == "sdta"]
    plain = [block for block in stage.blocks if block.kind != "sdta"]
    read: dict[str, Scalar] = {"width": stage.width, "depth": stage.depth, "sdta": len(mixed)}
    if stage.blocks:
        read["expansion"] = (stage.blocks[0].hidden or 0) / stage.width
    if plain:
        read["kernel"] = (plain[0].kernels or (0,))[0]
    if mixed:
        read |= {"splits": mixed[0].splits or 0, "heads": mixed[0].heads or 0, "position": mixed[0].position or "none"}
    if mixed and plain:
        read["place"] = "start" if stage.blocks[0].kind == "sdta" else "end"
    return read


def _row(
    name: str,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    heads: int,
    *,
    params: int,
    macs: int,
    top1: float,
    fast: bool = False,
) -> Published:
    axes: dict[str, Scalar] = {f"heads_{i}": heads for i in range(1, _STAGES)}
    axes |= {f"width_{i}": width for i, width in enumerate(widths)}
    axes |= {f"depth_{i}": depth for i, depth in enumerate(depths)}
    if fast:
        axes |= {"norm": "bn", "act": "hardswish"}
    return Published(
        name=f"edgenext_{name}",
        family="edgenext",
        make=make,
        axes=axes,
        resolution=256,
        params=params,
        macs=macs,
        top1=top1,
        source="authors' repository, model zoo (ImageNet-1k, no distillation)",
    )


_XXS, _XS, _S, _B = (24, 48, 88, 168), (32, 64, 100, 192), (48, 96, 160, 304), (80, 160, 288, 584)
_SHALLOW, _DEEP = (2, 2, 6, 2), (3, 3, 9, 3)

PUBLISHED = (
    _row("xx_small", _XXS, _SHALLOW, 4, params=1_327_216, macs=257_905_088, top1=71.23),
    _row("x_small", _XS, _DEEP, 4, params=2_336_804, macs=533_192_192, top1=74.96),
    _row("small", _S, _DEEP, 8, params=5_586_832, macs=1_253_234_816, top1=79.41),
    _row("base", _B, _DEEP, 8, params=18_511_292, macs=3_828_296_384, top1=82.47),
    _row("xx_small_bn_hs", _XXS, _SHALLOW, 4, params=1_326_184, macs=257_905_088, top1=70.33, fast=True),
    _row("x_small_bn_hs", _XS, _DEEP, 4, params=2_335_008, macs=533_192_192, top1=74.87, fast=True),
    _row("small_bn_hs", _S, _DEEP, 8, params=5_584_000, macs=1_253_234_816, top1=78.39, fast=True),
)
"""The published sizes; MACs counted on timm's networks (the BatchNorm variants have the same products)."""
