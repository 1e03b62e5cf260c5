"""What is wrong with a space file, in the file's own words: its keys, its lines, what may stand there."""

import reprlib

from pydantic import ValidationError

from archlab.errors import ArchlabError, PlanError, UnknownNameError, four_parts, unknown_name

__all__ = ["file_error", "no_earlier_axis", "short", "wrong", "yaml_error"]

_VALUE = "a whole number, a finite number with a point, true, false, or a text"
_ALLOWED = {
    (): "a mapping with the keys family and axes",
    ("family",): "the name of a family, a text",
    ("title",): "a text",
    ("axes",): "a list of 1 to 512 axes",
    ("axes", "#"): "a mapping with the keys name and choices",
    ("axes", "#", "name"): "1 to 64 of a-z, 0-9 and '_', a letter first",
    ("axes", "#", "choices"): "a list of 1 to 256 values",
    ("axes", "#", "choices", "#"): _VALUE,
    ("axes", "#", "knob"): "the name of a knob of the family, a text",
    ("axes", "#", "when"): "a mapping: an earlier axis to a list of its values",
    ("axes", "#", "when", "key"): "the name of an earlier axis, a text",
    ("axes", "#", "when", "*"): "a list of values of that axis",
    ("axes", "#", "when", "*", "#"): _VALUE,
    ("axes", "#", "help"): "a text",
}
"""Place in a space file (``#`` any number, ``*`` any key) → what may stand there."""


def file_error(error: ValidationError, where: str, fields: dict[str, tuple[str, ...]]) -> ArchlabError:
    """Say the first thing that is wrong with a file that is YAML.

    Args:
        error: What the reader of the file said.
        where: Name of the file.
        fields: The keys of the whole file under ``file``, those of an axis under ``axis``.
    """
    first = error.errors(include_url=False)[0]
    place = _place(first["loc"])
    path = ".".join(" ".join(str(part).split())[:40] for part in first["loc"][: len(place)]) or "the document"
    if first["type"] == "extra_forbidden":
        known = fields["axis"] if len(first["loc"]) > 1 else fields["file"]
        unknown = " ".join(str(first["loc"][-1]).split())[:40]
        return UnknownNameError(f"{where}: at {path}: {unknown_name('key of a space file', unknown, known)}")
    given = "nothing" if first["type"] == "missing" else short(first.get("input"))
    do = "compare with a shipped space: archlab space show edgenext"
    return wrong(where, f"{path} is wrong", given, do, allowed=_ALLOWED.get(place, "what a shipped space has there"))


def yaml_error(error: Exception, where: str) -> PlanError:
    """Say where a file stops being YAML."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error) or type(error).__name__
    at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    said = at + " ".join(problem.split())[:160]
    return wrong(where, "the file is no YAML", said, "mend it there" if at else "mend it", allowed="valid YAML")


def no_earlier_axis(where: str, axis: str, knob: str, earlier: list[str]) -> ArchlabError:
    """An axis waits for one that does not stand before it."""
    if earlier:
        return UnknownNameError(
            f"{where}: axis {axis}: {unknown_name('earlier axis', knob[:40], earlier, do='put that axis before')}"
        )
    return wrong(
        where,
        f"the first axis, {axis}, waits for another",
        f"when: {knob[:40]}",
        "put that axis before, or take the `when` away",
        allowed="`when` on axes that stand earlier in the file",
    )


def wrong(where: str, what: str, given: str, do: str, *, allowed: str) -> PlanError:
    """Build the error for a file that is no valid space."""
    return PlanError(four_parts(f"{where}: {what}", given=given, allowed=allowed, do=do))


def short(value: object) -> str:
    """Write a value in few words, however large it is."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxlist, brief.maxdict, brief.maxstring = 2, 4, 4, 40
    return brief.repr(value)


def _place(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """The place as `_ALLOWED` names it; what pydantic adds behind a value, the type it tried, is left out."""
    place: list[str] = []
    for part in loc:
        is_key = place[-1:] == ["when"]
        if part == "[key]" and place[-1:] == ["*"]:
            return (*place[:-1], "key")
        place.append("*" if is_key else "#" if isinstance(part, int) else part)
        if place[-1] == "#" and len(place) > 2:
            break
    return tuple(place)
