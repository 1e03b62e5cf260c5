"""archlab prune: a smaller network out of a trained one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from archlab.cli.options import Data, OwnModel, Runtime, Seed, Weights
from archlab.cli.output import Json, emit, table

__all__ = ["register"]

_Out = Annotated[Path, typer.Option("--out", help="Folder of spec.yaml, weights.safetensors and kept.csv.")]
_Keep = Annotated[
    float | None, typer.Option("--keep", help="Share of the prunable channels to keep; 0.7 without any target.")
]
_Macs = Annotated[float | None, typer.Option("--macs", help="Share of the multiply-adds to keep.")]
_Speedup = Annotated[float | None, typer.Option("--speedup", help="How many times faster, on --device.")]
_Device = Annotated[
    str | None, typer.Option("--device", help="Where --speedup holds: a device of archlab device list; cpu.")
]
_Finetune = Annotated[int, typer.Option("--finetune-epochs", min=0, help="Passes over the training images afterwards.")]
_Criterion = Annotated[str, typer.Option("--criterion", help="taylor; magnitude and random are there to compare with.")]
_Images = Annotated[int, typer.Option("--images", min=1, help="Images that the importance is averaged over.")]

_EXAMPLE = "Example: archlab prune edgenext_xx_small --data digits --weights w.safetensors --macs 0.6 --out out/pruned"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("prune", epilog=_EXAMPLE)(run)


def run(
    model: OwnModel,
    data: Data,
    out: _Out,
    weights: Weights = None,
    keep: _Keep = None,
    macs: _Macs = None,
    speedup: _Speedup = None,
    device: _Device = None,
    runtime: Runtime = None,
    finetune_epochs: _Finetune = 0,
    criterion: _Criterion = "taylor",
    images: _Images = 128,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Drop the least important channels of a network; what is left is a spec with weights, ready for every command."""
    from archlab.api.pruning import prune

    found = prune(
        model,
        data=data,
        out=out,
        weights=weights,
        keep=keep,
        macs=macs,
        speedup=speedup,
        device=device,
        runtime=runtime,
        finetune_epochs=finetune_epochs,
        criterion=criterion,
        images=images,
        seed=seed,
    )
    answer = found.to_dict()
    if json:
        emit(answer)
    else:
        _show(answer)
    if not found.is_finished:
        raise KeyboardInterrupt


def _show(answer: dict[str, Any]) -> None:
    from archlab.format import count, milliseconds, percent

    rows = [{**row, "share": percent(row["after"] / row["before"])} for row in answer["kept"]]
    columns = {"stage": "#stage", "role": "role", "before": "#before", "after": "#after", "share": "#kept"}
    table("", columns, rows)
    before = answer["before"]
    typer.echo(
        f"{count(before['macs'])} → {count(answer['macs'])} MACs, "
        f"{count(before['params'])} → {count(answer['params'])} parameters"
    )
    if "latency" in answer:
        told = answer["latency"]
        typer.echo(f"{milliseconds(told['before_ms'])} → {milliseconds(told['after_ms'])}, {told['source']}")
    typer.echo("top-1 " + ", ".join(f"{when} {value:.1f} %" for when, value in answer["top1"].items()))
    typer.echo(f"network {answer['spec']}, weights {answer['weights']}")
