"""What becomes of a network for large images when it is trained on small ones? Its stem cuts less, its windows shrink.

A network for 224 px reads patches of 4 or 16 pixels and halves the map to a 32nd: on 32 px one position would be left.
With the stride of the stem divided by two it sees a 32 px image as the whole network sees one of 64 px, layer for
layer. Attention windows keep their share of the map.
"""

import dataclasses

from archlab.errors import SpecError, four_parts
from archlab.model.check import check
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["at_low_resolution"]

_PATCHES = ("patchify", "patch_tokens")
_LEAST = {"conv": 1, "overlap_stem": 2, **dict.fromkeys(_PATCHES, 2)}
"""First entry → the least stride that it keeps."""


def at_low_resolution(spec: ArchSpec, side: int, *, stem_divisor: int = 1, classes: int | None = None) -> ArchSpec:
    """Fit a network to small images.

    Weights keep their shapes, but for those of the stem and of biases and positions that belong to a window or a map.

    Args:
        spec: A network at its own resolution.
        side: Of the small images, in pixels.
        stem_divisor: By what the stride of the first layer is divided; a power of two.
        classes: Of the data; None keeps the network's. A backbone without a head gets the plain one: pool, then linear.

    Raises:
        SpecError: If the first layer cannot cut so little, or the network is impossible at that side.
    """
    first = spec.stages[0]
    share = side * stem_divisor / spec.resolution
    stages = [dataclasses.replace(first, entry=_divided(first.entry, stem_divisor)), *spec.stages[1:]]
    small = spec.replace(
        resolution=side,
        stages=tuple(_with_windows(stage, share) for stage in stages),
        classes=spec.classes if classes is None else classes,
        head=spec.head if classes is None else spec.head or HeadSpec(kind="pool", norm="bn"),
    )
    check(small)
    return small


def _divided(entry: BlockSpec, divisor: int) -> BlockSpec:
    if divisor == 1:
        return entry
    least = _LEAST.get(entry.kind, entry.stride)
    if divisor < 1 or divisor & (divisor - 1) or entry.stride % divisor or entry.stride // divisor < least:
        factors = [2**i for i in range(10) if entry.stride % 2**i == 0 and entry.stride // 2**i >= least]
        raise SpecError(
            four_parts(
                "the stem cannot cut so little",
                given=f"stride {entry.stride} of {entry.kind!r} divided by {divisor}",
                allowed=f"divisors {', '.join(map(str, factors))}",
                do="choose another stem_divisor or a larger resolution",
            )
        )
    stride = entry.stride // divisor
    kernels = entry.kernels
    if entry.kind in _PATCHES:
        kernels = (stride,)
    elif entry.kind == "overlap_stem" and kernels is not None:
        kernels = kernels[: stride.bit_length() - 1]
    return dataclasses.replace(entry, stride=stride, kernels=kernels)


def _with_windows(stage: StageSpec, share: float) -> StageSpec:
    blocks = (
        block if block.window is None else dataclasses.replace(block, window=max(1, round(block.window * share)))
        for block in stage.blocks
    )
    return dataclasses.replace(stage, blocks=tuple(blocks))
