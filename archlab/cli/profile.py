"""archlab profile: what a network costs, operator by operator."""

from typing import Annotated

import typer

from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", epilog="Example: archlab profile efficientvit_b1 --device orin --resolution 288")(run)


def run(
    model: Annotated[str, typer.Argument(help="A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.")],
    device: Annotated[str | None, typer.Option("--device", help="Where the time is spent; none counts only.")] = None,
    resolution: Annotated[int | None, typer.Option("--resolution", min=1, help="Input side in pixels.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images per inference.")] = 1,
    json: Json = False,
) -> None:
    """Count parameters, multiply-adds, activations and traffic; with a device, also time per operator."""
    from archlab.api.costs import profile
    from archlab.format import count, milliseconds, percent, size

    result = profile(model, device=device, resolution=resolution, batch=batch)
    if json:
        return emit(result.to_dict())
    rows = [
        {
            **row,
            "macs": count(row["macs"]),
            "bytes": size(row["bytes"]),
            "ms": None if row["ms"] is None else milliseconds(row["ms"]),
        }
        for row in result.ops
    ]
    typer.echo(
        f"{result.model} ({result.digest}) at {result.resolution} px, batch {batch}: {count(result.params)} params, "
        f"{count(result.macs)} MACs, {count(result.activation_elems)} activations, {size(result.traffic_bytes)} traffic"
    )
    if result.latency is not None:
        typer.echo(result.latency_line())
    typer.echo(f"memory-bound: {percent(result.memory_bound_share)} of {result.memory_bound_basis}")
    return table(
        "",
        {"op": "operator", "kind": "kind", "count": "#calls", "macs": "#MACs", "bytes": "#traffic", "ms": "#ms"},
        rows,
    )
