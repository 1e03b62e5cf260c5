"""archlab analyze: why a network is as fast, and as good, as it is."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from archlab.cli.options import Model, Precision, Resolution, Runtime, Threads
from archlab.cli.output import Json, emit, table

__all__ = ["register"]

_Name = Annotated[str, typer.Argument(help="memory_bound, head_similarity, redundancy or sensitivity.")]
_Data = Annotated[
    str | None,
    typer.Option("--data", help="digits, cifar10:DIR, a folder by class or an .npz; generated images if left out."),
]
_Weights = Annotated[
    str | None, typer.Option("--weights", help="A safetensors file; without one the weights are random.")
]
_Device = Annotated[
    str | None, typer.Option("--device", help="A device of: archlab device list; the analysis's own if left out.")
]
_Batch = Annotated[int | None, typer.Option("--batch", min=1, help="Images per inference; 1 if left out.")]
_Images = Annotated[
    int | None, typer.Option("--images", min=2, help="head_similarity, redundancy: how many images; 256.")
]
_Formula = Annotated[
    str | None, typer.Option("--formula", help="head_similarity: mean over the heads (if left out), or max of all.")
]
_Knobs = Annotated[
    list[str] | None, typer.Option("--knob", help="sensitivity: a knob to turn; may be repeated; all if left out.")
]
_Proxy = Annotated[str | None, typer.Option("--proxy", help="sensitivity: the score; see archlab proxy list.")]
_Keep = Annotated[float | None, typer.Option("--keep", help="redundancy: share of the channels that stays.")]
_Seed = Annotated[int | None, typer.Option("--seed", help="Seed of all that is drawn; 0 if left out.")]
_Out = Annotated[str, typer.Option("--out", help="Folder for the figure and the table.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("analyze", epilog="Example: archlab analyze memory_bound efficientvit_m2 --device cpu --runtime torch")(
        run
    )


def run(
    name: _Name,
    model: Model,
    data: _Data = None,
    weights: _Weights = None,
    device: _Device = None,
    runtime: Runtime = None,
    precision: Precision = None,
    batch: _Batch = None,
    resolution: Resolution = None,
    threads: Threads = None,
    images: _Images = None,
    formula: _Formula = None,
    knob: _Knobs = None,
    proxy: _Proxy = None,
    keep: _Keep = None,
    seed: _Seed = None,
    out: _Out = "analyses",
    json: Json = False,
) -> None:
    """Explain a network: its rows, one figure, and what they say in one sentence."""
    from archlab.api.analyses import analyze_document, shown_columns

    document = analyze_document(
        name,
        model,
        out=out,
        data=data,
        weights=weights,
        device=device,
        resolution=resolution,
        runtime=runtime,
        precision=precision,
        batch=batch,
        threads=threads,
        images=images,
        formula=formula,
        knobs=tuple(knob) if knob else None,
        proxy=proxy,
        keep=keep,
        seed=seed,
    )
    if json:
        return emit(document)
    rows = [_shown(row) for row in document["rows"]]
    table("", {key: key if key in _TEXTS else f"#{key}" for key in shown_columns(name)}, rows)
    typer.echo(document["finding"])
    typer.echo(f"figure: {document['figure']}, table: {document['table']}")
    return None


_TEXTS = {"kind", "bound", "path", "knob", "place", "before", "after", "verdict", "role", "stage", "why"}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    from archlab.format import number

    return {key: number(value) if isinstance(value, float) else value for key, value in row.items()}
