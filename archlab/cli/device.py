"""archlab device: the devices and what is known of them."""

from typing import Annotated

import typer

from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Devices: list them, or show one with its calibration.", no_args_is_help=True)
    group.command("list", epilog="Example: archlab device list")(run_list)
    group.command("show", epilog="Example: archlab device show orin")(run_show)
    app.add_typer(group, name="device")


def run_list(json: Json = False) -> None:
    """List the devices: measured here, or estimated."""
    from archlab.api.devices import device_rows

    rows = device_rows()
    if json:
        return emit(rows)
    return table("", {"name": "device", "title": "what it is", "how": "latency is", "precision": "precision"}, rows)


def run_show(
    name: Annotated[str, typer.Argument(help="A device of: archlab device list.")],
    json: Json = False,
) -> None:
    """Show a device's facts and, if it is estimated, the points and held-out error of the estimate."""
    from archlab.api.devices import show_device

    answer = show_device(name)
    if json:
        return emit(answer)
    rows = [{"key": key, "value": value} for key, value in answer.items() if not isinstance(value, dict)]
    for key, value in answer.items():
        if isinstance(value, dict):
            rows += [{"key": f"{key}.{inner}", "value": item} for inner, item in value.items()]
    return table(name, {"key": "", "value": ""}, rows)
