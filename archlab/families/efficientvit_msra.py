"""EfficientViT of MSRA: sandwiches of cascaded group attention between depthwise convolutions and FFNs.

A cell of a stage is (dw, ffn) × ffns, one mixer, (dw, ffn) × ffns; in the layout `swin` a mixer, then (dw, ffn) × ffns.
Going down a stage adds one (dw, ffn) at the old width and one at the new one around the patch merging; they belong to
the stage whose width they have. Head number j of a cascade has the kernel max(3, kernel − j · kernel_step).
The rows of the paper's ablation (Table 6) are points of this family: see `ablated`.

Source: Liu et al., EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention (arXiv 2305.07027).
"""

from collections.abc import Mapping

from archlab.errors import unknown_name
from archlab.families import cells
from archlab.families.knobs import Knob, Scalar, Values, quotient, scaled, staged
from archlab.families.published import Published
from archlab.families.reading import not_of, verified
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["ABLATIONS", "AXES", "PUBLISHED", "ablated", "axes_of", "make"]

_STAGES = 3
_MIXERS = ("cga", "split", "mhsa")
_GROUPED = ("cga", "split")

AXES: Mapping[str, Knob] = {
    "resolution": Knob(default=224, help="input side in pixels", low=32),
    "classes": Knob(default=1000, help="classes; 0 leaves the classifier out", low=0, high=1_000_000),
    "act": Knob(default="relu", help="activation", words=cells.ACTS),
    "norm": Knob(default="bn", help="BatchNorm after, or LayerNorm before the branches", words=("bn", "ln")),
    "layout": Knob(default="sandwich", help="FFNs around the mixer, or after it", words=("sandwich", "swin")),
    "window": Knob(default=7, help="side of the attention windows; a smaller map is one window", high=256),
    **staged("width", (128, 256, 384), "channels"),
    **staged("depth", (1, 2, 3), "sandwiches", low=0, high=64),
    **staged("mixer", ("cga",) * _STAGES, "group attention with or without cascade, or plain", words=_MIXERS),
    **staged("heads", (4, 4, 4), "heads", high=64),
    **staged("key_dim", (16,) * _STAGES, "width of queries and keys per head", high=512),
    **staged("value_ratio", (1.0,) * _STAGES, "width of the values per head over width / heads", low=0.0625, high=8),
    **staged("kernel", (7,) * _STAGES, "side of the first head's kernel, odd", high=31),
    **staged("kernel_step", (2,) * _STAGES, "how much smaller each further head's kernel is, even", low=0, high=8),
    **staged("position", ("bias",) * _STAGES, "relative position bias", words=("none", "bias")),
    **staged("dw_kernel", (3,) * _STAGES, "side of the kernel before each FFN, odd; 0: none", low=0, high=31),
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
    act, norm, both = values.word("act"), values.word("norm"), values.word("layout") == "sandwich"
    widths = [values.whole(f"width_{i}") for i in range(_STAGES)]
    stages = []
    for i, width in enumerate(widths):
        side = _pair(values, i, width)
        stem = cells.overlap(width, stride=16, act=act, norm=norm)
        entry = cells.merge(width, widths[i - 1], act=act, norm=norm) if i else stem
        mixer, ffns = _mixer(values, i, width), side * values.whole(f"ffns_{i}")
        blocks = (cells.sandwich(mixer, ffns) if both else (mixer, *ffns)) * values.whole(f"depth_{i}")
        before, after = side if i else (), side if i < _STAGES - 1 else ()
        stages.append(StageSpec(entry=entry, blocks=before + blocks + after))
    return cells.network(
        stages,
        resolution=values.whole("resolution"),
        multiple=1,
        head=HeadSpec(kind="pool", norm=norm),
        classes=values.whole("classes"),
    )


def _pair(values: Values, i: int, width: int) -> tuple[BlockSpec, ...]:
    kernel = values.whole(f"dw_kernel_{i}")
    return cells.pair(
        width,
        kernel=kernel and cells.odd(kernel),
        expansion=values.number(f"expansion_{i}"),
        act=values.word("act"),
        norm=values.word("norm"),
    )


def _mixer(values: Values, i: int, width: int) -> BlockSpec:
    heads, ratio = values.whole(f"heads_{i}"), values.number(f"value_ratio_{i}")
    share = quotient(width, heads, "heads")
    is_grouped = values.word(f"mixer_{i}") in _GROUPED
    first, step = values.whole(f"kernel_{i}"), values.whole(f"kernel_step_{i}")
    kernels = tuple(cells.odd(max(3, first - j * step)) for j in range(heads))
    return BlockSpec(
        kind=values.word(f"mixer_{i}"),
        width=width,
        kernels=kernels if is_grouped else None,
        heads=heads,
        key_dim=values.whole(f"key_dim_{i}"),
        value_dim=None if ratio == 1 else scaled(share, ratio, "the value ratio"),
        window=values.whole("window"),
        position=None if values.word(f"position_{i}") == "none" else "bias",
        norm=values.word("norm"),
        act=values.word("act") if is_grouped else None,
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
        "norm": spec.stages[0].entry.norm or "bn",
    }
    layout = _layout(spec)
    axes["layout"] = layout
    if windows:
        axes["window"] = windows[0]
    for i, stage in enumerate(spec.stages):
        axes |= {f"{name}_{i}": value for name, value in _read_stage(stage, i, layout).items()}
    return verified("efficientvit_msra", spec, make, axes)


def _layout(spec: ArchSpec) -> str:
    """`swin` if in every stage that mixes the first cell begins with the mixer."""
    cells_of = [stage.blocks[_pair_size(stage) if i else 0 :] for i, stage in enumerate(spec.stages)]
    mixing = [blocks for blocks in cells_of if any(block.kind in _MIXERS for block in blocks)]
    return "swin" if mixing and all(blocks[0].kind in _MIXERS for blocks in mixing) else "sandwich"


def _pair_size(stage: StageSpec) -> int:
    return 2 if any(block.kind == "dw" for block in stage.blocks) else 1


def _read_stage(stage: StageSpec, i: int, layout: str) -> dict[str, Scalar]:
    size = _pair_size(stage)
    extra = (size if i else 0) + (size if i < _STAGES - 1 else 0)
    mixers = [block for block in stage.blocks if block.kind in _MIXERS]
    read: dict[str, Scalar] = {"width": stage.width, "depth": len(mixers)}
    if any(block.kind == "ffn" for block in stage.blocks):
        read["dw_kernel"] = 0
    for block in stage.blocks:
        if block.kind == "dw":
            read["dw_kernel"] = (block.kernels or (0,))[0]
        elif block.kind == "ffn":
            read["expansion"] = (block.hidden or 0) / block.width
    if mixers:
        sides = 1 if layout == "swin" else 2
        read["ffns"] = (stage.depth - extra - len(mixers)) // (sides * size * len(mixers))
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


ABLATIONS: Mapping[int, str] = {
    1: "EfficientViT as it is",
    2: "layout: sandwich → Swin block (mixer, then FFN)",
    3: "FFNs on each side of the mixer: 1 → 2",
    4: "FFNs on each side of the mixer: 1 → 3",
    5: "mixer: cascaded group attention → plain attention",
    6: "cascade → none",
    7: "widths of queries and keys: 16 → those of the values",
    8: "expansion of the FFN: 2 → 4",
    9: "token interaction before the FFN → none",
    10: "BatchNorm → LayerNorm",
    11: "ReLU → Hardswish",
}
"""Rows of the paper's Table 6, by what changes."""


def ablated(row: int, **axes: Scalar) -> ArchSpec:
    """Build one row of the paper's ablation on the network that the other knobs describe (M4 by default).

    One thing changes per row. The paper kept the throughput of rows 2 to 4 near that of row 1 with other depths, which
    are not in its table: give them as `depth_0` … if speeds are compared. Plain attention has queries and keys of
    width / heads, as in Swin; LayerNorm stands before each branch, and after each convolution of stem and merging.

    Raises:
        UnknownNameError: For a row or a knob that does not exist.
        SpecError: For a value that no network has.
    """
    if row not in ABLATIONS:
        raise unknown_name("row of Table 6", str(row), [str(number) for number in ABLATIONS])
    values = Values("efficientvit_msra", AXES, axes)
    shares = {f"key_dim_{i}": values.whole(f"width_{i}") // values.whole(f"heads_{i}") for i in range(_STAGES)}
    changes: Mapping[int, Mapping[str, Scalar]] = {
        1: {},
        2: {"layout": "swin"},
        3: _everywhere("ffns", 2),
        4: _everywhere("ffns", 3),
        5: _everywhere("mixer", "mhsa") | shares,
        6: _everywhere("mixer", "split"),
        7: shares,
        8: _everywhere("expansion", 4.0),
        9: _everywhere("dw_kernel", 0),
        10: {"norm": "ln"},
        11: {"act": "hardswish"},
    }
    return make(**{**axes, **changes[row]})


def _everywhere(name: str, value: Scalar) -> dict[str, Scalar]:
    return {f"{name}_{i}": value for i in range(_STAGES)}


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
