"""Windowed attention in the hybrid family: every second cell shifted, read back as it was made."""

import pytest
import torch

from archlab.families.hybrid import axes_of, make
from archlab.model.build import build

KNOBS = {"width_s16": 96, "mixer_s16": "wmsa", "attention_s16": "half", "depth_s16": 6, "heads_s16": 6}


@pytest.mark.parametrize("place", ["start", "end"])
def test_every_second_cell_is_shifted(place: str) -> None:
    spec = make(**KNOBS, place_s16=place, ffns_s16=2)
    windows = ["wmsa", "ffn", "ffn", "swmsa", "ffn", "ffn", "wmsa", "ffn", "ffn"]
    plain = ["convnext"] * 3
    found = [block.kind for block in spec.stages[2].blocks]
    assert found == (windows + plain if place == "start" else plain + windows)
    assert {block.window for block in spec.stages[2].blocks if block.heads} == {7}
    assert make(**axes_of(spec)) == spec


def test_it_runs_under_either_norm() -> None:
    for norm in ("ln", "bn"):
        spec = make(**KNOBS, norm=norm, resolution=64, classes=3, position_s16="every")
        assert make(**axes_of(spec)) == spec
        assert build(spec).eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
