"""archlab doctor: is everything in place."""

import typer

from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="Example: archlab doctor")(run)


def run(json: Json = False) -> None:
    """Check the installation: versions, runtimes, optional extras, devices that answer."""
    from archlab.api.devices import doctor_rows

    rows = doctor_rows()
    if json:
        return emit(rows)
    return table("", {"check": "check", "state": "state", "detail": "detail"}, rows)
