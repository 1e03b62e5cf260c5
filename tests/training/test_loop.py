"""The loop learns, repeats itself, and comes out the same after a kill, to the bit."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archlab.errors import PlanError, StudyError, UnknownNameError
from archlab.model import weights
from archlab.model.build import Backbone, build
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec
from archlab.training import checkpoint
from archlab.training.data import load_data
from archlab.training.dataset import Dataset
from archlab.training.loop import train
from archlab.training.plan import TrainPlan
from archlab.training.progress import TrainProgress, TrainResult
from archlab.training.scoring import evaluate
from archlab.training.update import Updater

pytestmark = pytest.mark.usefixtures("one_thread")

STAGE = StageSpec(
    entry=BlockSpec(kind="overlap_stem", width=16, stride=4, kernels=(3, 3), norm="bn", act="relu"),
    blocks=(
        BlockSpec(kind="mhsa", width=16, heads=2, norm="bn"),
        BlockSpec(kind="ffn", width=16, hidden=32, norm="bn", act="relu"),
    ),
)
SPEC = ArchSpec(resolution=16, classes=10, stages=(STAGE,), head=HeadSpec(kind="pool", norm="bn"))
PLAN: dict[str, Any] = {"resolution": 16, "epochs": 2, "batch": 32, "mixup": 0.2, "device": "cpu"}


class Killed(Exception):  # noqa: N818 - a stand-in for the end of a process
    pass


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits").first(160, 40)


def run(
    dataset: Dataset,
    out: Path,
    show: Callable[[TrainProgress], None] | None = None,
    until: int | None = None,
    **changes: Any,
) -> TrainResult:
    plan = TrainPlan(**{**PLAN, **changes})
    return train(build(SPEC, seed=plan.seed), dataset, plan, out=out, until=until, on_progress=show)


def kill_after(steps: int) -> Callable[[TrainProgress], None]:
    seen = []

    def show(progress: TrainProgress) -> None:
        seen.append(progress)
        if len(seen) == steps:
            raise Killed

    return show


def numbers(result: TrainResult) -> list[tuple[float, ...]]:
    return [(row.epoch, row.lr, row.train_loss, row.val_loss, row.top1) for row in result.metrics]


def test_a_killed_training_comes_out_the_same_to_the_bit(digits: Dataset, tmp_path: Path) -> None:
    whole = run(digits, tmp_path / "whole")
    for steps in (3, 5):  # once within an epoch, once in the next
        with pytest.raises(Killed):
            run(digits, tmp_path / "cut", kill_after(steps), save_every_s=0)
    cut = run(digits, tmp_path / "cut", save_every_s=0)
    assert numbers(cut) == numbers(whole)
    assert cut.weights is not None
    assert whole.weights is not None
    assert cut.weights.read_bytes() == whole.weights.read_bytes()


def test_a_seed_decides_everything(digits: Dataset, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (run(digits, tmp_path / name, epochs=1, seed=s) for name, s in (("a", 1), ("b", 1), ("c", 2)))
    assert numbers(first) == numbers(again)
    assert numbers(first) != numbers(other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_ctrl_c_ends_after_a_whole_step_and_the_same_call_goes_on(digits: Dataset, tmp_path: Path) -> None:
    def interrupt(progress: TrainProgress) -> None:
        if progress.epoch == 0 and progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = run(digits, tmp_path / "cut", interrupt)
    assert not stopped.is_finished
    assert stopped.weights is None
    assert stopped.top1 is None
    assert checkpoint.read(stopped.checkpoint).progress["step"] == 3
    finished = run(digits, tmp_path / "cut")
    assert finished.is_finished
    assert numbers(finished) == numbers(run(digits, tmp_path / "whole"))


def test_a_finished_training_is_not_repeated(digits: Dataset, tmp_path: Path) -> None:
    first = run(digits, tmp_path, epochs=1)
    calls: list[TrainProgress] = []
    again = run(digits, tmp_path, calls.append, epochs=1)
    assert calls == []
    assert numbers(again) == numbers(first)
    assert again.is_finished


def test_a_training_stops_where_it_is_asked_to_and_goes_on(digits: Dataset, tmp_path: Path) -> None:
    whole = run(digits, tmp_path / "whole", epochs=3)
    for until, rows in ((1, 1), (2, 2), (1, 2)):  # no way back
        part = run(digits, tmp_path / "cut", epochs=3, until=until)
        assert len(part.metrics) == rows
        assert not part.is_finished
        assert part.weights is None
    assert numbers(run(digits, tmp_path / "cut", epochs=3, until=9)) == numbers(whole)


def test_the_files_hold_what_the_result_says(digits: Dataset, tmp_path: Path) -> None:
    module = build(SPEC)
    result = train(module, digits, TrainPlan(**PLAN), out=tmp_path)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "epoch,lr,train_loss,val_loss,top1,seconds"
    assert [float(word) for word in lines[2].split(",")[:5]] == list(numbers(result)[1])
    assert evaluate(module, digits, 16)[1] == result.top1
    assert not module.training
    for path in (result.weights, result.checkpoint):  # a checkpoint gives the averaged weights as well
        assert path is not None
        loaded: Backbone = build(SPEC, seed=9)
        weights.load(loaded, path)
        assert evaluate(loaded, digits, 16)[1] == result.top1


def test_it_learns(tmp_path: Path) -> None:
    result = run(load_data("digits"), tmp_path, epochs=3, lr=4e-3, ema=0.9)
    assert result.top1 is not None
    assert result.top1 > 60
    assert result.metrics[-1].train_loss < result.metrics[0].train_loss


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_as_well(digits: Dataset, tmp_path: Path, precision: str) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    start = module[1].weight.detach().clone()
    result = train(module, digits, TrainPlan(**{**PLAN, "precision": precision, "epochs": 1}), out=tmp_path)
    assert result.is_finished
    assert not torch.equal(module[1].weight, start)
    assert module[1].weight.dtype == torch.float32


def refused(kind: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as error:
        call()
    message = str(error.value)
    assert message.count("; ") >= 3
    return message


def test_another_training_in_the_folder_is_refused(digits: Dataset, tmp_path: Path) -> None:
    run(digits, tmp_path, epochs=1)
    assert "lr 0.001 there, 0.002 now" in refused(StudyError, lambda: run(digits, tmp_path, epochs=1, lr=2e-3))
    other = digits.first(100)
    assert "data " in refused(StudyError, lambda: run(other, tmp_path, epochs=1))
    wide = build(SPEC.replace(stages=(StageSpec(entry=STAGE.entry, blocks=STAGE.blocks * 2),)))
    plan = TrainPlan(**{**PLAN, "epochs": 1})
    assert "another network" in refused(StudyError, lambda: train(wide, digits, plan, out=tmp_path))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    assert "cannot be read as a checkpoint" in refused(StudyError, lambda: run(digits, tmp_path, epochs=1))


def test_a_network_for_other_classes_is_refused(digits: Dataset, tmp_path: Path) -> None:
    module = build(SPEC.replace(classes=7))
    message = refused(PlanError, lambda: train(module, digits, TrainPlan(**PLAN), out=tmp_path))
    assert "has not the classes of the data" in message
    assert "10 classes" in message


def test_a_training_that_diverges_says_so(digits: Dataset, tmp_path: Path) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(10))

        def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
            return self.scale * (float("nan") if self.training else 1.0) * x_BCHW.mean((1, 2, 3))[:, None]

    message = refused(PlanError, lambda: train(Broken(), digits, TrainPlan(**PLAN), out=tmp_path))
    assert "diverged in epoch 1, step 1" in message


def test_impossible_plans_are_refused() -> None:
    assert "lr of a training is out of range" in refused(PlanError, lambda: TrainPlan(resolution=16, lr=float("nan")))
    assert "epochs of a training" in refused(PlanError, lambda: TrainPlan(resolution=16, epochs=0))
    assert "no precision 'fp8'" in refused(UnknownNameError, lambda: TrainPlan(resolution=16, precision="fp8"))


def test_an_unknown_device_is_refused(digits: Dataset, tmp_path: Path) -> None:
    assert "no such device here" in refused(PlanError, lambda: run(digits, tmp_path, device="cuda:9"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_images_lie_there(digits: Dataset, tmp_path: Path) -> None:
    updater = Updater(build(SPEC), digits, TrainPlan(**{**PLAN, "device": "cuda"}))
    assert updater.images_BHWC.is_cuda
    assert updater.images_BHWC.dtype == torch.uint8
    assert run(digits, tmp_path, device="cuda", precision="bf16").is_finished
