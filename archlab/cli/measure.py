"""archlab measure: how long networks take on a device."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from archlab.cli.options import Batch, DeviceName, Layout, Precision, Resolution, Runtime, Threads
from archlab.cli.output import Json, emit, notes, table

__all__ = ["register"]

_COLUMNS = {
    "model": "model",
    "median": "#median",
    "interval": "#interval",
    "p90": "#p90",
    "n": "#runs",
    "quality": "quality",
    "precision": "precision",
    "energy": "#energy",
    "source": "source",
}
_Models = Annotated[list[str], typer.Argument(help="Names, spec files, STUDY_DIR:DIGEST or timm:NAME.")]
_Energy = Annotated[bool, typer.Option("--energy", help="Read the power in a loop of 3 s, where the device tells it.")]
_Paired = Annotated[
    bool, typer.Option("--paired", help="Compare two networks run in turns: which is faster, and by how much.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("measure", epilog="Example: archlab measure edgenext_xx_small efficientvit_m2 --device cpu")(run)


def run(
    models: _Models,
    device: DeviceName,
    runtime: Runtime = None,
    precision: Precision = None,
    layout: Layout = None,
    batch: Batch = 1,
    resolution: Resolution = None,
    threads: Threads = None,
    energy: _Energy = False,
    paired: _Paired = False,
    json: Json = False,
) -> None:
    """Measure latency; a device that cannot be reached is estimated, and the answer says so."""
    asked: dict[str, Any] = {
        "device": device,
        "runtime": runtime,
        "precision": precision,
        "layout": layout,
        "batch": batch,
        "resolution": resolution,
        "threads": threads,
    }
    if paired:
        _tell_pair(models, json, **asked)
    else:
        _tell(models, energy, json, **asked)


def _tell(models: Sequence[str], energy: bool, json: bool, **options: Any) -> None:
    from archlab.api.timing import measure_rows

    rows = measure_rows(models, energy=energy, **options)
    notes(rows)
    if json:
        return emit(rows)
    columns = {key: heading for key, heading in _COLUMNS.items() if energy or key != "energy"}
    return table("", columns, _shown(rows))


def _tell_pair(models: Sequence[str], json: bool, **options: Any) -> None:
    from archlab.api.comparing import compare_row
    from archlab.format import milliseconds, number

    if len(models) != 2:
        raise typer.BadParameter(f"--paired compares two models, {len(models)} were given")
    row = compare_row(models[0], models[1], **options)
    if json:
        return emit(row)
    shown = {
        **row,
        "a_ms": milliseconds(row["a_ms"]),
        "b_ms": milliseconds(row["b_ms"]),
        "ratio": number(row["ratio"], 4),
        "ci95": f"{row['ci95'][0]:.4f}–{row['ci95'][1]:.4f}",
        "verdict": f"{row['a']} is {row['verdict']}",
    }
    columns = {"a": "a", "b": "b", "a_ms": "#a", "b_ms": "#b", "ratio": "#a / b", "ci95": "#interval"}
    return table("", columns | {"verdict": "verdict", "pairs": "#pairs", "source": "source"}, [shown])


def _shown(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    from archlab.format import interval, milliseconds, number

    return [
        {
            **row,
            "median": milliseconds(row["median_ms"]),
            "interval": interval((row["ci95_ms"][0], row["ci95_ms"][1])),
            "p90": None if row["p90_ms"] is None else milliseconds(row["p90_ms"]),
            "energy": None if row.get("energy_mj") is None else f"{number(row['energy_mj'])} mJ",
        }
        for row in rows
    ]
