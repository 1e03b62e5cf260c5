"""Is this network possible? Everything that a spec can get wrong is said here, before anything is built.

A spec that passes builds and runs. Numbers are held in bounds far outside of what anybody trains, so that a typing
error ends in a message and not in a machine out of memory.
"""

import dataclasses
from collections.abc import Iterator

from archlab.errors import SpecError, UnknownNameError, four_parts, unknown_name
from archlab.model.block import Block, Problem
from archlab.model.blocks import BLOCKS
from archlab.model.heads import HEADS
from archlab.model.layers import ACTS
from archlab.spec import ArchSpec, BlockSpec, HeadSpec

__all__ = ["check", "check_layer"]

_NORMS_OF = [kind.norms for kind in BLOCKS.values()] + [kind.norms for kind in HEADS.values()]
_NORMS = tuple(sorted({word for norms in _NORMS_OF for word in norms}))
_POSITIONS = tuple(sorted({word for kind in BLOCKS.values() for word in kind.positions}))
_EVERY_KIND = frozenset({"kind", "width", "stride", "norm", "eps"})
_BOUNDS = {
    "stride": (1, 64),
    "hidden": (1, 262_144),
    "kernels": (1, 127),
    "splits": (1, 4096),
    "heads": (1, 1024),
    "key_dim": (1, 8192),
    "value_dim": (1, 8192),
    "window": (1, 4096),
}
_MAX_POSITIONS = 96 * 96
"""Softmax attention over more positions than this has maps of gigabytes."""


def check(spec: ArchSpec) -> None:
    """Do nothing if the network can be built; otherwise say why not.

    Raises:
        SpecError: For the impossible: what is wrong, where, what is allowed, what to do.
        UnknownNameError: For a word that is in no table, with the nearest known one.
    """
    width, side, has_tokens = 3, spec.resolution, False
    for path, layer in spec.layers():
        side = check_layer(layer, width, side, path=path, role="entry" if path.endswith("entry") else "block")
        width, kind = layer.width, BLOCKS[layer.kind]
        if has_tokens and not kind.takes_tokens(layer):
            raise _error(path, _no_tokens(layer))
        has_tokens = has_tokens or kind.makes_tokens
    if spec.head is not None:
        _check_head(spec.head, has_tokens)


def check_layer(spec: BlockSpec, in_width: int, in_side: int, *, path: str, role: str) -> int:
    """Check one layer as `role` (`entry` or `block`) and give the side of its output map."""
    if spec.kind not in BLOCKS:
        raise _at(path, unknown_name("block kind", spec.kind, BLOCKS))
    kind = BLOCKS[spec.kind]
    for problem in _problems(spec, kind, in_width, in_side, role):
        raise _error(path, problem)
    _check_words(spec, kind, path)
    found = kind.problem(spec, in_width, in_side)
    if found is not None:
        raise _error(path, found)
    return kind.out_side(spec, in_side)


def _problems(spec: BlockSpec, kind: type[Block], in_width: int, in_side: int, role: str) -> Iterator[Problem]:
    yield from _role_problems(spec, kind, in_width, role)
    yield from _field_problems(spec, kind)
    yield from _number_problems(spec, kind)
    yield from _kernel_problems(spec, kind)
    yield from _shape_problems(spec, kind, in_side)


def _role_problems(spec: BlockSpec, kind: type[Block], in_width: int, role: str) -> Iterator[Problem]:
    if role not in kind.roles:
        fitting = ", ".join(sorted(name for name, other in BLOCKS.items() if role in other.roles))
        wanted = "the entry of a stage" if role == "entry" else "a block after the entry"
        yield Problem(
            f"kind {spec.kind!r} cannot be {wanted}", spec.kind, fitting, f"choose a kind that can be {wanted}"
        )
    if role == "block" and spec.stride != 1:
        yield Problem("a block keeps the side", f"stride {spec.stride}", "stride 1", "give the stride to the entry")
    if role == "block" and spec.width != in_width:
        yield Problem(
            "a block keeps the width of its stage",
            f"width {spec.width} after {in_width}",
            f"width {in_width}",
            "set the width of the block to that of the stage's entry",
        )
    if role == "entry" and "block" in kind.roles and spec.stride < 2 and not kind.has_shortcut:
        yield Problem(
            f"{spec.kind!r} as an entry has no skip and must reduce the side",
            f"stride {spec.stride}",
            "stride 2 or more",
            "set the stride, or begin the stage with kind 'conv'",
        )


def _field_problems(spec: BlockSpec, kind: type[Block]) -> Iterator[Problem]:
    given = {f.name for f in dataclasses.fields(spec) if getattr(spec, f.name) is not None}
    for name in sorted(kind.needs - given):
        yield Problem(f"kind {spec.kind!r} needs {name}", "nothing", ", ".join(sorted(kind.needs)), f"set {name}")
    known = kind.needs | kind.allows | _EVERY_KIND
    for name in sorted(given - known):
        yield Problem(
            f"kind {spec.kind!r} does not use {name}",
            f"{name} {getattr(spec, name)!r}",
            ", ".join(sorted(known - {"kind"})),
            f"leave {name} out",
        )


def _number_problems(spec: BlockSpec, kind: type[Block]) -> Iterator[Problem]:
    for name, (low, high) in _BOUNDS.items():
        value = getattr(spec, name)
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        if isinstance(value, tuple) and not 1 <= len(value) <= 1024:
            yield Problem(f"{name} has no or too many values", f"{len(value)} values", "1 to 1024", f"mend {name}")
        for number in values:
            if not low <= number <= high:
                yield Problem(f"{name} is out of range", number, f"{low} to {high}", f"choose another {name}")
    if spec.eps is not None and not 0 < spec.eps < 1:
        yield Problem("eps is out of range", spec.eps, "more than 0, less than 1", "choose e.g. 1e-5, or leave it out")
    for name in ("key_dim", "value_dim"):
        if isinstance(getattr(spec, name), tuple) and name not in kind.per_head:
            yield Problem(
                f"heads of kind {spec.kind!r} have one {name}", getattr(spec, name), "one number", "give one number"
            )


def _kernel_problems(spec: BlockSpec, kind: type[Block]) -> Iterator[Problem]:
    kernels = spec.kernels or ()
    given = f"kernels {list(kernels)[:8]}"
    if len(kernels) > 1 and not kind.has_many_kernels:
        yield Problem(f"kind {spec.kind!r} has one kernel", given, "one kernel", "give one kernel")
    for kernel in kernels:
        if kernel % 2 == 0 and kind.has_odd_kernels:
            yield Problem(f"a kernel of side {kernel} has no middle", given, "odd kernels", "choose odd kernels")


def _shape_problems(spec: BlockSpec, kind: type[Block], in_side: int) -> Iterator[Problem]:
    if spec.stride > in_side:
        yield Problem(
            "the map is smaller than the stride",
            f"side {in_side}, stride {spec.stride}",
            f"a side of {spec.stride} or more",
            "choose a larger resolution or fewer stages",
        )
    window = min(spec.window or in_side, in_side)
    if kind.relates_positions and window * window > _MAX_POSITIONS:
        yield Problem(
            "softmax attention over too many positions",
            f"{window}×{window}",
            f"at most {_MAX_POSITIONS} positions",
            "set a window, or attend in a later stage",
        )


def _no_tokens(spec: BlockSpec) -> Problem:
    return Problem(
        f"kind {spec.kind!r} needs a map, but a sequence with a class token comes in",
        f"kind {spec.kind!r}, window {spec.window}, position {spec.position!r}",
        "mhsa without window and position, ffn",
        "begin the network with another entry than patch_tokens, or choose such a block",
    )


def _check_words(spec: BlockSpec, kind: type[Block], path: str) -> None:
    for name, table, own in (
        ("norm", _NORMS, kind.norms),
        ("act", tuple(ACTS), tuple(ACTS)),
        ("position", _POSITIONS, kind.positions),
    ):
        word = getattr(spec, name)
        if word is None:
            continue
        if word not in table:
            raise _at(path, unknown_name(name, word, table))
        if word not in own:
            raise _error(
                path,
                Problem(
                    f"kind {spec.kind!r} has no {name} {word!r}",
                    word,
                    ", ".join(own) or f"no {name}",
                    f"choose another {name}",
                ),
            )


def _check_head(spec: HeadSpec, has_tokens: bool) -> None:
    if spec.kind not in HEADS:
        raise _at("head", unknown_name("head kind", spec.kind, HEADS))
    kind = HEADS[spec.kind]
    if spec.norm not in _NORMS:
        raise _at("head", unknown_name("norm", spec.norm, kind.norms))
    if spec.norm not in kind.norms:
        raise _error(
            "head",
            Problem(
                f"head kind {spec.kind!r} has no norm {spec.norm!r}",
                spec.norm,
                ", ".join(kind.norms),
                "choose another norm",
            ),
        )
    problem = kind.problem(spec) or _token_problem(spec, has_tokens)
    if problem is not None:
        raise _error("head", problem)
    if spec.act is not None and spec.act not in ACTS:
        raise _at("head", unknown_name("act", spec.act, ACTS))
    if spec.eps is not None and not 0 < spec.eps < 1:
        raise _error("head", Problem("eps is out of range", spec.eps, "more than 0, less than 1", "leave it out"))


def _token_problem(spec: HeadSpec, has_tokens: bool) -> Problem | None:
    if HEADS[spec.kind].reads_tokens == has_tokens:
        return None
    fitting = ", ".join(name for name, kind in HEADS.items() if kind.reads_tokens == has_tokens)
    given = "a sequence with a class token" if has_tokens else "a map"
    return Problem(f"head kind {spec.kind!r} cannot read {given}", given, fitting, "choose a head that reads it")


def _at(path: str, error: UnknownNameError) -> UnknownNameError:
    return UnknownNameError(f"{path}: {error}")


def _error(path: str, problem: Problem) -> SpecError:
    text = str(problem.given)
    given = text if len(text) <= 80 else text[:77] + "…"
    return SpecError(four_parts(f"{path}: {problem.wrong}", given=given, allowed=problem.allowed, do=problem.do))
