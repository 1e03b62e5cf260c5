"""Accuracies of small networks: read strictly, matched by the network, with Student's interval."""

import dataclasses
from pathlib import Path

import pytest

from archlab.artifacts.rows import NEEDS_COMPUTE, Lack
from archlab.artifacts.trained import Trained, read, score
from archlab.errors import StudyError
from archlab.families import published

SPEC = published("edgenext_xx_small").spec


def run(top1: float, *, seed: int = 0, epochs: int = 30, side: int = 64, classes: int = 50) -> Trained:
    digest = SPEC.replace(resolution=side, classes=classes).digest
    return Trained(net="n", digest=digest, data="tiny50", resolution=side, epochs=epochs, seed=seed, top1=top1)


def test_the_interval_is_students() -> None:
    """60, 61, 62: mean 61, deviation 1, t(0.975, 2) = 4.3027, so ± 4.3027 / √3 = 2.4842."""
    found = score([run(60.0), run(61.0, seed=1), run(62.0, seed=2)], SPEC)
    assert (found["ours"], found["runs"]) == (61.0, 3)
    assert found["ours_ci95"] == pytest.approx((61 - 2.48414, 61 + 2.48414), abs=1e-4)
    assert found["ours_source"] == "trained: tiny50 at 64 px, 30 epochs, 3 seeds"
    assert found["is_small_scale"]


def test_a_seed_counts_once() -> None:
    """Seed 0 was trained again: 62 takes the place of 60 and is no second seed."""
    found = score([run(60.0), run(62.0)], SPEC)
    assert (found["ours"], found["ours_ci95"], found["runs"]) == (62.0, None, 1)


def test_one_seed_has_no_interval_and_the_longest_training_counts() -> None:
    found = score([run(60.0, epochs=1), run(70.0, epochs=40), run(50.0, epochs=1, seed=1)], SPEC)
    assert (found["ours"], found["ours_ci95"], found["runs"]) == (70.0, None, 1)


def test_the_images_are_part_of_the_way() -> None:
    """Twenty epochs of 100 images are less than three of 1000; the latter's two seeds count."""
    few = dataclasses.replace(run(40.0, epochs=20), images=100)
    many = [dataclasses.replace(run(top1, epochs=3, seed=int(top1)), images=1000) for top1 in (60.0, 62.0)]
    found = score([few, *many], SPEC)
    assert (found["ours"], found["runs"]) == (61.0, 2)
    assert found["ours_source"] == "trained: tiny50 at 64 px, 3 epochs of 1000 images, 2 seeds"


def test_classes_that_the_table_names_are_known() -> None:
    odd = dataclasses.replace(run(60.0, classes=7), classes=7)
    assert score([odd], SPEC)["ours"] == 60.0


def test_another_network_does_not_count() -> None:
    other = published("edgenext_x_small").spec
    lack = Lack(verdict=NEEDS_COMPUTE, what="networks trained at small scale")
    assert score([run(60.0)], other) == score([], SPEC) == {"is_small_scale": True, "lack": lack}


def test_reading(tmp_path: Path) -> None:
    assert read(tmp_path) == ()
    path = tmp_path / "results.csv"
    path.write_text(
        "net,data,resolution,epochs,seed,params,macs,top1,seconds,digest\nn,tiny50,64,30,2,1,1,61.5,9,abc\n"
    )
    assert read(tmp_path) == (
        Trained(net="n", digest="abc", data="tiny50", resolution=64, epochs=30, seed=2, top1=61.5),
    )


@pytest.mark.parametrize("text", ["net,top1\nn,61\n", "net,data,resolution,epochs,seed,top1,digest\nn,d,64,x,0,1,a\n"])
def test_a_damaged_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(StudyError, match=r"cannot be read; given: .*; allowed: columns net, data.*; write it again"):
        read(tmp_path)
