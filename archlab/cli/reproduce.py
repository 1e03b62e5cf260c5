"""archlab reproduce: the tables and figures of the papers, run again."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from archlab.cli.options import Runtime, Seed, Threads
from archlab.cli.output import Json, emit, note, table

__all__ = ["register"]

_LIST = {"artifact": "artifact", "source": "source", "needs": "needs"}
_ROWS = {
    "setting": "setting",
    "metric": "metric",
    "paper": "#paper",
    "ours": "#ours",
    "unit": "unit",
    "paper_status": "the paper's value",
    "ours_source": "ours",
}
_CLAIMS = {"claim": "claim", "verdict": "verdict", "detail": "because"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reproduce", epilog="Example: archlab reproduce edgenext_table1; archlab reproduce list")(run)


def run(
    name: Annotated[str, typer.Argument(help="list, or the name of an artifact.")],
    device: Annotated[str, typer.Option("--device", help="Where latencies are measured.")] = "cpu",
    runtime: Runtime = None,
    threads: Threads = None,
    count_only: Annotated[bool, typer.Option("--count-only", help="Measure nothing.")] = False,
    trained: Annotated[
        str | None, typer.Option("--trained", help="Folder of networks trained at small scale: studies/trained.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Images those networks were trained on: cifar10:DIR, or an .npz.")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train the small networks first, into --trained.")] = False,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the images, with --train.")] = 1,
    images: Annotated[int | None, typer.Option("--images", min=2, help="Train on the first so many images.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Run a table or figure of a paper again: the paper's value beside ours, and a verdict in words."""
    from archlab.api.papers import artifact_rows, reproduce

    if name == "list":
        rows = artifact_rows()
        return emit(rows) if json else table("", _LIST, rows)
    place = None if count_only else device
    document = reproduce(
        name,
        device=place,
        runtime=runtime,
        threads=threads,
        trained=trained,
        data=data,
        train=train,
        epochs=epochs,
        images=images,
        seed=seed,
        tell=note,
    ).to_dict()
    if json:
        return emit(document)
    typer.echo(document["source"])
    table("", _ROWS, _shown(document["rows"]))
    table("", _CLAIMS, document["claims"])
    typer.echo(f"verdict: {document['verdict']} ({document['because']})")
    return None


def _shown(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "paper": _text(row["paper"]),
            "ours": _text(row["ours"]),
            "ours_source": row["ours_source"] or row["lack"],
        }
        for row in rows
    ]


def _text(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
