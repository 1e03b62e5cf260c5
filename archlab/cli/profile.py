"""archlab profile: what a network costs, operator by operator and layer by layer."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from archlab.cli.options import Batch, Model, Precision, Resolution, Runtime, Threads
from archlab.cli.output import Json, emit, notes, table

__all__ = ["register"]

_OPS = {"op": "operator", "kind": "kind", "count": "#calls", "macs": "#MACs", "bytes": "#traffic", "ms": "#ms"}
_LAYERS = {"layer": "layer", "macs": "#MACs", "bytes": "#traffic", "ms": "#ms", "share": "#of the time"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", epilog="Example: archlab profile efficientvit_m2 --device cpu --runtime ort --layers")(run)


def run(
    model: Model,
    device: Annotated[str | None, typer.Option("--device", help="Where the time is spent; none counts only.")] = None,
    runtime: Runtime = None,
    precision: Precision = None,
    resolution: Resolution = None,
    batch: Batch = 1,
    threads: Threads = None,
    layers: Annotated[bool, typer.Option("--layers", help="A table by entry, block and head as well.")] = False,
    json: Json = False,
) -> None:
    """Count parameters, multiply-adds, activations and traffic; with a device, say where the milliseconds go."""
    from archlab.api.costs import profile
    from archlab.format import count, percent, size

    result = profile(
        model,
        device=device,
        runtime=runtime,
        precision=precision,
        resolution=resolution,
        batch=batch,
        threads=threads,
    )
    notes([result.latency or {}])
    if json:
        return emit(result.to_dict())
    typer.echo(
        f"{result.model} ({result.digest}) at {result.resolution} px, batch {batch}: {count(result.params)} params, "
        f"{count(result.macs)} MACs, {count(result.activation_elems)} activations, {size(result.traffic_bytes)} traffic"
    )
    if result.latency is not None:
        typer.echo(result.latency_line())
    if (line := result.joined_line()) is not None:
        typer.echo(line)
    typer.echo(f"memory-bound: {percent(result.memory_bound_share)} of {result.memory_bound_basis}")
    table("", _OPS, _shown(result.ops))
    if layers:
        table("", _LAYERS, _shown({**row, "layer": row["layer"] or "(not known)"} for row in result.layers))
    return None


def _shown(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    from archlab.format import count, milliseconds, percent, size

    return [
        {
            **row,
            "macs": count(row["macs"]),
            "bytes": size(row["bytes"]),
            "ms": None if row["ms"] is None else milliseconds(row["ms"]),
            "share": None if row.get("share") is None else percent(row["share"]),
        }
        for row in rows
    ]
