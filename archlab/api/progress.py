"""How far a search is: a live line on a terminal, a plain line now and then elsewhere; both on stderr."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from archlab.format import count, duration, milliseconds, number, percent

__all__ = ["facts", "show_progress"]

_EVERY_S = 10.0


@contextlib.contextmanager
def show_progress() -> Iterator[Callable[[Any], None]]:
    """Give a function that shows the `archlab.study.result.Progress` it is called with."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines()
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda progress: live.update(_grid(facts(progress)))


def facts(progress: Any) -> dict[str, str]:
    """What is worth saying of a search in flight, as heading → text."""
    total = "" if progress.trials is None else f" of {progress.trials}"
    told = {
        "phase": progress.phase,
        "trials": f"{progress.done}{total}",
        "best": "none yet",
        "feasible": percent(progress.feasible / progress.done) if progress.done else "–",
        "skipped": str(progress.skipped),
        "failed": str(progress.failed),
        "time": duration(progress.seconds),
        "left": "–" if progress.left_s is None else duration(progress.left_s),
    }
    best = progress.best
    if best is not None:
        values = best.evaluation.values
        told["best"] = (
            f"{best.digest} score {number(values['score'], 4)}, {milliseconds(values['latency_ms'])}, "
            f"{count(best.evaluation.macs)} MACs"
        )
    return told


def _grid(told: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(*(f"[dim]{heading}[/dim] {text}" for heading, text in told.items() if heading != "best"))
    outer = Table.grid()
    outer.add_row(grid)
    outer.add_row(f"[dim]best[/dim] {told['best']}")
    return outer


def _plain_lines() -> Callable[[Any], None]:
    last_s, last_phase = 0.0, "search"

    def show(progress: Any) -> None:
        nonlocal last_s, last_phase
        now = time.monotonic()
        is_last = progress.trials is not None and progress.done >= progress.trials and progress.phase == "search"
        if now - last_s < _EVERY_S and not is_last and progress.phase == last_phase:
            return
        last_s, last_phase = now, progress.phase
        line = "  ".join(f"{heading} {text}" for heading, text in facts(progress).items())
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    return show
