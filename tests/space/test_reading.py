"""Space files are checked at the border: one line of four parts, never a traceback."""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archlab.errors import ArchlabError, PlanError, UnknownNameError
from archlab.space import load
from archlab.space.reading import parse

GOOD: dict[str, Any] = {
    "family": "edgenext",
    "axes": [
        {"name": "width_0", "choices": [24, 32, 48]},
        {"name": "sdta_1", "choices": [0, 1]},
        {"name": "heads_1", "choices": [4, 8], "when": {"sdta_1": [1]}, "help": "heads"},
    ],
}


def read(document: object) -> Any:
    return parse(yaml.safe_dump(document), name="mine", where="mine.yaml")


def with_axis(*more: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The good document with its last axis changed, and axes after it."""
    axes = [dict(axis) for axis in GOOD["axes"]]
    axes[-1] |= changes
    return {**GOOD, "axes": [*axes, *more]}


def test_a_good_file() -> None:
    space = read(GOOD)
    assert (space.name, space.family, space.size) == ("mine", "edgenext", 9)
    assert space.axes[2].when == {"sdta_1": (1,)}
    assert space.axes[2].help == "heads"


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        (
            None,
            PlanError,
            "mine.yaml: the document is wrong; given: None; allowed: a mapping with the keys family and axes",
        ),
        ([1, 2], PlanError, r"the document is wrong; given: \[1, 2\]"),
        ({"axes": GOOD["axes"]}, PlanError, "family is wrong; given: nothing; allowed: the name of a family, a text"),
        ({**GOOD, "family": "edgenex"}, UnknownNameError, "no family 'edgenex'.*did you mean 'edgenext'"),
        ({**GOOD, "familiy": "x"}, UnknownNameError, "no key of a space file 'familiy'.*did you mean 'family'"),
        ({**GOOD, "axes": []}, PlanError, r"axes is wrong; given: \[\]; allowed: a list of 1 to 512 axes"),
        ({**GOOD, "axes": {}}, PlanError, "axes is wrong"),
        (with_axis(choise=1), UnknownNameError, "at axes.2.choise: no key of a space file.*did you mean 'choices'"),
        (with_axis(choices=[]), PlanError, r"axes.2.choices is wrong; given: \[\]; allowed: a list of 1 to 256 v"),
        (with_axis(choices=4), PlanError, "axes.2.choices is wrong; given: 4"),
        (
            with_axis(choices=[4, None]),
            PlanError,
            "axes.2.choices.1 is wrong; given: None; allowed: a whole number, a fin",
        ),
        (with_axis(choices=[4, [8]]), PlanError, r"axes.2.choices.1 is wrong; given: \[8\]; allowed: a whole number"),
        (with_axis(choices=[4, 8, 4]), PlanError, "the axis heads_1 has a choice twice; given: 4"),
        (
            with_axis(choices=[4, "8"]),
            PlanError,
            "the axis heads_1 has an impossible choice; given: '8'; allowed: a whole",
        ),
        (with_axis(choices=[4, 8.0]), PlanError, "an impossible choice; given: 8.0"),
        (with_axis(choices=[4, True]), PlanError, "an impossible choice; given: True"),
        (with_axis(choices=[4, 0]), PlanError, "an impossible choice; given: 0; allowed: a whole number from 1 to 256"),
        (with_axis(choices=[4, float("nan")]), PlanError, "axes.2.choices.1 is wrong; given: nan; allowed: a w"),
        (with_axis(choices=[4, 7]), PlanError, "choices that do not fit together: heads do not divide the width"),
        (with_axis(name="Heads"), PlanError, "axes.2.name is wrong; given: 'Heads'; allowed: 1 to 64 of a-z, 0-9"),
        (with_axis(name="hads_1"), UnknownNameError, "no knob of edgenext 'hads_1'.*did you mean 'heads_1'"),
        (with_axis(knob="hads_1"), UnknownNameError, "no knob of edgenext 'hads_1'"),
        (with_axis(name="sdta_1"), PlanError, "two axes have one name; given: sdta_1"),
        (
            with_axis(when={"sdta_2": [1]}),
            UnknownNameError,
            "axis heads_1: no earlier axis 'sdta_2'.*did you mean 'sdta_1'",
        ),
        (with_axis(when={"heads_1": [4]}), UnknownNameError, "axis heads_1: no earlier axis 'heads_1'"),
        (
            with_axis(when={"sdta_1": [2]}),
            PlanError,
            "waits for a value of sdta_1 that never occurs; given: 2; allowed: 0, 1",
        ),
        (with_axis(when={"sdta_1": []}), PlanError, "never occurs; given: an empty list"),
        (with_axis(when={"sdta_1": 1}), PlanError, "axes.2.when.sdta_1 is wrong; given: 1; allowed: a list of v"),
        (with_axis(when=["sdta_1"]), PlanError, "axes.2.when is wrong; given: .*; allowed: a mapping: an earlier"),
        (with_axis(when=None), PlanError, "an axis has no effect in some networks; given: .*heads_1.*add a `when`"),
        (
            with_axis({"name": "more", "knob": "heads_1", "choices": [16], "when": {"width_0": [24]}}),
            PlanError,
            "two axes set heads_1 at once; given: heads_1 and more",
        ),
        (with_axis({"name": "width_1", "choices": [36, 64]}), PlanError, "do not fit together: heads do not divide"),
    ],
)
def test_bad_files_say_what_is_wrong(document: object, error: type[ArchlabError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read(document)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("mine.yaml: ")
    assert text.count("; ") >= 3
    assert "allowed:" in text


def test_two_axes_of_one_knob_that_exclude_each_other() -> None:
    other = {"name": "heads_of_24", "knob": "heads_1", "choices": [2], "when": {"sdta_1": [1], "width_0": [24]}}
    document = with_axis(other, when={"sdta_1": [1], "width_0": [32, 48]})
    assert read(document).size == 3 + 2 * 2 + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("family: edgenext\nfamily: convnext\naxes: []\n", "given: line 1, column 1: the key 'family' stands twice"),
        ("family: [", "the file is no YAML; given: line 1, column 10: .*; allowed: valid YAML; mend it there"),
        ("a: b\nc: d: e\n", "given: line 2, column 5: mapping values are not allowed here; allowed: valid YAML"),
        ("\t", "the file is no YAML"),
        ("family: !!python/object:os.system x", "the file is no YAML"),
        ("? [a, b]\n: 1\n", "the file is no YAML|the document is wrong|is wrong"),
        ("a: 2020-99-99", "the file is no YAML"),
        ("[" * 5000, "the file is no YAML"),
        ("a: &a [*a]", "no key of a space file|is wrong"),
        ("x: " + "9" * 5000, "the file is no YAML"),
        ("\x00", "the file is no YAML"),
    ],
)
def test_text_that_is_no_space(text: str, message: str) -> None:
    with pytest.raises(ArchlabError, match=message) as caught:
        parse(text, name="mine", where="mine.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_bomb_of_aliases_is_refused_quickly() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(ArchlabError, match=r"no key of a space file|is wrong"):
        parse("\n".join([*lines, "family: edgenext", "axes: *a11"]), name="mine", where="mine.yaml")


def test_files_are_found_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    assert load(path) == load(str(path)) == read(GOOD)


def test_unknown_names_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no search space 'edgnext'.*did you mean 'edgenext'"):
        load("edgnext")
    with pytest.raises(PlanError, match=r"cannot read the search space none.yaml; given: .*No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(PlanError, match=r"cannot read the search space folder.yaml; given: .*directory"):
        load(tmp_path / "folder.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="no UTF-8 text"):
        load(tmp_path / "bytes.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(PlanError, match="too large for a search space; given: 1000001 bytes"):
        load(tmp_path / "large.yaml")
    for strange in ("", "a" * 5000, "\0", "hybrid\0", "."):
        with pytest.raises(ArchlabError):
            load(strange)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(),
    st.sampled_from(["none", "fourier", "start", "1-2-4-8", "", "heads_1", "mhsa", "é\n", "0" * 200]),
    st.text(max_size=8),
)
KNOBS = st.sampled_from(
    ["width_0", "width_2", "sdta_1", "heads_1", "kernel_3", "resolution", "norm", "growth", "unit", "x"]
)
AXES = st.fixed_dictionaries(
    {"name": KNOBS | SCALARS, "choices": st.lists(SCALARS, max_size=4) | SCALARS},
    optional={
        "when": st.dictionaries(KNOBS | st.text(max_size=5), st.lists(SCALARS, max_size=3) | SCALARS, max_size=2),
        "knob": KNOBS | SCALARS,
        "help": SCALARS,
        "chocies": SCALARS,
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "family": st.sampled_from(["edgenext", "convnext", "efficientvit_msra", "efficientvit_mit", "hybrid"])
        | SCALARS,
        "axes": st.lists(AXES, max_size=6) | SCALARS,
    },
    optional={"title": SCALARS, "colour": SCALARS},
)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(SCALARS, inner), max_leaves=12)


@settings(max_examples=700, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(document=DOCUMENTS | ANYTHING)
def test_malformed_documents_end_in_one_line(document: object) -> None:
    text = yaml.safe_dump(document, allow_unicode=True)
    try:
        space = parse(text, name="mine", where="mine.yaml")
    except ArchlabError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
    else:
        assert space.encode(space.decode(space.sample(random.Random(0))))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(place=st.integers(0, 10_000), count=st.integers(0, 40), scrap=st.text(max_size=6), data=st.data())
def test_damaged_shipped_files_end_in_one_line(place: int, count: int, scrap: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["convnext", "edgenext", "efficientvit_mit", "efficientvit_msra", "hybrid"]))
    text = (Path(__file__).parents[2] / "search_spaces" / f"{name}.yaml").read_text()
    place %= len(text)
    try:
        space = parse(text[:place] + scrap + text[place + count :], name="mine", where="mine.yaml")
    except ArchlabError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
    else:
        assert space.encode(space.decode(space.sample(random.Random(0))))


SHIPPED = {
    path.stem: yaml.safe_load(path.read_text()) for path in (Path(__file__).parents[2] / "search_spaces").glob("*.yaml")
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(name=st.sampled_from(sorted(SHIPPED)), rng=st.randoms(use_true_random=False))
def test_mutilated_shipped_spaces_end_in_one_line(name: str, rng: random.Random) -> None:
    """Axes left out, moved, without their condition, or with the choices of another: the deep checks must hold."""
    axes = [dict(axis) for axis in SHIPPED[name]["axes"]]
    for _ in range(rng.randint(1, 3)):
        i, j = rng.randrange(len(axes)), rng.randrange(len(axes))
        match rng.randrange(5):
            case 0:
                del axes[i]
            case 1:
                axes[i].pop("when", None)
            case 2:
                axes[i]["choices"] = axes[j]["choices"]
            case 3:
                axes.insert(j, axes.pop(i))
            case _:
                axes[i]["choices"] = [
                    choice * 3 if isinstance(choice, int) else choice for choice in axes[i]["choices"]
                ]
    try:
        space = read({**SHIPPED[name], "axes": axes})
    except ArchlabError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
    else:
        assert space.encode(space.decode(space.extremes()[0]))
