"""Uncertainty grows with the distance to the nearest measured network."""

import math

import numpy as np
import pytest

from archlab.cost.trace import trace
from archlab.families import published
from archlab.latency import familiarity
from archlab.latency.familiarity import Familiarity

NUMBERS = {"a": [0.0, 5.0], "b": [2.0, 5.0], "c": [4.0, 5.0], "asked": [4.0 + math.sqrt(8 / 3), 5.0]}
"""The measured ones have the mean 2 and the deviation √(8/3); what never varies tells nothing apart."""


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiarity, "described", lambda name: np.array(NUMBERS[name]))


@pytest.mark.usefixtures("named")
def test_one_deviation_away() -> None:
    assert Familiarity(["a", "b", "c"]).scale("asked") == pytest.approx(math.sqrt(1 + 1 / 1.5**2))


@pytest.mark.usefixtures("named")
def test_what_was_measured_is_as_far_from_the_others_once_it_is_left_out() -> None:
    found = Familiarity(["a", "b", "c"])
    assert [found.scale(name) for name in "abc"] == [1.0, 1.0, 1.0]
    apart = math.sqrt(1 + 2**2 / (8 / 3) / 1.5**2)
    assert found.left_out() == pytest.approx([apart, apart, apart])


def test_real_networks() -> None:
    """The same network at another size is nearer than one of another family."""
    small = published("edgenext_xx_small").spec
    found = Familiarity([trace(small.replace(resolution=side)) for side in (96, 160, 224)])
    near, far = trace(small.replace(resolution=128)), trace(published("efficientvit_m0").spec)
    assert found.scale(trace(small.replace(resolution=160))) == 1.0
    assert 1.0 < found.scale(near) < found.scale(far)
