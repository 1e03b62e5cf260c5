"""Knobs refuse what no network has, in four parts."""

import pytest

from archlab.errors import SpecError, UnknownNameError
from archlab.families.knobs import Knob, Values, quotient, scaled, staged

KNOBS = {
    "width": Knob(default=96, help="channels", low=8, high=512),
    "ratio": Knob(default=1.0, help="a number", low=0.25, high=4),
    "norm": Knob(default="ln", help="a word", words=("ln", "bn")),
    "growth": Knob(default="1-2-4", help="parts", parts=3, low=0, high=9),
    "scales": Knob(default="5", help="any number of parts", parts=-1, high=31),
}


def test_values_are_the_given_ones_and_the_defaults_of_the_rest() -> None:
    values = Values("toy", KNOBS, {"width": 64, "growth": "1-3-5"})
    assert values.whole("width") == 64
    assert values.number("ratio") == 1.0
    assert values.word("norm") == "ln"
    assert values.parts("growth") == (1, 3, 5)
    assert values.parts("scales") == (5,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 7),
        ("width", 513),
        ("width", 96.0),
        ("width", True),
        ("width", "96"),
        ("ratio", 0.2),
        ("ratio", float("nan")),
        ("ratio", True),
        ("norm", "gn"),
        ("norm", 1),
        ("growth", "1-2"),
        ("growth", "1-2-4-8"),
        ("growth", "1-2-x"),
        ("growth", "1--2"),
        ("growth", "01-2-4"),
        ("growth", "1-2-10"),
        ("growth", "²-2-4"),
        ("scales", ""),
        ("scales", "3-" * 40 + "3"),
    ],
)
def test_impossible_values_are_refused(name: str, value: object) -> None:
    with pytest.raises(SpecError, match=f"toy cannot take this {name}; given: .*; allowed: .*; change {name}"):
        Values("toy", KNOBS, {name: value})  # type: ignore[dict-item]


def test_whole_numbers_are_numbers() -> None:
    assert Values("toy", KNOBS, {"ratio": 2}).number("ratio") == 2.0


def test_unknown_knobs_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no knob of toy 'widht'.*did you mean 'width'"):
        Values("toy", KNOBS, {"widht": 64})


def test_allowed_values_read_as_words() -> None:
    assert KNOBS["norm"].allowed == "ln, bn"
    assert KNOBS["width"].allowed == "a whole number from 8 to 512"
    assert KNOBS["growth"].allowed == "3 whole numbers from 0 to 9 joined by hyphens, as in '1-2-4'"


def test_ratios_are_in_lowest_terms() -> None:
    assert Values("toy", KNOBS, {"growth": "2-3-4"}).primitive("growth", "width") == (2, 3, 4)
    with pytest.raises(SpecError, match="growth is not in lowest terms; given: 2-4-8"):
        Values("toy", KNOBS, {"growth": "2-4-8"}).primitive("growth", "width")


def test_products_and_quotients_must_be_whole() -> None:
    assert scaled(48, 0.75, "the ratio") == 36
    assert quotient(48, 4, "heads") == 12
    with pytest.raises(SpecError, match=r"the ratio is no whole number of channels; given: 0.75 times 30"):
        scaled(30, 0.75, "the ratio")
    with pytest.raises(SpecError, match="heads do not divide the width; given: 8 in 100 channels"):
        quotient(100, 8, "heads")


def test_staged_knobs_count_from_the_first_stage_given() -> None:
    knobs = staged("depth", (3, 9), "blocks", first=2, high=12)
    assert list(knobs) == ["depth_2", "depth_3"]
    assert (knobs["depth_3"].default, knobs["depth_3"].high, knobs["depth_3"].help) == (9, 12, "stage 3: blocks")
