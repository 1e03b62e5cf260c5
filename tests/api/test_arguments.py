from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archlab as al
from archlab.api.arguments import checked
from archlab.errors import PlanError


@checked
def told(
    name: str | Sequence[str] = "a",
    *more: str | Path,
    ms: float | None = None,
    seed: int = 0,
    is_loud: bool = False,
    watch: Callable[[int], object] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """Say what came."""
    return {"name": name, "more": more, "ms": ms, "seed": seed, "is_loud": is_loud, "rest": rest}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": None},
            r"told: name is wrong; given: None (NoneType); allowed: a text or a list of texts; give a text",
        ),
        ({"name": ["a", 3]}, "told: name is wrong; given: ['a', 3] (list); allowed: a text or a list of texts; give"),
        ({"ms": "5"}, "told: ms is wrong; given: '5' (str); allowed: a number or None; give a number"),
        ({"ms": True}, "told: ms is wrong; given: True (bool); allowed: a number or None"),
        ({"seed": 1.5}, "told: seed is wrong; given: 1.5 (float); allowed: a whole number; give a whole number"),
        ({"seed": None}, "told: seed is wrong; given: None (NoneType); allowed: a whole number"),
        ({"is_loud": "yes"}, "told: is_loud is wrong; given: 'yes' (str); allowed: True or False"),
    ],
)
def test_a_wrong_type_is_told_in_four_parts(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as error:
        told(**arguments)
    assert str(error.value).startswith(message)


def test_right_types_pass_and_numbers_become_pythons_own() -> None:
    found = told(["a", "b"], Path("c"), ms=np.float32(2.5), seed=np.int64(7), watch=print, other=None)
    assert found == {
        "name": ["a", "b"],
        "more": (Path("c"),),
        "ms": 2.5,
        "seed": 7,
        "is_loud": False,
        "rest": {"other": None},
    }
    assert type(found["seed"]) is int
    assert type(found["ms"]) is float
    assert told(ms=5)["ms"] == 5


def test_each_of_several_is_looked_at() -> None:
    with pytest.raises(PlanError, match=r"told: more is wrong; given: 3 \(int\); allowed: a text or a path"):
        told("a", "b", 3)  # type: ignore[arg-type]


def test_an_unknown_argument_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'budget_ms'"):
        al.search(device="cpu")


@pytest.mark.parametrize(
    "call",
    [
        lambda: al.measure(None, device="cpu"),
        lambda: al.measure(["edgenext_small"], device=None),
        lambda: al.measure("edgenext_small", device="cpu", batch="2"),
        lambda: al.profile(None),
        lambda: al.create(3),
        lambda: al.search(budget_ms="5", device="orin"),
        lambda: al.search(budget_ms=5, device=None),
        lambda: al.search(budget_ms=5, device="orin", trials="many"),
        lambda: al.load(None),
        lambda: al.report(None),
        lambda: al.score(None),
        lambda: al.models(3),
        lambda: al.describe_space(None),
        lambda: al.export(None, format="onnx", out="x.onnx"),
    ],
)
def test_no_call_answers_with_a_raw_type_error(call: Callable[[], object]) -> None:
    with pytest.raises(PlanError, match=r"\w+: \w+ is wrong; given: .* \(\w+\); allowed: .*; give a"):
        call()
