"""Train a network on labelled images: the one loop, for studies, for pruned networks, for a user's own module.

A training can be killed at any moment and goes on with the same call; what a step draws follows from (seed, epoch,
step), so the weights come out as if nothing had happened. On one CPU thread they are equal to the bit.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from archlab.errors import PlanError, StudyError, four_parts
from archlab.files import write_bytes, write_text
from archlab.interrupt import Pause
from archlab.training import checkpoint
from archlab.training.dataset import Dataset
from archlab.training.plan import TrainPlan
from archlab.training.progress import EpochMetrics, TrainProgress, TrainResult, to_csv
from archlab.training.scoring import check_classes, evaluate
from archlab.training.update import Updater

__all__ = ["train"]

Show = Callable[[TrainProgress], None]


def train(
    module: nn.Module,
    dataset: Dataset,
    plan: TrainPlan,
    *,
    out: Path,
    until: int | None = None,
    on_progress: Show | None = None,
) -> TrainResult:
    """Train `module` in place, or go on with the training that `out` holds.

    Args:
        module: From images `(B, 3, R, R)` to logits `(B, K)`; it ends on its device, in evaluation mode, with the
            averaged weights.
        dataset: What to train and to score on.
        plan: How.
        out: Folder of `metrics.csv`, `checkpoint.safetensors` and, in the end, `weights.safetensors`.
        until: Stop after so many epochs of the plan; a later call with more goes on. None stops at the plan's last.
        on_progress: Is told of every step.

    Returns:
        The result; not finished where `until` came first, or after an interrupt (Ctrl-C), which is kept until a step
        is whole.

    Raises:
        PlanError: If the network and the data do not fit, or the loss is no number any more.
        StudyError: If `out` holds another training.
    """
    run = _Run(module, dataset, plan, out)
    last = plan.epochs if until is None else min(until, plan.epochs)
    gpus = [run.updater.device] if run.updater.device.type == "cuda" else []
    with torch.random.fork_rng(gpus), Pause() as pause:
        try:
            while run.epoch < last:
                run.take_steps(pause, on_progress)
                run.end_epoch(pause, on_progress, is_last=run.epoch + 1 == last)
        except KeyboardInterrupt:
            run.save()
    return run.result()


class _Run:
    """Where a training stands, between its folder and its steps."""

    def __init__(self, module: nn.Module, dataset: Dataset, plan: TrainPlan, out: Path) -> None:
        self.plan, self.out, self.dataset = plan, out, dataset
        self.checkpoint, self.weights = out / "checkpoint.safetensors", out / "weights.safetensors"
        self.updater = Updater(module, dataset, plan)
        self.identity = {"data": dataset.digest, **{k: v for k, v in plan.to_dict().items() if k != "save_every_s"}}
        self.epoch = self.step = 0
        self.loss_sum = self.seconds = self.epoch_s = 0.0
        self.rows: list[EpochMetrics] = []
        check_classes(module, dataset, plan.resolution)
        out.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._restore(checkpoint.read(self.checkpoint))
        self.last_s = self.saved_s = self.began_s = time.monotonic()
        self.began_steps = self._taken()

    def take_steps(self, pause: Pause, on_progress: Show | None) -> None:
        """Take the steps that the epoch still lacks."""
        order = self.updater.order(self.epoch)
        self.updater.module.train()
        while self.step < self.updater.steps:
            pause.check()
            loss = self.updater.take(self.epoch, self.step, order)
            self._check_loss(loss)
            self.loss_sum += loss
            self.step += 1
            if on_progress is not None:
                on_progress(self.progress(loss))
            if self._is_time_to_save():
                self.save()

    def end_epoch(self, pause: Pause, on_progress: Show | None, *, is_last: bool) -> None:
        """Score, add the row; save if this epoch is the last of the call or it is time; the plan's end has weights."""
        val_loss, top1 = evaluate(self.updater.final, self.dataset, self.plan.resolution, between=pause.check)
        self._tick()
        row = EpochMetrics(
            epoch=self.epoch + 1,
            lr=self.updater.rate(self.epoch, self.updater.steps - 1),
            train_loss=self.loss_sum / self.updater.steps,
            val_loss=val_loss,
            top1=top1,
            seconds=round(self.epoch_s, 3),
        )
        self.rows.append(row)
        self.epoch, self.step, self.loss_sum, self.epoch_s = self.epoch + 1, 0, 0.0, 0.0
        write_text(self.out / "metrics.csv", to_csv(self.rows))
        if self.epoch == self.plan.epochs:
            plain = checkpoint.plain(self.updater.final.state_dict())
            write_bytes(self.weights, safetensors.torch.save(plain, metadata={"format": "pt"}))
        if is_last or self._is_time_to_save():
            self.save()
        if on_progress is not None:
            on_progress(self.progress(row.train_loss))

    def progress(self, loss: float) -> TrainProgress:
        """Say where the training stands."""
        seen = (self._taken() - self.began_steps) * self.updater.batch
        return TrainProgress(
            epochs=self.plan.epochs,
            steps=self.updater.steps,
            epoch=self.epoch,
            step=self.step,
            loss=loss,
            images_per_s=seen / max(1e-9, time.monotonic() - self.began_s),
            last=self.rows[-1] if self.rows else None,
        )

    def save(self) -> None:
        """Write everything that going on needs."""
        self._tick()
        progress = {
            "identity": self.identity,
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "epoch_s": self.epoch_s,
            "scale": self.updater.scaler.state_dict(),
            "rows": [row.to_dict() for row in self.rows],
        }
        checkpoint.write(self.checkpoint, self.updater, progress)
        self.saved_s = time.monotonic()

    def result(self) -> TrainResult:
        """Leave the module with its final weights and say how it went."""
        module, final = self.updater.module, self.updater.final
        if final is not module:
            module.load_state_dict(final.state_dict())
        module.eval()
        return TrainResult(
            out=self.out,
            checkpoint=self.checkpoint,
            weights=self.weights if self.epoch >= self.plan.epochs else None,
            metrics=tuple(self.rows),
            seconds=self.seconds,
        )

    def _is_time_to_save(self) -> bool:
        return time.monotonic() - self.saved_s > self.plan.save_every_s

    def _taken(self) -> int:
        return self.epoch * self.updater.steps + self.step

    def _tick(self) -> None:
        """Add the time since the last call to the epoch's and the training's."""
        now = time.monotonic()
        self.seconds += now - self.last_s
        self.epoch_s += now - self.last_s
        self.last_s = now

    def _restore(self, kept: checkpoint.Checkpoint) -> None:
        progress: dict[str, Any] = dict(kept.progress)
        theirs = progress["identity"]
        changed = [name for name, value in self.identity.items() if theirs.get(name) != value]
        if changed:
            name = changed[0]
            raise StudyError(_other(self.out, f"{name} {theirs.get(name)} there, {self.identity[name]} now"))
        try:
            kept.restore(self.updater)
        except RuntimeError as error:
            raise StudyError(_other(self.out, f"another network ({' '.join(str(error).split())[:80]})")) from None
        self.epoch, self.step, self.loss_sum = progress["epoch"], progress["step"], progress["loss_sum"]
        self.seconds, self.epoch_s = progress["seconds"], progress["epoch_s"]
        self.rows = [EpochMetrics(**row) for row in progress["rows"]]
        if progress["scale"]:
            self.updater.scaler.load_state_dict(progress["scale"])

    def _check_loss(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise PlanError(
                four_parts(
                    f"the training diverged in epoch {self.epoch + 1}, step {self.step + 1}",
                    given=f"loss {loss}, lr {self.plan.lr:g}",
                    allowed="a finite loss",
                    do=f"lower lr, or use precision fp32, with another folder than {self.out}",
                )
            )


def _other(out: Path, given: str) -> str:
    return four_parts(
        "the folder holds another training",
        given=f"{out}: {given}",
        allowed="the same network, data and settings, to go on with it",
        do="choose another folder, or delete this one",
    )
