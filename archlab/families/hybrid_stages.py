"""What stands in a stage of a hybrid network? Cells by attention and local cells, from the stage's knobs."""

import dataclasses
from collections.abc import Callable, Mapping

from archlab.families import cells
from archlab.families.knobs import Values, quotient, scaled
from archlab.spec import BlockSpec

__all__ = ["LOCALS", "MIXERS", "SHARES", "StageKnobs", "stage_blocks"]

Blocks = tuple[BlockSpec, ...]

LOCALS = ("convnext", "dw_ffn", "mbconv", "fused_mbconv")
"""Cells without attention: a ConvNeXt block, a depthwise convolution and an FFN, an MBConv, a fused MBConv."""

MIXERS = ("sdta", "cga", "msla", "mhsa", "wmsa")
"""Attention: transposed, cascaded groups, multi-scale linear, softmax over all positions, softmax inside windows."""

SHARES = ("none", "one", "half", "all")
"""Attention cells of a stage: none, one, half of the cells rounded down, all."""

FALLING = 7, 2
"""First kernel and step of the head kernels 7, 5, 3, 3 …"""


class StageKnobs:
    """The knobs of one stage, under their short names."""

    def __init__(self, values: Values, stride: int, *, window: int) -> None:
        self._values = values
        self._suffix = f"_s{stride}"
        self.window = window
        self.norm, self.act = values.word("norm"), values.word("act")
        self.width = self.whole("width")

    def whole(self, name: str) -> int:
        """A whole number."""
        return self._values.whole(name + self._suffix)

    def number(self, name: str) -> float:
        """A number."""
        return self._values.number(name + self._suffix)

    def word(self, name: str) -> str:
        """A text."""
        return self._values.word(name + self._suffix)

    @property
    def mixers(self) -> int:
        """How many cells mix by attention."""
        depth = self.whole("depth")
        return {"none": 0, "one": min(1, depth), "half": depth // 2, "all": depth}[self.word("attention")]

    @property
    def mbconv_norm(self) -> str:
        """MBConvs beside linear attention have fewer norms."""
        return "bn_last" if self.mixers and self.word("mixer") == "msla" else "bn"

    @property
    def hidden(self) -> int:
        """Inner width of MLPs and MBConvs."""
        return scaled(self.width, self.number("expansion"), "the expansion")

    @property
    def position(self) -> bool:
        """Whether the attention cells know where they are."""
        return self.word("position") == "every"


def stage_blocks(knobs: StageKnobs, *, pair_first: bool, pair_last: bool) -> Blocks:
    """All residual branches of a stage; the pairs at the ends belong to the patch mergings around it."""
    count = knobs.mixers
    plain = (
        _LOCAL_CELLS[knobs.word("local")](knobs) * (knobs.whole("depth") - count)
        if count < knobs.whole("depth")
        else ()
    )
    mixed = _mixed(knobs, count) if count else ()
    blocks = mixed + plain if knobs.word("place") == "start" else plain + mixed
    pair = cells.pair(knobs.width, kernel=3, expansion=knobs.number("expansion"), act=knobs.act)
    return (pair if pair_first else ()) + blocks + (pair if pair_last else ())


def _mixed(knobs: StageKnobs, count: int) -> Blocks:
    """Cells by attention; every second one by windows has its windows shifted."""
    cell = _MIXER_CELLS[knobs.word("mixer")](knobs)
    if knobs.word("mixer") != "wmsa":
        return cell * count
    shifted = (dataclasses.replace(cell[0], kind="swmsa"), *cell[1:])
    return tuple(block for i in range(count) for block in (shifted if i % 2 else cell))


def _convnext(knobs: StageKnobs) -> Blocks:
    kernel, expansion = cells.odd(knobs.whole("kernel")), knobs.number("expansion")
    return (cells.convnext(knobs.width, kernel=kernel, expansion=expansion, norm=knobs.norm, act=knobs.act),)


def _dw_ffn(knobs: StageKnobs) -> Blocks:
    kernel, expansion = cells.odd(knobs.whole("kernel")), knobs.number("expansion")
    return cells.pair(knobs.width, kernel=kernel, expansion=expansion, act=knobs.act)


def _inverted(knobs: StageKnobs, kind: str, kernel: int, norm: str) -> BlockSpec:
    return BlockSpec(kind=kind, width=knobs.width, hidden=knobs.hidden, kernels=(kernel,), norm=norm, act=knobs.act)


def _mbconv(knobs: StageKnobs) -> Blocks:
    return (_inverted(knobs, "mbconv", cells.odd(knobs.whole("kernel")), knobs.mbconv_norm),)


def _fused_mbconv(knobs: StageKnobs) -> Blocks:
    return (_inverted(knobs, "fused_mbconv", 3, "bn"),)


def _sdta(knobs: StageKnobs) -> Blocks:
    return (
        cells.sdta(
            knobs.width,
            splits=knobs.whole("splits"),
            heads=knobs.whole("heads"),
            expansion=knobs.number("expansion"),
            position="fourier" if knobs.position else None,
            norm=knobs.norm,
            act=knobs.act,
        ),
    )


def _cga(knobs: StageKnobs) -> Blocks:
    heads = knobs.whole("heads")
    first, step = FALLING if knobs.word("head_kernels") == "falling" else (5, 0)
    mixer = BlockSpec(
        kind="cga",
        width=knobs.width,
        kernels=tuple(max(3, first - j * step) for j in range(heads)),
        heads=heads,
        key_dim=knobs.whole("key_dim"),
        value_dim=_value_dim(knobs),
        window=knobs.window,
        position="bias" if knobs.position else None,
        norm="bn",
        act=knobs.act,
    )
    side = cells.pair(knobs.width, kernel=3, expansion=knobs.number("expansion"), act=knobs.act)
    return cells.sandwich(mixer, side * knobs.whole("ffns"))


def _msla(knobs: StageKnobs) -> Blocks:
    key_dim = knobs.whole("key_dim")
    heads = quotient(knobs.width, key_dim, "head widths")
    mixer = BlockSpec(kind="msla", width=knobs.width, heads=heads, key_dim=key_dim, kernels=(5,), norm="bn")
    return mixer, _inverted(knobs, "mbconv", 3, knobs.mbconv_norm)


def _mhsa(knobs: StageKnobs) -> Blocks:
    return _softmax(knobs, "mhsa", knobs.norm, window=None)


def _wmsa(knobs: StageKnobs) -> Blocks:
    return _softmax(knobs, "wmsa", "ln", window=knobs.window)


def _softmax(knobs: StageKnobs, kind: str, norm: str, *, window: int | None) -> Blocks:
    mixer = BlockSpec(
        kind=kind,
        width=knobs.width,
        heads=knobs.whole("heads"),
        key_dim=knobs.whole("key_dim"),
        value_dim=_value_dim(knobs),
        window=window,
        position="bias" if knobs.position else None,
        norm=norm,
    )
    ffn = BlockSpec(kind="ffn", width=knobs.width, hidden=knobs.hidden, norm=norm, act=knobs.act)
    return mixer, *(ffn,) * knobs.whole("ffns")


def _value_dim(knobs: StageKnobs) -> int | None:
    share, ratio = quotient(knobs.width, knobs.whole("heads"), "heads"), knobs.number("value_ratio")
    return None if ratio == 1 else scaled(share, ratio, "the value ratio")


_LOCAL_CELLS: Mapping[str, Callable[[StageKnobs], Blocks]] = {
    "convnext": _convnext,
    "dw_ffn": _dw_ffn,
    "mbconv": _mbconv,
    "fused_mbconv": _fused_mbconv,
}

_MIXER_CELLS: Mapping[str, Callable[[StageKnobs], Blocks]] = {
    "sdta": _sdta,
    "cga": _cga,
    "msla": _msla,
    "mhsa": _mhsa,
    "wmsa": _wmsa,
}
