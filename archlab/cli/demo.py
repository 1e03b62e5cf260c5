"""archlab demo: a whole search in about a minute."""

from pathlib import Path
from typing import Annotated

import typer

from archlab.cli.output import Json, emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog="Example: archlab demo")(run)


def run(
    out: Annotated[Path, typer.Option("--out", help="Study folder.")] = Path("studies/demo"),
    trials: Annotated[int, typer.Option("--trials", min=1, help="Networks to try.")] = 40,
    json: Json = False,
) -> None:
    """Search EdgeNeXt networks for a Jetson AGX Orin within 3 ms, estimated; needs no data and no board."""
    from archlab.api.studies import search
    from archlab.cli.summary import print_summary

    study = search(budget_ms=3, device="orin", space="edgenext", trials=trials, out=out)
    if json:
        return emit(study.to_dict())
    return print_summary(study, explain=True)
