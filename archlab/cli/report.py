"""archlab report: write a study's report again."""

from pathlib import Path
from typing import Annotated

import typer

from archlab.cli.output import Json, emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog="Example: archlab report studies/hybrid-orin-5ms")(run)


def run(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR [DIR ...]", help="Study folders.")],
    json: Json = False,
) -> None:
    """Write report.html (one file that opens offline), front.csv and the figure of the front."""
    from archlab.api.studies import report

    answer = report(*folders)
    if json:
        return emit(answer)
    for path in (answer["report"], *answer["figures"]):
        typer.echo(f"wrote {path}")
    return None
