"""archlab proxy: accuracy scores without training."""

import typer

from archlab.cli import correlate
from archlab.cli.options import OwnModel, Proxies, Seed, TrainData
from archlab.cli.output import Json, emit, table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Accuracy scores: list them, score a network, or ask how truly they rank.", no_args_is_help=True
    )
    group.command("list", epilog="Example: archlab proxy list")(run_list)
    group.command("score", epilog="Example: archlab proxy score edgenext_small --proxy naswot")(run_score)
    correlate.register(group)
    app.add_typer(group, name="proxy")


def run_list(json: Json = False) -> None:
    """List the scores and where they come from."""
    from archlab.api.scores import proxy_rows

    rows = proxy_rows()
    if json:
        return emit(rows)
    return table("", {"name": "score", "title": "what it is", "default": "default", "source": "source"}, rows)


def run_score(
    model: OwnModel,
    proxy: Proxies = None,
    seed: Seed = 0,
    data: TrainData = None,
    json: Json = False,
) -> None:
    """Score a network; higher is better, and only values of one score compare.

    published predicts ImageNet-1k top-1 at one training recipe, with a 90 % interval; its note says where it
    extrapolates.
    """
    from archlab.api.scores import score_rows
    from archlab.cli.output import note, notes

    rows = score_rows(model, proxies=proxy, seed=seed, data=data, on_skip=note)
    notes(rows)
    if json:
        return emit(rows)
    shown = [{**row, "score": f"{row['score']:.5g}", "seconds": f"{row['seconds']:.2f}"} for row in rows]
    columns = {"proxy": "score", "score": "#value", "seconds": "#seconds"}
    if any(row["interval"] for row in rows):
        columns["interval"] = "90 % interval"
        shown = [{**row, "interval": row["interval"] and "{:.1f} to {:.1f}".format(*row["interval"])} for row in shown]
    return table("", columns, shown)
