"""The score of a search: by itself, or trained rung by rung in the study folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from archlab.errors import PlanError, UnknownNameError
from archlab.families import published
from archlab.families.refit import Refit
from archlab.proxy import score
from archlab.study.plan import StudyPlan
from archlab.study.scorer import Scorer, take_over


def plan(**changes: object) -> StudyPlan:
    return StudyPlan(**{"budget_ms": 5.0, "device": "orin", "proxy": "params", **changes})  # type: ignore[arg-type]


def test_a_score_without_training_is_that_of_the_table() -> None:
    spec = published("edgenext_xx_small").spec
    assert Scorer(plan())(spec) == score("params", spec).score


def test_unknown_scores_and_images_that_nobody_looks_at_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="proxy"):
        Scorer(plan(proxy="parms"))
    with pytest.raises(PlanError, match=r"looks at no images of yours; given: params, data digits; .*short_train"):
        Scorer(plan(data="digits"))


def test_a_score_that_trains_remembers_in_the_folder(tmp_path: Path) -> None:
    """Two networks for 32 px; the first goes to the last rung; asked again, nothing is trained."""
    draw, data = np.random.default_rng(0), tmp_path / "few.npz"
    np.savez(data, images=draw.integers(0, 256, (120, 32, 32, 3), dtype=np.uint8), labels=np.arange(120) % 3)
    asked = plan(proxy="short_train", data=str(data), resolution=32, stem_divisor=2)
    refit = Refit(resolution=32, stem_divisor=2)
    few = published("convnext_atto")
    small = [refit.of(few.make(width=width, ratio="1-1-1-1", resolution=64)) for width in (8, 16)]
    scorer = Scorer(asked, tmp_path)
    first = [scorer(spec) for spec in small]
    lines = [json.loads(line) for line in (tmp_path / "short_train" / "rungs.jsonl").read_text().splitlines()]
    assert [line["rung"] for line in lines[:3]] == [0, 1, 2]
    assert all(0 <= value <= 100 for value in first)
    again = Scorer(asked, tmp_path)
    for spec in small:
        again(spec)  # a later network may have changed what an earlier one is expected to reach
    assert len((tmp_path / "short_train" / "rungs.jsonl").read_text().splitlines()) == len(lines)

    take_over(asked, tmp_path, asked, tmp_path / "next")
    known = Scorer(asked, tmp_path / "next")
    for spec in small:
        known(spec)
    assert len((tmp_path / "next" / "short_train" / "rungs.jsonl").read_text().splitlines()) == len(lines)


def test_what_was_ranked_otherwise_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "short_train").mkdir()
    (tmp_path / "short_train" / "plan.json").write_text('{"seed": 0}')
    asked = plan(proxy="short_train", data="few.npz")
    take_over(asked, tmp_path, asked, tmp_path / "next")
    assert not (tmp_path / "next").exists()


@pytest.mark.parametrize("change", [{"seed": 1}, {"data": "other.npz"}, {"proxy": "params", "data": None}])
def test_what_was_trained_otherwise_is_not_taken_over(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / "short_train").mkdir()
    (tmp_path / "short_train" / "plan.json").write_text('{"ranked_by": "val_loss"}')
    theirs = plan(proxy="short_train", data="few.npz")
    ours = plan(**{"proxy": "short_train", "data": "few.npz", **change})
    take_over(theirs, tmp_path, ours, tmp_path / "next")
    assert not (tmp_path / "next").exists()
