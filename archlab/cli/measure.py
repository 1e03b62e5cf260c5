"""archlab measure: how long networks take on a device."""

from typing import Annotated

import typer

from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("measure", epilog="Example: archlab measure edgenext_xx_small efficientvit_m2 --device cpu")(run)


def run(
    models: Annotated[list[str], typer.Argument(help="Names, spec files, STUDY_DIR:DIGEST or timm:NAME.")],
    device: Annotated[str, typer.Option("--device", help="A device of: archlab device list.")],
    runtime: Annotated[
        str | None, typer.Option("--runtime", help="Runtime; the device's first one if left out.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="fp32, fp16 …; the device's own if left out.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images per inference.")] = 1,
    resolution: Annotated[int | None, typer.Option("--resolution", min=1, help="Input side in pixels.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    json: Json = False,
) -> None:
    """Measure latency; a device that cannot be reached is estimated, and the answer says so."""
    from archlab.api.timing import measure_rows
    from archlab.format import interval, milliseconds

    rows = measure_rows(
        models,
        device=device,
        runtime=runtime,
        precision=precision,
        batch=batch,
        resolution=resolution,
        threads=threads,
    )
    if json:
        return emit(rows)
    shown = [
        {
            **row,
            "median": milliseconds(row["median_ms"]),
            "interval": interval((row["ci95_ms"][0], row["ci95_ms"][1])),
            "p90": None if row["p90_ms"] is None else milliseconds(row["p90_ms"]),
        }
        for row in rows
    ]
    columns = {
        "model": "model",
        "median": "#median",
        "interval": "#interval",
        "p90": "#p90",
        "n": "#runs",
        "quality": "quality",
        "precision": "precision",
        "source": "source",
    }
    return table("", columns, shown)
