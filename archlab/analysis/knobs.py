"""Which single changes does a network allow? One knob of its spec at a time, at one place, everything else as it was.

A network of a family is changed through the family's own knobs: `axes_of`, one other value, `make`. Where the family
has no such knob, or cannot take the value, the fields of the blocks are changed, stage by stage. What no network has
is left out. Values are those of the papers: EfficientViT (arXiv 2305.07027) fig. 3, fig. 7 and table 6, EdgeNeXt (arXiv
2206.10589) tables 7 and 8.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence

from archlab.analysis.shares import is_attention, is_feed_forward, with_attention_share, with_ffns
from archlab.errors import SpecError, unknown_name
from archlab.families import FAMILIES
from archlab.families.cells import ACTS
from archlab.families.knobs import Scalar
from archlab.model.blocks import BLOCKS
from archlab.model.check import check
from archlab.spec import ArchSpec, BlockSpec, StageSpec

__all__ = ["KNOBS", "Change", "Turn", "changes"]

_KERNEL_PER_HEAD = frozenset({"cga", "split"})
_SUFFIX = re.compile(r"_(s?)(\d+)$")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A network that differs from another one by one knob at one place."""

    knob: str
    place: str
    before: str
    after: str
    spec: ArchSpec


Edit = Callable[[BlockSpec, Scalar], BlockSpec]
"""A block with another value of the knob."""
Rewrite = Callable[[StageSpec, Scalar], StageSpec]
"""A stage with another value of the knob."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A knob and the values it is turned to.

    `axes` are the families' names of it, without the number of the stage, `unless` the name of one beside which they
    mean something else. `read` says what a block has now, None where it has no such thing. `edit` changes one block,
    `rewrite` the sequence of a stage's blocks; `is_global` changes all stages and entries together.
    """

    values: tuple[Scalar, ...]
    read: Callable[[BlockSpec], Scalar | None]
    axes: tuple[str, ...] = ()
    unless: str = ""
    edit: Edit | None = None
    rewrite: Rewrite | None = None
    is_global: bool = False


def _kernel(block: BlockSpec) -> Scalar | None:
    if block.kernels is None or len(block.kernels) != 1 or block.heads is not None or block.kind == "fused_mbconv":
        return None
    return block.kernels[0]


def _heads(block: BlockSpec) -> Scalar | None:
    is_even = not isinstance(block.key_dim, tuple) and not isinstance(block.value_dim, tuple)
    return block.heads if is_even else None


def _with_heads(block: BlockSpec, value: Scalar) -> BlockSpec:
    kernels = block.kernels
    if kernels is not None and len(kernels) == block.heads and block.kind in _KERNEL_PER_HEAD:
        kernels = (kernels + kernels[-1:] * int(value))[: int(value)]
    return dataclasses.replace(block, heads=int(value), kernels=kernels)


def _key_dim(block: BlockSpec) -> Scalar | None:
    if block.heads is None or isinstance(block.key_dim, tuple):
        return None
    return block.key_dim or block.width / block.heads


def _value_ratio(block: BlockSpec) -> Scalar | None:
    takes = "value_dim" in BLOCKS[block.kind].needs | BLOCKS[block.kind].allows
    if block.heads is None or not takes or isinstance(block.value_dim, tuple):
        return None
    return 1.0 if block.value_dim is None else block.value_dim * block.heads / block.width


def _with_value_ratio(block: BlockSpec, value: Scalar) -> BlockSpec:
    assert block.heads is not None
    return dataclasses.replace(block, value_dim=max(1, round(float(value) * block.width / block.heads)))


def _position(block: BlockSpec) -> Scalar | None:
    return None if block.heads is None else block.position or "none"


def _with_position(block: BlockSpec, value: Scalar) -> BlockSpec:
    return dataclasses.replace(block, position=None if value == "none" else str(value))


def _norm(block: BlockSpec) -> Scalar | None:
    return block.norm if block.norm in ("bn", "ln") and len(BLOCKS[block.kind].norms) > 1 else None


KNOBS: dict[str, Turn] = {
    "kernel": Turn(
        values=(3, 5, 7, 9),
        read=_kernel,
        axes=("kernel", "dw_kernel"),
        edit=lambda block, value: dataclasses.replace(block, kernels=(int(value),)),
    ),
    "splits": Turn(
        values=(2, 3, 4, 5),
        read=lambda block: block.splits,
        axes=("splits",),
        edit=lambda block, value: dataclasses.replace(block, splits=int(value)),
    ),
    "heads": Turn(values=(1, 2, 4, 8), read=_heads, axes=("heads",), edit=_with_heads),
    "key_dim": Turn(
        values=(4, 8, 16, 32),
        read=_key_dim,
        axes=("key_dim",),
        edit=lambda block, value: dataclasses.replace(block, key_dim=int(value)),
    ),
    "value_ratio": Turn(
        values=(0.4, 0.6, 0.8, 1.0, 1.2), read=_value_ratio, axes=("value_ratio",), edit=_with_value_ratio
    ),
    "expansion": Turn(
        values=(1.0, 2.0, 3.0, 4.0),
        read=lambda block: None if block.hidden is None else block.hidden / block.width,
        axes=("expansion",),
        edit=lambda block, value: dataclasses.replace(block, hidden=round(float(value) * block.width)),
    ),
    "mhsa_share": Turn(
        values=(0.0, 0.2, 0.4, 0.6),
        read=lambda block: None,
        rewrite=lambda stage, value: with_attention_share(stage, float(value)),
        is_global=True,
    ),
    "ffns": Turn(
        values=(1, 2, 3),
        read=lambda block: None,
        axes=("ffns",),
        unless="attentions",
        rewrite=lambda stage, value: with_ffns(stage, int(value)),
    ),
    "norm": Turn(
        values=("ln", "bn"),
        read=_norm,
        axes=("norm",),
        edit=lambda block, value: dataclasses.replace(block, norm=str(value)),
        is_global=True,
    ),
    "act": Turn(
        values=ACTS,
        read=lambda block: block.act,
        axes=("act",),
        edit=lambda block, value: dataclasses.replace(block, act=str(value)),
        is_global=True,
    ),
    "position": Turn(values=("none", "bias", "fourier"), read=_position, axes=("position",), edit=_with_position),
}
"""The knobs of EfficientViT's and EdgeNeXt's ablations."""


def changes(spec: ArchSpec, family: str | None = None, knobs: Sequence[str] = ()) -> list[Change]:
    """List every network that differs from `spec` by one knob at one place.

    Args:
        spec: The network.
        family: Its family, where it has one.
        knobs: Names of `KNOBS`; none turns all.

    Raises:
        UnknownNameError: For a knob that does not exist.
    """
    for name in knobs:
        if name not in KNOBS:
            raise unknown_name("knob", name, KNOBS)
    found: dict[str, Change] = {spec.digest: Change(knob="", place="", before="", after="", spec=spec)}
    for name in knobs or KNOBS:
        for change in _turned(name, spec, family):
            found.setdefault(change.spec.digest, change)
    return list(found.values())[1:]


def _turned(name: str, spec: ArchSpec, family: str | None) -> Iterator[Change]:
    turn = KNOBS[name]
    axes = FAMILIES[family].axes_of(spec) if family else {}
    bases = {_SUFFIX.sub("", axis) for axis in axes}
    own = [axis for axis in axes if _SUFFIX.sub("", axis) in turn.axes and turn.unless not in bases]
    for axis in own:
        yield from _through_axis(turn, axis, spec, str(family))
    if turn.is_global and own:
        return
    places = [tuple(range(len(spec.stages)))] if turn.is_global else [(i,) for i in range(len(spec.stages))]
    for stages in places:
        for value in turn.values:
            if not any(_stage_of(axis, spec) in stages and _takes(family, axis, value) for axis in own):
                yield from _through_blocks(name, turn, stages, spec, value)


def _through_axis(turn: Turn, axis: str, spec: ArchSpec, family: str) -> Iterator[Change]:
    room = FAMILIES[family]
    axes = room.axes_of(spec)
    stage = _stage_of(axis, spec)
    for value in turn.values:
        if value == axes[axis] or not _takes(family, axis, value):
            continue
        try:
            made: ArchSpec = room.make(**{**axes, axis: value})
        except SpecError:
            if stage is None:
                continue
            made = _edited(turn, spec, (stage,), value)
        if _is_network(made, spec):
            yield Change(
                knob=_SUFFIX.sub("", axis), place=_place(stage), before=_text(axes[axis]), after=_text(value), spec=made
            )


def _through_blocks(name: str, turn: Turn, stages: tuple[int, ...], spec: ArchSpec, value: Scalar) -> Iterator[Change]:
    made = _edited(turn, spec, stages, value)
    if _is_network(made, spec):
        before, after = (_state(turn, one, stages) for one in (spec, made))
        place = "network" if turn.is_global else _place(stages[0])
        yield Change(knob=name, place=place, before=before, after=after, spec=made)


def _place(stage: int | None) -> str:
    return "network" if stage is None else f"stage {stage}"


def _takes(family: str | None, axis: str, value: Scalar) -> bool:
    return family is not None and FAMILIES[family].axes[axis].accepts(value)


def _stage_of(axis: str, spec: ArchSpec) -> int | None:
    """Number of the stage that an axis belongs to; None where it is the whole network's."""
    found = _SUFFIX.search(axis)
    if found is None:
        return None
    number = int(found[2])
    return spec.strides.index(number) if found[1] and number in spec.strides else number


def _edited(turn: Turn, spec: ArchSpec, stages: Sequence[int], value: Scalar) -> ArchSpec:
    """The network with another value in the blocks of these stages; global knobs change the entries as well."""

    def edited(block: BlockSpec) -> BlockSpec:
        own = turn.read(block)
        return block if turn.edit is None or own is None or own == value else turn.edit(block, value)

    made = list(spec.stages)
    for i in stages:
        stage = made[i] if turn.rewrite is None else turn.rewrite(made[i], value)
        entry = edited(stage.entry) if turn.is_global else stage.entry
        made[i] = StageSpec(entry=entry, blocks=tuple(edited(block) for block in stage.blocks))
    return spec.replace(stages=tuple(made))


def _state(turn: Turn, spec: ArchSpec, stages: Sequence[int]) -> str:
    """What the blocks have, in words: the values that occur, the share of attention, or FFNs for each attention."""
    blocks = [block for i in stages for block in spec.stages[i].blocks]
    if turn.rewrite is None:
        values = [turn.read(block) for block in blocks]
        return "/".join(dict.fromkeys(_text(value) for value in values if value is not None))
    attentions, others = (sum(kind(block) for block in blocks) for kind in (is_attention, is_feed_forward))
    if turn.is_global:
        return f"{100 * attentions / max(1, attentions + others):.0f} %"
    return _text(others / max(1, attentions))


def _is_network(made: ArchSpec, spec: ArchSpec) -> bool:
    """Whether it is another network, and a possible one."""
    try:
        check(made)
    except SpecError:
        return False
    return made != spec


def _text(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
