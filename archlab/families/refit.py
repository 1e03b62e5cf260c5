"""From a network for large images to one for small ones: its stem cuts less, its windows shrink; and back.

A network for 224 px reads patches of 4 or 16 pixels and halves the map to a 32nd: on 32 px one position would be left.
With the stride of the stem divided by two it sees a 32 px image as the whole network sees one of 64 px, layer for
layer. Attention windows keep their share of the map.
"""

import dataclasses

from archlab.errors import SpecError, four_parts
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = ["Refit"]

_PATCHES = ("patchify", "patch_tokens")
_LEAST = {"conv": 1, "overlap_stem": 2, **dict.fromkeys(_PATCHES, 2)}
"""First entry → the least stride that it keeps."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Refit:
    """What small images ask of a network.

    `resolution` is their side in pixels, `stem_divisor` by what the stride of the first layer is divided, a power of
    two; `classes` of the data, None keeps the network's.
    """

    resolution: int
    stem_divisor: int = 1
    classes: int | None = None

    @property
    def full_side(self) -> int:
        """Side in pixels of the images that the whole network, with its own stem, would see the same way."""
        return self.resolution * self.stem_divisor

    def of(self, spec: ArchSpec) -> ArchSpec:
        """Fit a network; weights keep their shapes, but for the stem's and those of windows and positions.

        A backbone without a head gets the plain one, pool then linear, where `classes` are given.

        Raises:
            SpecError: If the first layer cannot cut so little.
        """
        first, share = spec.stages[0], self.full_side / spec.resolution
        stages = [dataclasses.replace(first, entry=_divided(first.entry, self.stem_divisor)), *spec.stages[1:]]
        return spec.replace(
            resolution=self.resolution,
            stages=tuple(_with_windows(stage, share) for stage in stages),
            classes=spec.classes if self.classes is None else self.classes,
            head=spec.head if self.classes is None else spec.head or HeadSpec(kind="pool", norm="bn"),
        )

    def undo(self, spec: ArchSpec, *, classes: int) -> ArchSpec:
        """Give the network for images of `full_side` back that this one was made of, with so many classes.

        Raises:
            SpecError: If it is not of this resolution.
        """
        if spec.resolution != self.resolution:
            raise SpecError(
                four_parts(
                    "the network is for other images",
                    given=f"{spec.resolution} px",
                    allowed=f"{self.resolution} px",
                    do="choose the resolution that the network has",
                )
            )
        first = spec.stages[0]
        stages = (dataclasses.replace(first, entry=_multiplied(first.entry, self.stem_divisor)), *spec.stages[1:])
        return spec.replace(resolution=self.full_side, stages=stages, classes=classes)


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
    return _with_stride(entry, entry.stride // divisor)


def _multiplied(entry: BlockSpec, factor: int) -> BlockSpec:
    return entry if factor == 1 else _with_stride(entry, entry.stride * factor)


def _with_stride(entry: BlockSpec, stride: int) -> BlockSpec:
    """The same first layer with another stride: other patches, or fewer or more convolutions like its last one."""
    kernels = entry.kernels
    if entry.kind in _PATCHES:
        kernels = (stride,)
    elif entry.kind == "overlap_stem" and kernels is not None:
        count = stride.bit_length() - 1
        kernels = (*kernels, *kernels[-1:] * count)[:count]
    return dataclasses.replace(entry, stride=stride, kernels=kernels)


def _with_windows(stage: StageSpec, share: float) -> StageSpec:
    blocks = (
        block if block.window is None else dataclasses.replace(block, window=max(1, round(block.window * share)))
        for block in stage.blocks
    )
    return dataclasses.replace(stage, blocks=tuple(blocks))
