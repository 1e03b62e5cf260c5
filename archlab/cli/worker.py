"""archlab worker: help a search from another process or machine."""

from typing import Annotated

import typer

from archlab.cli.output import Json, emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "worker",
        epilog="Example: archlab worker --storage postgresql+psycopg://lab/optuna --study hybrid-orin-5ms",
    )(run)


def run(
    storage: Annotated[str, typer.Option("--storage", help="The Optuna storage URL that the search was given.")],
    study: Annotated[str, typer.Option("--study", help="The name of the study in it.")],
    json: Json = False,
) -> None:
    """Work on a study that another process started on a shared storage."""
    from archlab.api.studies import work

    answer = work(storage=storage, study=study)
    if json:
        return emit(answer)
    return typer.echo(f"{study}: {answer['trials']} trials done by this worker")
