"""Short training: rungs are parts of one training, what is known is not trained again, and a kill loses nothing."""

import json
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from archlab.errors import PlanError, ProxyError, StudyError
from archlab.families import published
from archlab.model.build import build
from archlab.proxy import halving
from archlab.proxy.halving import ShortPlan, ShortTraining, short_plan, short_training
from archlab.proxy.passes import Subject
from archlab.proxy.short_train import short_train
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec
from archlab.training.data import load_data
from archlab.training.dataset import Dataset
from archlab.training.loop import train
from archlab.training.low_resolution import at_low_resolution
from archlab.training.plan import TrainPlan
from archlab.training.scoring import evaluate, settle_batch_norms

pytestmark = pytest.mark.usefixtures("one_thread")

PLAN = ShortPlan(resolution=16, stem_divisor=2, epochs=4, rungs=3, eta=2, batch=32, device="cpu", lr=4e-3)


def network(width: int, depth: int = 1, resolution: int = 64) -> ArchSpec:
    entry = BlockSpec(kind="overlap_stem", width=width, stride=4, kernels=(3, 3), norm="bn", act="relu")
    blocks = (BlockSpec(kind="ffn", width=width, hidden=2 * width, norm="bn", act="relu"),) * depth
    stage = StageSpec(entry=entry, blocks=blocks)
    return ArchSpec(resolution=resolution, stages=(stage,), head=HeadSpec(kind="pool", norm="bn"))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits").first(128, 64)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "rungs.jsonl").read_text().splitlines()]


def test_the_rungs_are_parts_of_one_training(digits: Dataset, tmp_path: Path) -> None:
    """The first network goes all the way; its standings are the epochs 1, 2 and 4 of one plain training, settled."""
    spec = network(16)
    score = ShortTraining(digits, PLAN, tmp_path / "short").score(spec)
    small = at_low_resolution(spec, 16, stem_divisor=2, classes=10)
    plan = TrainPlan(resolution=16, epochs=4, batch=32, lr=4e-3, warmup_epochs=0.5, device="cpu")
    plain: list[tuple[float, float]] = []
    for epochs in (1, 2, 4):
        module = build(small)
        train(module, digits, plan, out=tmp_path / "plain", until=epochs)
        settle_batch_norms(module, digits, 16)
        plain.append(evaluate(module, digits, 16))
    found = lines(tmp_path / "short")
    assert [row["epochs"] for row in found] == [1, 2, 4]
    assert [(row["val_loss"], row["top1"]) for row in found] == plain
    assert score == pytest.approx(100 * math.exp(-plain[2][0]))
    assert not (tmp_path / "short" / small.digest).exists()


def test_halving_keeps_the_best_and_goes_on_where_it_was(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [network(8), network(16), network(16, 2), network(32)]
    found = ShortTraining(digits, PLAN, tmp_path).halve(specs)
    assert sorted(one.rung for one in found) == [0, 0, 1, 2]  # four, two, one
    trained = len(lines(tmp_path))
    assert trained == 7
    monkeypatch.setattr(halving, "train", None)  # nothing is left to train
    assert ShortTraining(digits, PLAN, tmp_path).halve(specs) == found


def test_an_interrupt_is_taken_up_again(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = network(16)

    def interrupted(*args: object, **options: object) -> object:
        def stop(told: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        return train(*args, **options, on_progress=stop)  # type: ignore[arg-type]

    monkeypatch.setattr(halving, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ShortTraining(digits, PLAN, tmp_path / "cut").score(spec)
    assert not (tmp_path / "cut" / "rungs.jsonl").exists()
    monkeypatch.setattr(halving, "train", train)
    whole = ShortTraining(digits, PLAN, tmp_path / "whole").score(spec)
    assert ShortTraining(digits, PLAN, tmp_path / "cut").score(spec) == whole


def test_one_that_is_stopped_gets_what_others_gained(digits: Dataset, tmp_path: Path) -> None:
    """A network that is known to be dominated at the first rung is stopped there."""
    work = ShortTraining(digits, PLAN, tmp_path)
    first = work.score(network(16))
    small = at_low_resolution(network(24), 16, stem_divisor=2, classes=10)
    known = {**lines(tmp_path)[0], "digest": small.digest, "macs": 10**9, "val_loss": 5.0}
    with (tmp_path / "rungs.jsonl").open("a") as file:
        file.write(json.dumps(known) + "\n")
    shed = lines(tmp_path)[0]["val_loss"] + math.log(first / 100)
    assert work.score(network(24)) == pytest.approx(100 * math.exp(shed - 5.0))


def test_a_folder_of_another_plan_is_refused(digits: Dataset, tmp_path: Path) -> None:
    ShortTraining(digits, PLAN, tmp_path)
    with pytest.raises(StudyError, match=r"holds other short trainings; given: .*: data \w+ there, \w+ now; allowed"):
        ShortTraining(digits.first(100), PLAN, tmp_path)
    with pytest.raises(StudyError, match=r"resolution 16 there, 24 now"):
        ShortTraining(digits, ShortPlan(resolution=24), tmp_path)


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"rungs": 0}, {"eta": 1}, {"rungs": 9, "epochs": 10**6}])
def test_impossible_rungs_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(PlanError, match="the rungs of a short training do not fit into its epochs; given: "):
        ShortPlan(**{"resolution": 16, "epochs": 4, "rungs": 3, "eta": 2, **changes})
    with pytest.raises(PlanError, match="lr of a training"):
        ShortPlan(resolution=16, lr=-1)


def test_a_network_that_cannot_be_so_small(digits: Dataset, tmp_path: Path) -> None:
    plan = ShortPlan(resolution=16, stem_divisor=8)
    with pytest.raises(ProxyError, match=r"short_train cannot train the network \w+; given: the stem cannot cut so li"):
        ShortTraining(digits, plan, tmp_path).score(network(16))


def test_a_training_that_diverges_is_no_score(digits: Dataset, tmp_path: Path) -> None:
    def broken(*args: object, **options: object) -> None:
        raise PlanError("the training diverged in epoch 1, step 1; given: loss nan")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ProxyError, match=r"given: the training diverged in ep"):
        patch.setattr(halving, "train", broken)
        ShortTraining(digits, PLAN, tmp_path).score(network(16))


def test_the_plan_suits_the_images(digits: Dataset) -> None:
    assert (short_plan(digits).resolution, short_plan(digits).stem_divisor) == (32, 2)
    plan = ShortPlan(resolution=32)
    assert [plan.epochs_at(rung) for rung in range(3)] == [1, 3, 9]


@pytest.fixture
def few(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "few.npz"
    np.savez(path, images=rng.integers(0, 255, (40, 64, 64, 3), dtype=np.uint8), labels=np.arange(40) % 4)
    return path


def test_the_score_of_one_network_on_the_users_images(few: Path) -> None:
    data = load_data(few)
    assert (short_plan(data).resolution, short_plan(data).stem_divisor) == (64, 1)
    module = build(network(8), device="meta")
    known = short_training(few)
    score = short_train(Subject(module, None, spec=network(8), training=known))  # type: ignore[arg-type]
    folder = known.out
    assert {row["top1"] for row in lines(folder)} <= {0.0, 25.0, 50.0, 75.0, 100.0}  # a tenth of 40 images is held out
    assert score == 100 * math.exp(-lines(folder)[2]["val_loss"])
    assert [row["rung"] for row in lines(folder)] == [0, 1, 2]
    del known
    assert not folder.exists()
    with pytest.raises(ProxyError, match="short_train needs the spec of a network; given: Backbone"):
        short_train(Subject(module, None))  # type: ignore[arg-type]


@pytest.mark.slow
def test_it_learns_the_digits() -> None:
    """Without data of one's own there are the digits: far better than the tenth that guessing gives."""
    spec, known = published("efficientvit_m0").spec, short_training()
    score = short_train(Subject(build(spec, device="meta"), None, spec=spec, training=known))  # type: ignore[arg-type]
    assert lines(known.out)[-1]["top1"] > 80
    assert score > 50
