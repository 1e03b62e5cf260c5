"""Which knobs gave this hybrid network? Loose reading, stage by stage; `axes_of` proves it."""

from collections.abc import Callable, Iterable
from itertools import takewhile

from archlab.families.hybrid_stages import MIXERS
from archlab.families.knobs import Scalar
from archlab.families.layouts import LAYOUTS
from archlab.families.reading import not_of
from archlab.spec import ArchSpec, BlockSpec, StageSpec

__all__ = ["read"]

Blocks = tuple[BlockSpec, ...]
Read = dict[str, Scalar]

_PAIR = {"dw", "ffn"}


def read(spec: ArchSpec) -> Read:
    """Read every knob that has an effect on `spec`.

    Raises:
        SpecError: If the network does not even have the outline of a hybrid one.
    """
    entry = spec.stages[0].entry
    stem = {"patchify": "patchify", "conv": "conv", "overlap_stem": "overlap"}.get(entry.kind, "")
    if stem == "overlap" and entry.stride == 16:
        stem = "overlap16"
    if stem not in LAYOUTS or len(spec.stages) != len(LAYOUTS[stem]):
        raise not_of("hybrid", spec)
    axes: Read = {"resolution": spec.resolution, "classes": spec.classes, "stem": stem, "norm": _norm(spec)}
    axes |= {"act": _act(spec), "downsample": spec.stages[-1].entry.kind} | _head(spec)
    merging = spec.stages[-1].entry.kind == "patch_merge"
    for i, (stride, stage) in enumerate(zip(LAYOUTS[stem], spec.stages, strict=True)):
        if stride == 2:
            axes |= {"width_s2": stage.width, "depth_s2": stage.depth}
            continue
        first, last = 2 * (merging and i > 0), 2 * (merging and i < len(spec.stages) - 1)
        blocks = stage.blocks[first : stage.depth - last]
        axes |= {f"{name}_s{stride}": value for name, value in _stage(stage, blocks).items()}
    return axes


def _norm(spec: ArchSpec) -> str:
    marked = {"patchify", "norm_patch", "convnext", "sdta", "mhsa"}
    norms = [block.norm for _, block in spec.layers() if block.kind in marked]
    if spec.head and spec.head.kind != "conv":
        norms.append(spec.head.norm)
    return next((norm for norm in norms if norm), "bn")


def _act(spec: ArchSpec) -> str:
    return next((block.act for _, block in spec.layers() if block.act), "gelu")


def _head(spec: ArchSpec) -> Read:
    if spec.head is None:
        return {}
    if spec.head.kind == "conv":
        return {"head": "conv", "head_widths": "-".join(str(width) for width in spec.head.widths)}
    return {"head": "pool"}


def _stage(stage: StageSpec, blocks: Blocks) -> Read:
    places = [i for i, block in enumerate(blocks) if block.kind in (*MIXERS, "swmsa")]
    found: Read = {"width": stage.width, "expansion": _expansion(blocks)}
    if not places:
        return found | {"attention": "none", "depth": _count(blocks)} | _local(blocks)
    mixer = blocks[places[0]]
    before = _run(reversed(blocks[: places[0]]), _PAIR)
    after = _run(blocks[places[-1] + 1 :], _PAIR)
    ffns = min(before, after) // 2 if mixer.kind == "cga" else _run(blocks[places[0] + 1 :], {"ffn"})
    length = {"cga": 1 + 4 * ffns, "mhsa": 1 + ffns, "wmsa": 1 + ffns, "msla": 2}.get(mixer.kind, 1) * len(places)
    at_start = places[0] == (2 * ffns if mixer.kind == "cga" else 0)
    plain = blocks[length:] if at_start else blocks[: len(blocks) - length]
    found |= _local(plain) | _mixer(mixer)
    found["depth"] = depth = len(places) + _count(plain)
    found["attention"] = _share(len(places), depth)
    if mixer.kind in ("cga", "mhsa", "wmsa"):
        found["ffns"] = ffns
    if plain:
        found["place"] = "start" if at_start else "end"
    return found


def _run(blocks: Iterable[BlockSpec], kinds: set[str]) -> int:
    inside: Callable[[BlockSpec], bool] = lambda block: block.kind in kinds  # noqa: E731
    return sum(1 for _ in takewhile(inside, blocks))


def _expansion(blocks: Blocks) -> float:
    return next((block.hidden / block.width for block in blocks if block.hidden), 0.0)


def _count(plain: Blocks) -> int:
    """Cells without attention; a depthwise convolution and its FFN are one."""
    return sum(1 for block in plain if block.kind != "ffn")


def _local(plain: Blocks) -> Read:
    """Kind and kernel of the cells without attention."""
    if not plain:
        return {}
    kind = "dw_ffn" if plain[0].kind == "dw" else plain[0].kind
    return {"local": kind} if kind == "fused_mbconv" else {"local": kind, "kernel": (plain[0].kernels or (0,))[0]}


def _share(count: int, depth: int) -> str:
    if count == depth:
        return "all"
    return "one" if count == 1 else "half"


def _mixer(block: BlockSpec) -> Read:
    heads, value_dim = block.heads or 1, block.value_dim
    found: Read = {"mixer": block.kind}
    if block.kind != "msla":
        found |= {"heads": heads, "position": "every" if block.position else "none"}
    if block.kind == "sdta":
        return found | {"splits": block.splits or 0}
    found["key_dim"] = block.key_dim if isinstance(block.key_dim, int) else 0
    if block.kind != "msla":
        found["value_ratio"] = value_dim * heads / block.width if isinstance(value_dim, int) else 1.0
    if block.kind == "cga" and block.kernels:
        found["head_kernels"] = "same" if block.kernels[0] == 5 else "falling"
    return found
