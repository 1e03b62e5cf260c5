"""archlab export: take a network elsewhere."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from archlab.cli.options import Model, Resolution, Weights
from archlab.cli.output import Json, emit

__all__ = ["register"]


class Format(enum.StrEnum):
    """What can be written."""

    onnx = "onnx"
    safetensors = "safetensors"
    spec = "spec"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog="Example: archlab export edgenext_small --format onnx --out edgenext_small.onnx")(run)


def run(
    model: Model,
    format: Annotated[Format, typer.Option("--format", help="onnx (folded for inference), safetensors or spec.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    weights: Weights = None,
    resolution: Resolution = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images per inference (onnx).")] = 1,
    json: Json = False,
) -> None:
    """Write a network as ONNX, its weights as safetensors, or its spec as YAML."""
    from archlab.api.exporting import export
    from archlab.format import size

    answer = export(model, format=format.value, out=out, weights=weights, resolution=resolution, batch=batch)
    if json:
        return emit(answer)
    return typer.echo(f"wrote {answer['path']} ({answer['format']}, {size(answer['bytes'])})")
