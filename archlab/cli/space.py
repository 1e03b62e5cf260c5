"""archlab space: what can be searched, and whether a budget can be met at all."""

from collections.abc import Callable
from typing import Annotated

import typer

from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Search spaces: list them, or describe one before it is searched.", no_args_is_help=True)
    group.command("list", epilog="Example: archlab space list")(run_list)
    group.command("show", epilog="Example: archlab space show hybrid --device orin --budget-ms 5")(run_show)
    app.add_typer(group, name="space")


def run_list(json: Json = False) -> None:
    """List the search spaces that are shipped."""
    from archlab.api.spaces import space_rows
    from archlab.format import scientific

    rows = space_rows()
    if json:
        return emit(rows)
    shown = [{**row, "axes": len(row["axes"]), "size": scientific(row["size"])} for row in rows]
    return table("", {"space": "space", "family": "family", "axes": "#axes", "size": "#networks"}, shown)


def run_show(
    name: Annotated[str, typer.Argument(help="A shipped space or a YAML file.")],
    device: Annotated[str | None, typer.Option("--device", help="Also say the latency there.")] = None,
    budget_ms: Annotated[float | None, typer.Option("--budget-ms", help="Also say whether it can be met.")] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Random networks to look at.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the sample.")] = 0,
    json: Json = False,
) -> None:
    """Describe a space: axes, size, range of params, MACs and latency, and whether a budget can be met."""
    from archlab.api.spaces import show_space
    from archlab.format import count, milliseconds, scientific

    answer = show_space(name, device=device, budget_ms=budget_ms, samples=samples, seed=seed)
    if json:
        return emit(answer)
    table(
        f"{answer['space']}: {scientific(answer['size'])} networks",
        {"name": "axis", "choices": "choices", "when": "only when"},
        [{**row, "choices": ", ".join(map(str, row["choices"])), "when": row["when"] or ""} for row in answer["axes"]],
    )
    units: dict[str, Callable[[float], str]] = {"params": count, "macs": count, "latency_ms": milliseconds}
    rows = [
        {
            "what": f"{key} ({answer['latency_source']})" if key == "latency_ms" else key,
            **{end: text(answer[key][end]) for end in ("min", "median", "max")},
        }
        for key, text in units.items()
        if answer[key] is not None
    ]
    table("", {"what": f"over {samples} networks", "min": "#min", "median": "#median", "max": "#max"}, rows)
    if answer["reachable"] is not None:
        verdict = "can be met" if answer["reachable"] else "cannot be met"
        typer.echo(f"a budget of {budget_ms} ms on {device} {verdict}")
    return None
