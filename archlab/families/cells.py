"""Which layers do several families share? Entries, and the cells that stages are made of, as block specs.

A cell is the unit that a stage repeats: a ConvNeXt block or an SDTA encoder is one residual branch, the sandwich of
EfficientViT-MSRA five or more, a module of EfficientViT-MIT two.
"""

from archlab.errors import SpecError, four_parts
from archlab.families.knobs import quotient, scaled
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

__all__ = [
    "ACTS",
    "convnext",
    "merge",
    "network",
    "norm_patch",
    "odd",
    "overlap",
    "pair",
    "sandwich",
    "sdta",
    "spread",
    "stem",
]

ACTS = ("relu", "gelu", "gelu_tanh", "hardswish", "silu")
"""Activations that every family takes."""


def network(
    stages: list[StageSpec], *, resolution: int, multiple: int, head: HeadSpec | None, classes: int
) -> ArchSpec:
    """Put stages under a head; `classes` 0 leaves the head out.

    Raises:
        SpecError: If the resolution is no multiple of `multiple`, so that a patch would be cut.
    """
    if resolution % multiple:
        raise SpecError(
            four_parts(
                "the resolution does not divide into patches",
                given=resolution,
                allowed=f"multiples of {multiple}",
                do=f"use {max(multiple, round(resolution / multiple) * multiple)}",
            )
        )
    return ArchSpec(resolution=resolution, stages=tuple(stages), classes=classes, head=head if classes else None)


def odd(kernel: int) -> int:
    """A kernel side that has a middle.

    Raises:
        SpecError: For an even one.
    """
    if kernel % 2 == 0:
        raise SpecError(four_parts("a kernel has no middle", given=kernel, allowed="odd sides", do=f"use {kernel + 1}"))
    return kernel


def stem(name: str, width: int, *, norm: str, act: str) -> BlockSpec:
    """A stem of stride 4: `patchify` (one convolution, kernel 4, then the norm) or `overlap` (two 3×3)."""
    if name == "overlap":
        return overlap(width, stride=4, act=act)
    return BlockSpec(kind="patchify", width=width, stride=4, kernels=(4,), norm=norm)


def overlap(width: int, *, stride: int, act: str, norm: str = "bn") -> BlockSpec:
    """The stem of EfficientViT-MSRA: 3×3 convolutions of stride 2 whose width doubles.

    Raises:
        SpecError: If the halvings do not stay whole.
    """
    count = stride.bit_length() - 1
    quotient(width, stride // 2, "halvings of the stem")
    return BlockSpec(kind="overlap_stem", width=width, stride=stride, kernels=(3,) * count, norm=norm, act=act)


def norm_patch(width: int, *, norm: str) -> BlockSpec:
    """The downsampling of ConvNeXt: norm, then a 2×2 convolution of stride 2."""
    return BlockSpec(kind="norm_patch", width=width, stride=2, kernels=(2,), norm=norm)


def merge(width: int, in_width: int, *, act: str, norm: str = "bn") -> BlockSpec:
    """The patch merging of EfficientViT-MSRA; its inner width is four times the old one."""
    return BlockSpec(kind="patch_merge", width=width, stride=2, hidden=4 * in_width, kernels=(3,), norm=norm, act=act)


def convnext(width: int, *, kernel: int, expansion: float, norm: str, act: str) -> BlockSpec:
    """A ConvNeXt block, which is also EdgeNeXt's convolution encoder."""
    hidden = scaled(width, expansion, "the expansion")
    return BlockSpec(kind="convnext", width=width, hidden=hidden, kernels=(kernel,), norm=norm, act=act)


def sdta(
    width: int, *, splits: int, heads: int, expansion: float, position: str | None, norm: str, act: str
) -> BlockSpec:
    """An SDTA encoder of EdgeNeXt.

    Raises:
        SpecError: If the heads do not divide the width, or the splits leave a group without channels.
    """
    quotient(width, heads, "heads")
    group = -(-width // splits)
    if -(-width // group) != splits:
        raise SpecError(
            four_parts(
                f"{splits} splits leave an empty channel group",
                given=f"groups of {group} in {width} channels",
                allowed=f"splits s with ceil({width} / ceil({width} / s)) = s",
                do="choose fewer splits or another width",
            )
        )
    return BlockSpec(
        kind="sdta",
        width=width,
        hidden=scaled(width, expansion, "the expansion"),
        kernels=(3,),
        splits=splits,
        heads=heads,
        position=position,
        norm=norm,
        act=act,
    )


def pair(width: int, *, kernel: int, expansion: float, act: str, norm: str = "bn") -> tuple[BlockSpec, ...]:
    """The token interaction and the FFN of EfficientViT-MSRA, two residual branches; kernel 0 leaves the first out."""
    hidden = scaled(width, expansion, "the expansion")
    ffn = BlockSpec(kind="ffn", width=width, hidden=hidden, norm=norm, act=act)
    if kernel == 0:
        return (ffn,)
    return BlockSpec(kind="dw", width=width, kernels=(kernel,), norm=norm), ffn


def sandwich(mixer: BlockSpec, side: tuple[BlockSpec, ...]) -> tuple[BlockSpec, ...]:
    """A mixer between two equal sides."""
    return (*side, mixer, *side)


def spread(attentions: tuple[BlockSpec, ...], ffns: tuple[BlockSpec, ...]) -> tuple[BlockSpec, ...]:
    """Branches of two kinds in one sequence, the rarer spread evenly among the others, an attention first."""
    blocks, total = [], len(attentions) + len(ffns)
    for j in range(total):
        before, after = (-(-k * len(attentions) // total) for k in (j, j + 1))
        blocks.append(attentions[before] if after > before else ffns[j - before])
    return tuple(blocks)
