"""Is this file a search space? Read once at the border, strictly, every problem in one line.

Checked: the YAML itself (no key twice), its keys and types, the family, every choice against the family's knob, that
conditions look back at values that can occur, that two axes of one knob exclude each other, and on random points
that the choices fit together and every axis has an effect.
"""

import importlib.resources
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from archlab.errors import PlanError, SpecError, UnknownNameError, four_parts, unknown_name
from archlab.families import FAMILIES
from archlab.space.axis import Axis
from archlab.space.complaints import file_error, no_earlier_axis, short, wrong, yaml_error
from archlab.space.points import SearchSpace

__all__ = ["default", "load", "names", "parse"]

_TRIAL_POINTS = 32
_MAX_BYTES = 1_000_000

_Choice = StrictBool | StrictInt | StrictFloat | StrictStr


class _AxisFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    choices: list[_Choice] = Field(min_length=1, max_length=256)
    knob: str | None = None
    when: dict[str, list[_Choice]] | None = None
    help: str = ""


class _SpaceFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    family: str
    title: str = ""
    axes: list[_AxisFile] = Field(min_length=1, max_length=512)


_FIELDS = {"file": tuple(_SpaceFile.model_fields), "axis": tuple(_AxisFile.model_fields)}


class _Yaml(yaml.SafeLoader):
    """YAML without silently overwritten keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {short(key)} stands twice in one mapping", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def names() -> tuple[str, ...]:
    """The spaces that ship with archlab."""
    return tuple(sorted(path.name.removesuffix(".yaml") for path in _folder() if path.name.endswith(".yaml")))


def default(name: str = "hybrid") -> SearchSpace:
    """The space that is searched unless another one is named."""
    return load(name)


def load(path_or_name: str | Path) -> SearchSpace:
    """Read a space that ships with archlab, by name, or one of your own, by path.

    Raises:
        UnknownNameError: If there is no such space, family, knob or key.
        PlanError: If the file cannot be read or is no valid space.
    """
    text = str(path_or_name)
    shipped = {path.name: path for path in _folder()}
    if f"{text}.yaml" in shipped:
        return parse(shipped[f"{text}.yaml"].read_text(encoding="utf-8"), name=text, where=f"{text}.yaml")
    path = Path(text)
    if not (path.suffix in {".yaml", ".yml"} or _is_file(path)):
        raise unknown_name("search space", text, names(), do="name one of these, or give the path of a .yaml file")
    return parse(_content(path), name=path.stem, where=path.name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, a null byte
        return False


def _folder() -> list[Any]:
    """The files of `search_spaces`: inside the package when installed, beside it in a checkout."""
    inside = importlib.resources.files("archlab") / "search_spaces"
    beside = Path(__file__).parents[2] / "search_spaces"
    return list((inside if inside.is_dir() else beside).iterdir())


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise PlanError(
                four_parts(
                    f"{path.name} is too large for a search space",
                    given=f"{len(data)} bytes",
                    allowed=f"at most {_MAX_BYTES} bytes",
                    do="give the path of a space file",
                )
            )
        return data.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise PlanError(
            four_parts(
                f"cannot read the search space {path.name}",
                given=f"{path} ({reason})",
                allowed="a readable YAML file",
                do="check the path, or name a space: " + ", ".join(names()),
            )
        ) from None


def parse(text: str, *, name: str, where: str) -> SearchSpace:
    """Parse the text of a space file.

    Args:
        text: YAML.
        name: Name of the space.
        where: Name of the file, for messages.

    Raises:
        UnknownNameError: If it names an unknown family, knob or key.
        PlanError: If it is no valid space.
    """
    try:
        document = yaml.load(text, Loader=_Yaml)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise yaml_error(error, where) from None
    try:
        raw = _SpaceFile.model_validate(document)
    except ValidationError as error:
        raise file_error(error, where, _FIELDS) from None
    if raw.family not in FAMILIES:
        raise UnknownNameError(f"{where}: {unknown_name('family', raw.family[:40], FAMILIES)}")
    space = SearchSpace(name=name, family=raw.family, title=raw.title, axes=tuple(_axis(axis) for axis in raw.axes))
    earlier: dict[str, list[Axis]] = {}
    for axis in space.axes:
        _check_axis(space, axis, earlier, where)
        earlier.setdefault(axis.sets, []).append(axis)
    _try_points(space, where)
    return space


def _axis(raw: _AxisFile) -> Axis:
    when = {knob: tuple(values) for knob, values in raw.when.items()} if raw.when else None
    return Axis(name=raw.name, choices=tuple(raw.choices), knob=raw.knob, when=when, help=raw.help)


def _check_axis(space: SearchSpace, axis: Axis, earlier: Mapping[str, list[Axis]], where: str) -> None:
    knobs = FAMILIES[space.family].axes
    if axis.sets not in knobs:
        raise UnknownNameError(f"{where}: {unknown_name(f'knob of {space.family}', axis.sets[:40], knobs)}")
    if any(axis.name == other.name for others in earlier.values() for other in others):
        raise wrong(
            where,
            "two axes have one name",
            axis.name,
            "rename one and name its knob with `knob:`",
            allowed="each name once",
        )
    for i, choice in enumerate(axis.choices):
        if choice in axis.choices[:i]:
            raise wrong(
                where, f"the axis {axis.name} has a choice twice", short(choice), "leave one out", allowed="each once"
            )
        if not knobs[axis.sets].accepts(choice):
            raise wrong(
                where,
                f"the axis {axis.name} has an impossible choice",
                short(choice),
                "change it",
                allowed=knobs[axis.sets].allowed,
            )
    for knob, values in (axis.when or {}).items():
        _check_condition(axis, knob, values, earlier, where)
    for other in earlier.get(axis.sets, []):
        if not _exclude(axis, other):
            raise wrong(
                where,
                f"two axes set {axis.sets} at once",
                f"{other.name} and {axis.name}",
                "give both a `when` on one knob, without a common value",
                allowed="one axis at a time for a knob",
            )


def _check_condition(
    axis: Axis, knob: str, values: tuple[Any, ...], earlier: Mapping[str, list[Axis]], where: str
) -> None:
    if knob not in earlier:
        raise no_earlier_axis(where, axis.name, knob, list(earlier))
    possible = [choice for other in earlier[knob] for choice in other.choices]
    strange = [value for value in values if value not in possible]
    if strange or not values:
        raise wrong(
            where,
            f"the axis {axis.name} waits for a value of {knob} that never occurs",
            short(strange[0]) if strange else "an empty list",
            "change the condition",
            allowed=", ".join(short(value) for value in possible),
        )


def _exclude(one: Axis, other: Axis) -> bool:
    shared = set(one.when or {}) & set(other.when or {})
    return any(not set((one.when or {})[knob]) & set((other.when or {})[knob]) for knob in shared)


def _try_points(space: SearchSpace, where: str) -> None:
    rng = random.Random(0)
    points = [*space.extremes(), *(space.sample(rng) for _ in range(_TRIAL_POINTS))]
    for point in points:
        try:
            spec = space.decode(point)
        except SpecError as error:
            raise PlanError(f"{where}: choices that do not fit together: {error}") from None
        try:
            again = space.encode(spec)
        except SpecError as error:
            again, reason = {}, str(error)
        else:
            reason = "another point gives the same network"
        if again != point:
            raise wrong(
                where,
                "an axis has no effect in some networks",
                reason,
                "add a `when` to that axis",
                allowed="axes that change every network in which they are active",
            )
