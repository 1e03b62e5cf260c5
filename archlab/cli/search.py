"""archlab search: the best networks under a latency budget."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from archlab.cli.output import Json, emit

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search", epilog="Example: archlab search --budget-ms 5 --device orin --trials 200")(run)


def run(
    budget_ms: Annotated[float, typer.Option("--budget-ms", help="Latency budget in milliseconds.")],
    device: Annotated[str, typer.Option("--device", help="A device of: archlab device list.")],
    space: Annotated[str, typer.Option("--space", help="A shipped space or a YAML file.")] = "hybrid",
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Networks to try; 200 if --minutes is left out too.")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="Stop after so long instead.")] = None,
    proxy: Annotated[str | None, typer.Option("--proxy", help="Accuracy score of: archlab proxy list.")] = None,
    sampler: Annotated[str, typer.Option("--sampler", help="tpe, nsga2 or random.")] = "tpe",
    runtime: Annotated[str | None, typer.Option("--runtime", help="Runtime of a measured device.")] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads of a measurement; 1 if left out.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", help="Any Optuna storage URL; a journal file in the folder if left out.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of sampler, weights and images.")] = 0,
    start: Annotated[Path | None, typer.Option("--from", help="Try the front of this study first.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say where the best network's time goes.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Study folder; studies/SPACE-DEVICE-BUDGETms if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Search a space for the most accurate networks under a latency budget, and write a report.

    The same command with the same --out goes on where it stopped.
    """
    from archlab.api.studies import search
    from archlab.cli.summary import print_summary

    study = search(
        budget_ms=budget_ms,
        device=device,
        space=space,
        trials=trials,
        minutes=minutes,
        proxy=proxy,
        sampler=sampler,
        runtime=runtime,
        threads=threads,
        storage=storage,
        seed=seed,
        start=start,
        out=out,
        argv=["archlab", *sys.argv[1:]],
    )
    if json:
        emit(study.to_dict())
    else:
        print_summary(study, explain=explain)
    if not study.is_finished:
        raise KeyboardInterrupt
