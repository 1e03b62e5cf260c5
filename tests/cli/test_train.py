"""archlab train: metrics per epoch, a checkpoint, weights that every other command takes; refusals in one line."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import archlab as al
from archlab.api import training
from archlab.training.data import load_data
from archlab.training.progress import TrainProgress
from archlab.training.scoring import evaluate

SPEC = """
resolution: 16
classes: 1000
stages:
- entry: {kind: overlap_stem, width: 16, stride: 4, kernels: [3, 3], norm: bn, act: relu}
  blocks: [{kind: ffn, width: 16, hidden: 32, norm: bn, act: relu}]
head: {kind: pool, norm: bn}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


def test_train_answers_with_metrics_and_files(spec: Path, tmp_path: Path, answer: Callable[..., Any]) -> None:
    out = tmp_path / "out"
    words = ("train", spec, "--data", "digits", "--epochs", 2, "--images", 320, "--batch", 32, "--out", out)
    told = answer(*words)
    assert told["model"] == str(spec)
    assert [row["epoch"] for row in told["metrics"]] == [1, 2]
    assert told["metrics"][-1]["top1"] == told["top1"]
    assert told["is_finished"]
    assert Path(told["checkpoint"]).is_file()
    module = al.create(told["spec"], weights=told["weights"])
    assert module(torch.zeros(1, 3, 16, 16)).shape == (1, 10)
    assert evaluate(module, load_data("digits"), 16)[1] == told["top1"]
    same = al.create(str(spec), classes=10, weights=told["weights"])
    assert torch.equal(same(torch.ones(1, 3, 16, 16)), module(torch.ones(1, 3, 16, 16)))
    again = answer(*words)  # finished: nothing is done twice
    assert again == told


def test_a_published_network_takes_the_classes_and_the_side_of_the_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.arange(20) % 3)
    out = tmp_path / "out"
    trained = al.train(
        "edgenext_xx_small", data=tmp_path / "few.npz", out=out, resolution=32, epochs=1, batch=8, images=16
    )
    assert trained.spec.resolution == 32
    assert trained.spec.classes == 3
    assert list(trained.metrics.columns) == ["epoch", "lr", "train_loss", "val_loss", "top1", "seconds"]
    assert len(trained.metrics) == 1
    assert trained.weights == out / "weights.safetensors"
    fine = al.train(
        "edgenext_xx_small",
        data=tmp_path / "few.npz",
        out=tmp_path / "fine",
        resolution=32,
        epochs=1,
        batch=8,
        weights=trained.weights,
    )
    assert fine.is_finished


def test_people_get_a_table(spec: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run(
        "train", spec, "--data", "digits", "--epochs", 1, "--images", 64, "--batch", 32, "--out", tmp_path / "out"
    )
    assert status == 0
    assert "top-1 %" in out
    assert str(tmp_path / "out" / "weights.safetensors") in out
    assert "epoch 1 of 1" in err


def test_ctrl_c_says_how_to_go_on(
    spec: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def interrupting() -> Iterator[Callable[[TrainProgress], None]]:
        yield lambda told: os.kill(os.getpid(), signal.SIGINT) if told.step == 1 else None

    words = ("train", spec, "--data", "digits", "--epochs", 1, "--images", 64, "--batch", 32, "--out", tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(training, "show_training", interrupting)
        status, _, err = run(*words)
    assert status == 130
    assert "stopped in epoch 1 of 1; the same call goes on from there" in err
    assert "run the same command again" in err
    assert run(*words)[0] == 0
    assert (tmp_path / "out" / "weights.safetensors").is_file()


def test_refusals(spec: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = tmp_path / "out"
    assert "no such data" in refused("train", spec, "--data", "nothing", "--out", out)
    assert "lr of a training" in refused("train", spec, "--data", "digits", "--lr", 0, "--out", out)
    assert "no precision" in refused("train", spec, "--data", "digits", "--precision", "int8", "--out", out)
    small = ("--data", "digits", "--epochs", 1, "--images", 64, "--batch", 32, "--out", out)
    al.train(str(spec), data="digits", epochs=1, images=64, batch=32, out=out)
    assert "another training" in refused("train", spec, *small, "--seed", 1)
    other = tmp_path / "other.yaml"
    other.write_text(SPEC.replace("hidden: 32", "hidden: 48"))
    assert "the training of another network" in refused("train", other, *small)
    headless = tmp_path / "headless.yaml"
    headless.write_text(SPEC.replace("head: {kind: pool, norm: bn}\n", ""))
    assert "no head to train" in refused("train", headless, "--data", "digits", "--out", tmp_path / "third")
    (tmp_path / "file").write_text("in the way")
    assert "cannot make the folder" in refused("train", spec, "--data", "digits", "--out", tmp_path / "file" / "x")
