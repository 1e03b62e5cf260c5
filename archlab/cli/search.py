"""archlab search: the best networks under a latency budget."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from archlab.cli.options import DeviceName, Resolution, Runtime, Seed, Threads, TrainData
from archlab.cli.output import Json, emit, notes

__all__ = ["register"]

_Budget = Annotated[float, typer.Option("--budget-ms", help="Latency budget in milliseconds.")]
_Space = Annotated[str, typer.Option("--space", help="A shipped space or a YAML file.")]
_Trials = Annotated[
    int | None, typer.Option("--trials", min=1, help="Networks to try; 200 if --minutes is left out too.")
]
_Minutes = Annotated[float | None, typer.Option("--minutes", min=0, help="Stop after so long instead.")]
_Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy", help="Accuracy score of: archlab proxy list; published if left out, or short_train with --data."
    ),
]
_Sampler = Annotated[str, typer.Option("--sampler", help="tpe, nsga2 or random.")]
_Storage = Annotated[
    str | None, typer.Option("--storage", help="Any Optuna storage URL; a journal file in the folder if left out.")
]
_Start = Annotated[Path | None, typer.Option("--from", help="Try the front of this study first.")]
_Explain = Annotated[bool, typer.Option("--explain", help="Say where the best network's time goes.")]
_Divisor = Annotated[int, typer.Option("--stem-divisor", help="Divide the stems' strides, for small images.")]
_Classes = Annotated[int | None, typer.Option("--classes", help="Classes, beside --resolution.")]
_Out = Annotated[Path | None, typer.Option("--out", help="Study folder; studies/SPACE-DEVICE-BUDGETms if left out.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search", epilog="Example: archlab search --budget-ms 5 --device orin --trials 200")(run)


def run(
    budget_ms: _Budget,
    device: DeviceName,
    space: _Space = "hybrid",
    trials: _Trials = None,
    minutes: _Minutes = None,
    proxy: _Proxy = None,
    sampler: _Sampler = "tpe",
    runtime: Runtime = None,
    threads: Threads = None,
    storage: _Storage = None,
    seed: Seed = 0,
    start: _Start = None,
    data: TrainData = None,
    resolution: Resolution = None,
    stem_divisor: _Divisor = 1,
    classes: _Classes = None,
    explain: _Explain = False,
    out: _Out = None,
    json: Json = False,
) -> None:
    """Search a space for the most accurate networks under a latency budget, and write a report.

    The same command with the same --out goes on where it stopped.
    """
    from archlab.api.studies import search

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
        data=data,
        resolution=resolution,
        stem_divisor=stem_divisor,
        classes=classes,
        argv=["archlab", *sys.argv[1:]],
    )
    _tell(study, explain=explain, json=json)


def _tell(study: Any, *, explain: bool, json: bool) -> None:
    from archlab.cli.summary import print_summary

    answer = study.to_dict()
    notes([answer])
    if json:
        emit(answer)
    else:
        print_summary(study, explain=explain)
    if not study.is_finished:
        raise KeyboardInterrupt
