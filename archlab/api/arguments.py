"""Arguments of a call from Python are checked before anything is done with them; the command line sends right ones."""

import functools
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from archlab.errors import PlanError, four_parts

__all__ = ["checked"]

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")

_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    Path: "a path",
    Sequence: "a list of texts",
    types.NoneType: "None",
}


def checked(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Make a function refuse arguments whose type is not the one it is annotated with.

    Numbers of numpy become Python's own. What is annotated with another type than those of `_WORDS` is let through.

    Raises:
        PlanError: From the function that is given back, in four parts.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        bound = signature.bind(*args, **kwargs)
        hints = typing.get_type_hints(function)
        for name, value in bound.arguments.items():
            kind, where = signature.parameters[name].kind, f"{function.__name__}: {name}"
            if name not in hints or kind is inspect.Parameter.VAR_KEYWORD:
                continue
            if kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(_plain(where, each, hints[name]) for each in value)
            else:
                bound.arguments[name] = _plain(where, value, hints[name])
        return function(*bound.args, **bound.kwargs)

    return call


def _plain(name: str, value: object, hint: object) -> object:
    """The value, a number as Python's own; refused where its type fits none of the hint's."""
    wanted = [_origin(part) for part in _parts(hint)]
    if not all(part in _WORDS for part in wanted) or any(_fits(value, part) for part in wanted):
        if isinstance(value, numbers.Real) and not isinstance(value, bool | int | float):
            return int(value) if isinstance(value, numbers.Integral) else float(value)
        return value
    raise PlanError(
        four_parts(
            f"{name} is wrong",
            given=f"{repr(value)[:60]} ({type(value).__name__})",
            allowed=" or ".join(_WORDS[part] for part in wanted),
            do=f"give {_WORDS[wanted[0]]}",
        )
    )


def _parts(hint: object) -> tuple[object, ...]:
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if is_union else (hint,)


def _origin(part: object) -> object:
    return typing.get_origin(part) or part


def _fits(value: object, part: Any) -> bool:
    if part is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    if part in (int, float):
        number = numbers.Integral if part is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, part)
