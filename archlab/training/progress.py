"""What does a training say of itself? A row per epoch, the state in between, and the result."""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

__all__ = ["EpochMetrics", "TrainProgress", "TrainResult", "to_csv"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EpochMetrics:
    """One epoch: `train_loss` under augmentation and smoothing; `val_loss` and `top1` (%) of the averaged weights.

    `lr` is the rate of the last step, `seconds` the time of the epoch with its scoring.
    """

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    top1: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainProgress:
    """A moment of a training: finished epochs, steps of the epoch in work, images per second since the start."""

    epochs: int
    steps: int
    epoch: int
    step: int
    loss: float
    images_per_s: float
    last: EpochMetrics | None

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, (self.epoch + self.step / self.steps) / self.epochs)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """How a training ended; `weights` is None while it is not finished, `seconds` counts all its parts."""

    out: Path
    checkpoint: Path
    weights: Path | None
    metrics: tuple[EpochMetrics, ...]
    seconds: float

    @property
    def is_finished(self) -> bool:
        """Whether every epoch is done."""
        return self.weights is not None

    @property
    def top1(self) -> float | None:
        """Of the last epoch (%); None before the first."""
        return self.metrics[-1].top1 if self.metrics else None


def to_csv(metrics: list[EpochMetrics]) -> str:
    """Write the rows with a heading; floats in the shortest text that reads back the same."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(EpochMetrics)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_dict() for row in metrics)
    return text.getvalue()
