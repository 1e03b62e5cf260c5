"""Options that several commands share, once each, so that they are called and explained the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Batch",
    "Data",
    "DeviceName",
    "Layout",
    "Model",
    "OwnModel",
    "Precision",
    "Proxies",
    "Resolution",
    "Runtime",
    "Seed",
    "Threads",
    "TrainData",
    "Weights",
]

Model = Annotated[str, typer.Argument(help="A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.")]
OwnModel = Annotated[str, typer.Argument(help="A published name, a spec file or STUDY_DIR:DIGEST.")]
Data = Annotated[
    str, typer.Option("--data", help="digits, cifar10:DIR, a folder of images by class, or an .npz (images, labels).")
]
TrainData = Annotated[
    str | None,
    typer.Option("--data", help="Images for short_train: cifar10:DIR, a folder by class, an .npz; digits if left out."),
]
Proxies = Annotated[
    list[str] | None,
    typer.Option("--proxy", help="Which score; repeat for more; all that need no training if left out."),
]
Weights = Annotated[Path | None, typer.Option("--weights", help="A safetensors file; random if left out.")]
DeviceName = Annotated[str, typer.Option("--device", help="A device of: archlab device list.")]
Runtime = Annotated[str | None, typer.Option("--runtime", help="Runtime; the device's first one if left out.")]
Precision = Annotated[str | None, typer.Option("--precision", help="fp32, fp16 or bf16; the device's own if left out.")]
Layout = Annotated[str | None, typer.Option("--layout", help="nchw (if left out) or channels_last.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Images per inference.")]
Resolution = Annotated[int | None, typer.Option("--resolution", min=1, help="Input side in pixels.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; 1 if left out.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of weights, images and all that is drawn.")]
