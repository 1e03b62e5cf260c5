"""EfficientViT of MSRA: sandwiches of cascaded group attention between depthwise convolutions and FFNs.

A cell of a stage is (dw, ffn) × ffns, one mixer, (dw, ffn) × ffns. Going down a stage adds one (dw, ffn) at the old
width and one at the new one around the patch merging; they belong to the stage whose width they have.
Head number j of a cascade has the kernel max(3, kernel − j · kernel_step).

Source: Liu et al., EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention (arXiv 2305.07027).
"""

from collections.abc import Mapping

from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, quotient, scaled, staged
from archlab.families.published import Published
from archlab.families.reading import not_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["AXES", "PUBLISHED", "axes_of", "make"]

_STAGES = 3
_MIXERS = ("cga", "mhsa")

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels", low=32),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "act": Knob(default="relu", help="activation", words=cells.ACTS),
    "window": Knob(default=7, help="side of the attention windows; a smaller map is one window", high=256),
    **staged("width", (128, 256, 384), "channels"),
    **staged("depth", (1, 2, 3), "sandwiches", low=0, high=64),
    **staged("mixer", ("cga",) * _STAGES, "cascaded group attention or plain attention", words=_MIXERS),
    **staged("heads", (4, 4, 4), "heads", high=64),
    **staged("key_dim", (16,) * _STAGES, "width of queries and keys per head", high=512),
    **staged("value_ratio", (1.0,) * _STAGES, "width of the values per head over width / heads", low=0.0625, high=8),
    **staged("kernel", (7,) * _STAGES, "side of the first head's kernel, odd", high=31),
    **staged("kernel_step", (2,) * _STAGES, "how much smaller each further head's kernel is, even", low=0, high=8),
    **staged("position", ("bias",) * _STAGES, "relative position bias", words=("none", "bias")),
    **staged("dw_kernel", (3,) * _STAGES, "side of the depthwise kernel before each FFN, odd", high=31),
    **staged("expansion", (2.0,) * _STAGES, "inner width of an FFN over width", low=0.25, high=16),
    **staged("ffns", (1,) * _STAGES, "FFNs on each side of the mixer", low=0, high=8),
}


def make(**axes: Scalar) -> ArchSpec:
    """Build an EfficientViT of MSRA from its knobs; every knob has M4's value by default.

    Raises:
        UnknownNameError: For a knob that does not exist.
        SpecError: For a value that no network has.
    """
    values = Values("efficientvit_msra", AXES, axes)
    act = values.word("act")
    widths = [values.whole(f"width_{i}") for i in range(_STAGES)]
    stages = []
    for i, width in enumerate(widths):
        side = _pair(values, i, width)
        entry = cells.merge(width, widths[i - 1], act=act) if i else cells.overlap(width, stride=16, act=act)
        blocks = cells.sandwich(_mixer(values, i, width), side * values.whole(f"ffns_{i}")) * values.whole(f"depth_{i}")
        before, after = side if i else (), side if i < _STAGES - 1 else ()
        stages.append(StageSpec(entry=entry, blocks=before + blocks + after))
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=1,
        head=HeadSpec(kind="pool", norm="bn"),
        classes=values.whole("classes"),
    )


def _pair(values: Values, i: int, width: int) -> tuple[BlockSpec, ...]:
    return cells.pair(
        width,
        kernel=cells.odd(values.whole(f"dw_kernel_{i}")),
        expansion=values.number(f"expansion_{i}"),
        act=values.word("act"),
    )


def _mixer(values: Values, i: int, width: int) -> BlockSpec:
    heads, ratio = values.whole(f"heads_{i}"), values.number(f"value_ratio_{i}")
    share = quotient(width, heads, "heads")
    cascade = values.word(f"mixer_{i}") == "cga"
    first, step = values.whole(f"kernel_{i}"), values.whole(f"kernel_step_{i}")
    kernels = tuple(cells.odd(max(3, first - j * step)) for j in range(heads))
    return BlockSpec(
        kind=values.word(f"mixer_{i}"),
        width=width,
        kernels=kernels if cascade else None,
        heads=heads,
        key_dim=values.whole(f"key_dim_{i}"),
        value_dim=None if ratio == 1 else scaled(share, ratio, "the value ratio"),
        window=values.whole("window"),
        position=None if values.word(f"position_{i}") == "none" else "bias",
        norm="bn",
        act=values.word("act") if cascade else None,
    )


def axes_of(spec: ArchSpec) -> dict[str, Scalar]:
    """Read the knobs off a network: the inverse of `make`, without the knobs that have no effect on it.

    Raises:
        SpecError: For a network that no knobs of this family give.
    """
    if len(spec.stages) != _STAGES:
        raise not_of("efficientvit_msra", spec)
    windows = [block.window for stage in spec.stages for block in stage.blocks if block.window]
    axes: dict[str, Scalar] = {
        "resolution": spec.resolution,
        "classes": spec.classes,
        "act": spec.stages[0].entry.act or "relu",
    }
    if windows:
        axes["window"] = windows[0]
    for i, stage in enumerate(spec.stages):
        axes |= {f"{name}_{i}": value for name, value in _read_stage(stage, i).items()}
    return verified("efficientvit_msra", spec, make, axes)


def _read_stage(stage: StageSpec, i: int) -> dict[str, Scalar]:
    extra = (2 if i else 0) + (2 if i < _STAGES - 1 else 0)
    mixers = [block for block in stage.blocks if block.kind in _MIXERS]
    read: dict[str, Scalar] = {"width": stage.width, "depth": len(mixers)}
    for block in stage.blocks:
        if block.kind == "dw":
            read["dw_kernel"] = (block.kernels or (0,))[0]
        elif block.kind == "ffn":
            read["expansion"] = (block.hidden or 0) / block.width
    if mixers:
        read["ffns"] = (stage.depth - extra - len(mixers)) // (4 * len(mixers))
        read |= _read_mixer(mixers[0])
    return read


def _read_mixer(block: BlockSpec) -> dict[str, Scalar]:
    heads, value_dim = block.heads or 1, block.value_dim
    read: dict[str, Scalar] = {"mixer": block.kind, "heads": heads, "position": block.position or "none"}
    read["key_dim"] = block.key_dim if isinstance(block.key_dim, int) else 0
    read["value_ratio"] = value_dim * heads / block.width if isinstance(value_dim, int) else 1.0
    if block.kernels:
        read["kernel"] = block.kernels[0]
        read["kernel_step"] = block.kernels[0] - block.kernels[1] if len(block.kernels) > 1 else 0
    return read


def _row(
    name: str,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    kernel: tuple[int, int],
    *,
    params: int,
    macs: int,
    top1: float,
) -> Published:
    axes: dict[str, Scalar] = {}
    for i in range(_STAGES):
        axes |= {f"width_{i}": widths[i], f"depth_{i}": depths[i], f"heads_{i}": heads[i]}
        axes |= {f"kernel_{i}": kernel[0], f"kernel_step_{i}": kernel[1]}
    return Published(
        name=f"efficientvit_{name}",
        family="efficientvit_msra",
        make=make,
        axes=axes,
        resolution=224,
        params=params,
        macs=macs,
        top1=top1,
        source="paper, Table 2 (ImageNet-1k, 300 epochs, no distillation)",
    )


_SAME, _FALLING = (5, 0), (7, 2)

PUBLISHED = (
    _row("m0", (64, 128, 192), (1, 2, 3), (4, 4, 4), _SAME, params=2_349_436, macs=79_193_600, top1=63.2),
    _row("m1", (128, 144, 192), (1, 2, 3), (2, 3, 3), _FALLING, params=2_980_560, macs=167_051_840, top1=68.4),
    _row("m2", (128, 192, 224), (1, 2, 3), (4, 3, 2), _FALLING, params=4_187_554, macs=201_035_712, top1=70.8),
    _row("m3", (128, 240, 320), (1, 2, 3), (4, 3, 4), _SAME, params=6_900_722, macs=262_662_208, top1=73.4),
    _row("m4", (128, 256, 384), (1, 2, 3), (4, 4, 4), _FALLING, params=8_804_228, macs=299_308_544, top1=74.3),
    _row("m5", (192, 288, 384), (1, 3, 4), (3, 3, 4), _FALLING, params=12_473_772, macs=521_583_104, top1=77.1),
)
"""The published sizes; MACs counted on timm's networks."""
