"""archlab device: the devices, what is known of them, and the boards of your own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from archlab.cli.output import Json, emit, note, table

__all__ = ["register"]

_Name = Annotated[str, typer.Argument(help="A device of: archlab device list.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Devices: list or show them, add boards of your own, check whether they answer, calibrate the estimates.",
        no_args_is_help=True,
    )
    group.command("list", epilog="Example: archlab device list")(run_list)
    group.command("show", epilog="Example: archlab device show orin")(run_show)
    group.command("add", epilog="Example: archlab device add orin --ssh jetson@orin.local")(run_add)
    group.command("remove", epilog="Example: archlab device remove orin")(run_remove)
    group.command("check", epilog="Example: archlab device check orin")(run_check)
    group.command("calibrate", epilog="Example: archlab device calibrate orin --networks 15")(run_calibrate)
    app.add_typer(group, name="device")


def run_list(json: Json = False) -> None:
    """List the devices: measured here, or estimated."""
    from archlab.api.devices import device_rows

    rows = device_rows()
    if json:
        return emit(rows)
    columns = {"name": "device", "title": "what it is", "how": "latency is", "precision": "precision", "reach": "at"}
    return table("", columns, rows)


def run_show(name: _Name, json: Json = False) -> None:
    """Show a device's facts and, if it is calibrated, the points and held-out error of the estimate."""
    from archlab.api.devices import show_device

    answer = show_device(name)
    if json:
        return emit(answer)
    points = answer.pop("points", [])
    rows = [{"key": key, "value": value} for key, value in answer.items() if not isinstance(value, dict)]
    for key, value in answer.items():
        if isinstance(value, dict):
            rows += [{"key": f"{key}.{inner}", "value": item} for inner, item in value.items()]
    table(name, {"key": "", "value": ""}, rows)
    if points:
        _print_networks(
            "points", points, {"ms": "#is", "fitted_ms": "#fit"}, {"resolution": "#pixels", "source": "source"}
        )
    return None


def run_add(
    name: Annotated[str, typer.Argument(help="A catalog name, which becomes measured, or a name of your own.")],
    ssh: Annotated[str | None, typer.Option("--ssh", help="Where it answers: user@host or user@host:port.")] = None,
    here: Annotated[bool, typer.Option("--here", help="It is this machine: its own trtexec, without ssh.")] = False,
    python: Annotated[
        str, typer.Option("--python", help="Python there, 3.6 or newer; nothing is installed.")
    ] = "python3",
    runtime: Annotated[
        list[str] | None, typer.Option("--runtime", help="trtexec or ort; may be repeated, the first is the default.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="fp16, fp32 …; the runtime's own if left out.")
    ] = None,
    identity: Annotated[Path | None, typer.Option("--identity", help="File of a private key for ssh.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Option for ssh as Key=value, e.g. ProxyJump=gate; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Add a board that your ssh reaches; latencies on it are measured from then on.

    Its host key must be known to ssh and the login must work without a password: archlab device check NAME tells.
    """
    if (ssh is None) is not here:
        raise typer.BadParameter("give either --ssh user@host or --here", param_hint="--ssh")
    from archlab.api.devices import add_device

    answer = add_device(
        name,
        ssh=ssh,
        python=python,
        runtimes=runtime or (),
        precision=precision,
        identity=identity,
        options=option or (),
    )
    note(f"added {name}, kept in {answer['file']}; next: archlab device check {name}")
    if json:
        emit(answer)


def run_remove(
    name: Annotated[str, typer.Argument(help="A device that was added.")],
    json: Json = False,
) -> None:
    """Take out a device that was added; a catalog name is estimated again."""
    from archlab.api.devices import remove_device

    answer = remove_device(name)
    note(f"removed {name}" + (f"; it is {answer['how']} from now on" if answer["how"] else ""))
    if json:
        emit(answer)


def run_check(name: _Name, json: Json = False) -> None:
    """Say step by step whether a device can be measured, and what to do where it cannot.

    Exit status 1 when a step failed.
    """
    from archlab.api.devices import check_device

    steps = []
    for step in check_device(name):
        steps.append(step)
        if not json:
            _print_step(step)
    if json:
        emit(steps)
    if any(step["state"] == "failed" for step in steps):
        raise typer.Exit(1)


def _print_step(step: dict[str, Any]) -> None:
    detail = f": {step['detail']}" if step["detail"] else ""
    typer.echo(f"{step['state']:<10} {step['step']}{detail}")
    if step["do"]:
        typer.echo(f"{'':<10} → {step['do']}")


def run_calibrate(
    name: _Name,
    networks: Annotated[int, typer.Option("--networks", help="How many networks are measured, 10 to 20.")] = 15,
    runtime: Annotated[
        str | None, typer.Option("--runtime", help="Runtime; the device's first one if left out.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="fp32, fp16 …; the device's own if left out.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; 1 if left out.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the networks among which is chosen.")] = 0,
    json: Json = False,
) -> None:
    """Measure some networks that are far apart, and train the device's estimates on them.

    Prints the networks, and the error and Kendall's tau before and after.
    """
    from archlab.api.calibration import calibrate

    answer = calibrate(
        name,
        networks=networks,
        runtime=runtime,
        precision=precision,
        threads=threads,
        seed=seed,
        tell=lambda done, total, line: note(f"{done} of {total}  {line}"),
    )
    if json:
        return emit(answer)
    headings = {"ms": "#measured", "before_ms": "#before", "after_ms": "#after"}
    _print_networks(name, answer["networks"], headings, {"quality": "quality"})
    for model in answer["refused"]:
        note(f"left out {model['model']}: {model['why']}")
    if answer["replaced"]:
        note(f"this took the place of the calibration for: {answer['replaced']}")
    typer.echo(f"before, {answer['baseline']}: {_error(answer['before'])}")
    typer.echo(f"after, {answer['predictor']}: {_error(answer['after'])}")
    return typer.echo(f"kept in {answer['path']}; estimates of {name} rest on it from now on")


def _error(held_out: dict[str, Any]) -> str:
    within = f"{100 * held_out['within_10_share']:.0f} % within 10 %"
    return f"mean error {held_out['mean_abs_pct']:.1f} %, {within}, Kendall tau {held_out['kendall_tau']:.2f}"


def _print_networks(title: str, rows: list[dict[str, Any]], times: dict[str, str], more: dict[str, str]) -> None:
    """Print networks with their times and how far each time is off the first."""
    from archlab.format import milliseconds

    first = next(iter(times))
    shown = []
    for row in rows:
        off = {key: "" if key == first else f" ({100 * (row[key] / row[first] - 1):+.0f} %)" for key in times}
        shown.append({**row, **{key: milliseconds(row[key]) + off[key] for key in times}})
    table(title, {"model": "network", **times, **more}, shown)
