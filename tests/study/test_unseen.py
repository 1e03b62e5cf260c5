"""From a suggestion to a network that was never tried."""

import random
from typing import Any

import pytest

from archlab import space
from archlab.space import Axis, Point, SearchSpace
from archlab.study.unseen import PointReader, UnseenSampler, pick


@pytest.fixture
def small(space_file: str) -> SearchSpace:
    return space.load(space_file)


def of(width: int, kernel: int, resolution: int = 32, ratio: str = "1-1-1-1") -> Point:
    return {"resolution": resolution, "width": width, "ratio": ratio, "kernel_0": kernel}


def test_a_new_suggestion_is_taken_as_it_is(small: SearchSpace) -> None:
    assert pick(small, lambda: of(8, 3), lambda point: False, random.Random(0)) == of(8, 3)


def test_the_sampler_is_asked_again_first(small: SearchSpace) -> None:
    suggestions = iter([of(8, 3), of(8, 5), of(8, 7)])
    known = [of(8, 3), of(8, 5)]
    assert pick(small, lambda: next(suggestions), lambda point: point in known, random.Random(0)) == of(8, 7)


def test_then_one_axis_changes(small: SearchSpace) -> None:
    for seed in range(20):
        found = pick(small, lambda: of(8, 3), lambda point: point == of(8, 3), random.Random(seed))
        changed = [name for name, value in of(8, 3).items() if found[name] != value]
        assert len(changed) == 1
        small.decode(found)


def test_then_anything_new_and_at_last_a_known_one(small: SearchSpace) -> None:
    far = of(32, 7, 64, "1-1-3-1")
    for seed in range(5):
        found = pick(small, lambda: of(8, 3), lambda point: point != far, random.Random(seed))
        assert found in (far, of(8, 3))
    assert pick(small, lambda: of(8, 3), lambda point: True, random.Random(0)) == of(8, 3)


def test_the_sampler_completes_what_the_inner_one_leaves_open(small: SearchSpace) -> None:
    class Inner:
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {"width": "its distribution"}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            assert search_space == {"width": "its distribution"}
            return {"width": 16}

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return distribution[-1]

        def after_trial(self) -> str:
            return "told"

    choices = {axis.name: axis.choices for axis in small.axes}
    sampler = UnseenSampler(Inner(), small, choices, lambda suggest: suggest())
    assert sampler.infer_relative_search_space(None, None) == choices
    assert sampler.sample_relative(None, None, choices) == of(16, 7, 64, "1-1-3-1")
    assert sampler.after_trial() == "told"


def test_a_flat_sampler_is_asked_for_every_axis(small: SearchSpace) -> None:
    asked: list[str] = []

    def suggest(axis: Axis) -> Any:
        asked.append(axis.name)
        return axis.choices[-1]

    for is_flat in (False, True):
        point = PointReader(small, is_flat=is_flat).read(suggest)
        assert point == {"resolution": 64, "width": 32, "ratio": "1-1-3-1", "kernel_0": 7}
    assert PointReader(small, is_flat=False).filled({"width": 8}) == {"width": 8}
    assert PointReader(small, is_flat=True).filled({"width": 8}) == {
        "resolution": 32,
        "width": 8,
        "ratio": "1-1-1-1",
        "kernel_0": 3,
    }
