"""archlab models: every published network."""

from typing import Annotated

import typer

from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("models", epilog="Example: archlab models --family edgenext")(run)


def run(
    family: Annotated[str | None, typer.Option("--family", help="Only this family, e.g. edgenext.")] = None,
    json: Json = False,
) -> None:
    """List the published networks: size, multiply-adds, published top-1 and its source."""
    from archlab.api.networks import model_rows
    from archlab.format import count

    rows = model_rows(family)
    if json:
        return emit(rows)
    columns = {
        "name": "model",
        "family": "family",
        "resolution": "#side px",
        "params": "#params",
        "macs": "#MACs",
        "top1": "#top-1 %",
        "source": "source of top-1",
    }
    shown = [{**row, "params": count(row["params"]), "macs": count(row["macs"])} for row in rows]
    return table("", columns, shown)
