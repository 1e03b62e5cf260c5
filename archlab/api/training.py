"""Train a network on images of one's own."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from archlab.api.arguments import checked
from archlab.api.exporting import spec_yaml
from archlab.api.target import resolve
from archlab.errors import SpecError, StudyError, four_parts
from archlab.files import write_text
from archlab.model import weights as weights_file
from archlab.model.build import build, check
from archlab.spec import ArchSpec
from archlab.training.data import load_data
from archlab.training.loop import train as train_module
from archlab.training.plan import TrainPlan
from archlab.training.progress import TrainProgress, TrainResult

__all__ = ["Training", "show_training", "train"]

_EVERY_S = 10.0


class Training:
    """What `train` gives: the metrics as a table, and where the files are."""

    def __init__(self, model: str, spec: ArchSpec, spec_path: Path, result: TrainResult) -> None:
        self.model, self.spec, self.spec_path, self.result = model, spec, spec_path, result

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per epoch: lr, train_loss, val_loss, top1 (%) and seconds."""
        return pd.DataFrame([row.to_dict() for row in self.result.metrics])

    @property
    def top1(self) -> float | None:
        """Share of right answers (%) after the last epoch, on the images held out; None before the first."""
        return self.result.top1

    @property
    def weights(self) -> Path | None:
        """The final weights; None while the training is not finished."""
        return self.result.weights

    @property
    def is_finished(self) -> bool:
        """Whether every epoch is done; after an interrupt the same call goes on."""
        return self.result.is_finished

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        result = self.result
        return {
            "model": self.model,
            "digest": self.spec.digest,
            "out": str(result.out),
            "spec": str(self.spec_path),
            "checkpoint": str(result.checkpoint),
            "weights": None if result.weights is None else str(result.weights),
            "top1": result.top1,
            "seconds": round(result.seconds, 3),
            "is_finished": result.is_finished,
            "metrics": [row.to_dict() for row in result.metrics],
        }


@checked
def train(
    model: str,
    *,
    data: str | Path,
    out: str | Path,
    epochs: int = 10,
    resolution: int | None = None,
    seed: int = 0,
    batch: int = 128,
    lr: float = 1e-3,
    weights: str | Path | None = None,
    images: int | None = None,
    mixup: float = 0.0,
    precision: str | None = None,
    device: str | None = None,
) -> Training:
    """Train a network on labelled images, or go on with the training that `out` holds.

    The network is built for the classes of the data and, with `resolution`, for another input side; the images are
    scaled to it. `al.create(OUT/spec.yaml, weights=OUT/weights.safetensors)` gives the trained network.

    Args:
        model: A published name, a spec file or STUDY_DIR:DIGEST.
        data: ``digits``, ``cifar10:DIR``, a folder of images by class, or an ``.npz`` with images and labels.
        out: Folder of `spec.yaml`, `metrics.csv`, `checkpoint.safetensors` and, in the end, `weights.safetensors`.
        epochs: Passes over the training images.
        resolution: Input side in pixels; None keeps the network's own.
        seed: Of the first weights, the order and the variation of the images.
        batch: Images per step.
        lr: The highest learning rate of AdamW.
        weights: A safetensors file to start from; None draws random weights.
        images: Train on the first so many images only; None takes all.
        mixup: Alpha of mixup; 0 mixes nothing.
        precision: fp32, bf16 or fp16; None takes bf16 or fp16 on a GPU, fp32 on a CPU.
        device: Where torch trains, e.g. ``cuda``; None takes a GPU if there is one.

    Raises:
        PlanError: If the data cannot be read, a number is out of range, or the training diverges.
        StudyError: If `out` holds another training.
    """
    target = resolve(model).at(resolution)
    spec = _spec_of(model, target.spec)
    dataset = load_data(data, side=target.resolution).first(images)
    spec = spec.replace(classes=dataset.classes)
    check(spec)
    plan = TrainPlan(
        resolution=target.resolution,
        epochs=epochs,
        batch=batch,
        lr=lr,
        seed=seed,
        mixup=mixup,
        precision=precision,
        device=device,
    )
    module = build(spec, seed=seed)
    if weights is not None:
        weights_file.load(module, Path(weights), family=target.family)
    spec_path = _write_spec(spec, Path(out))
    with show_training() as show:
        result = train_module(module, dataset, plan, out=Path(out), on_progress=show)
    if not result.is_finished:
        sys.stderr.write(f"stopped in epoch {len(result.metrics) + 1} of {epochs}; the same call goes on from there\n")
    return Training(model, spec, spec_path, result)


def _spec_of(model: str, spec: ArchSpec | None) -> ArchSpec:
    if spec is None or spec.head is None:
        raise SpecError(
            four_parts(
                "no classifier of archlab to train" if spec is None else "the network has no head to train",
                given=model,
                allowed="a published name, a spec file with a head, or STUDY_DIR:DIGEST",
                do="choose another model, or train your own module with archlab.training.loop.train",
            )
        )
    return spec


def _write_spec(spec: ArchSpec, out: Path) -> Path:
    """Write the spec where the training lives, unless that is another one's."""
    path, text = out / "spec.yaml", spec_yaml(spec)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise StudyError(
            four_parts(
                "the folder holds the training of another network",
                given=f"{path}, now {spec.digest}",
                allowed="the same network, to go on with it",
                do="choose another folder, or delete this one",
            )
        )
    try:
        write_text(path, text)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise StudyError(
            four_parts(
                "cannot make the folder of the training",
                given=f"{out} ({error.strerror})",
                allowed="a folder that can be written",
                do="choose another folder (out)",
            )
        ) from None
    return path


@contextlib.contextmanager
def show_training() -> Iterator[Callable[[TrainProgress], None]]:
    """A bar on a terminal, a plain line now and then elsewhere; both on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines()
        return
    columns: Sequence[Any] = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=1.0)
        yield lambda told: bar.update(task, completed=told.share, description=_line(told))


def _line(told: TrainProgress) -> str:
    top1 = "–" if told.last is None else f"{told.last.top1:.1f} %"
    epoch = min(told.epoch + 1, told.epochs)
    return f"epoch {epoch} of {told.epochs}  loss {told.loss:.3f}  top-1 {top1}  {told.images_per_s:.0f} images/s"


def _plain_lines() -> Callable[[TrainProgress], None]:
    last_s, last_epoch = time.monotonic(), 0

    def show(told: TrainProgress) -> None:
        nonlocal last_s, last_epoch
        now = time.monotonic()
        if now - last_s < _EVERY_S and told.epoch == last_epoch:
            return
        last_s, last_epoch = now, told.epoch
        sys.stderr.write(_line(told) + "\n")
        sys.stderr.flush()

    return show
