"""archlab train: a network on images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from archlab.cli.options import Data, OwnModel, Resolution, Seed
from archlab.cli.output import Json, emit, table

__all__ = ["register"]

_Out = Annotated[Path, typer.Option("--out", help="Folder of the training; one that is there goes on.")]
_Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training images.")]
_Batch = Annotated[int, typer.Option("--batch", min=2, help="Images per step.")]
_Rate = Annotated[float, typer.Option("--lr", help="Highest learning rate.")]
_Weights = Annotated[Path | None, typer.Option("--weights", help="A safetensors file to start from.")]
_Images = Annotated[int | None, typer.Option("--images", min=2, help="Train on the first so many images only.")]
_Mixup = Annotated[float, typer.Option("--mixup", min=0, help="Alpha of mixup; 0 mixes nothing.")]
_Precision = Annotated[
    str | None, typer.Option("--precision", help="fp32, bf16 or fp16; half precision on a GPU, fp32 on a CPU.")
]
_TorchDevice = Annotated[
    str | None, typer.Option("--device", help="Where torch trains: cpu or cuda; a GPU if there is one.")
]

_EXAMPLE = "Example: archlab train edgenext_xx_small --data digits --resolution 64 --epochs 5 --out out/digits"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog=_EXAMPLE)(run)


def run(
    model: OwnModel,
    data: Data,
    out: _Out,
    epochs: _Epochs = 10,
    resolution: Resolution = None,
    seed: Seed = 0,
    batch: _Batch = 128,
    lr: _Rate = 1e-3,
    weights: _Weights = None,
    images: _Images = None,
    mixup: _Mixup = 0.0,
    precision: _Precision = None,
    device: _TorchDevice = None,
    json: Json = False,
) -> None:
    """Train a network on labelled images; the classifier is made for their classes.

    The same command with the same --out goes on where it stopped.
    """
    from archlab.api.training import train

    training = train(
        model,
        data=data,
        out=out,
        epochs=epochs,
        resolution=resolution,
        seed=seed,
        batch=batch,
        lr=lr,
        weights=weights,
        images=images,
        mixup=mixup,
        precision=precision,
        device=device,
    )
    answer = training.to_dict()
    if json:
        emit(answer)
    else:
        _show(answer)
    if not training.is_finished:
        raise KeyboardInterrupt


def _show(answer: dict[str, Any]) -> None:
    shown = [
        {
            "epoch": row["epoch"],
            "train": f"{row['train_loss']:.4f}",
            "val": f"{row['val_loss']:.4f}",
            "top1": f"{row['top1']:.2f}",
            "seconds": f"{row['seconds']:.1f}",
        }
        for row in answer["metrics"]
    ]
    columns = {"epoch": "#epoch", "train": "#train loss", "val": "#val loss", "top1": "#top-1 %", "seconds": "#s"}
    table("", columns, shown)
    typer.echo(f"network {answer['spec']}, weights {answer['weights'] or answer['checkpoint']}")
