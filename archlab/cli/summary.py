"""The end of a search on the terminal: the front, the best network, where the files are."""

from typing import Any

import typer

from archlab.cli.output import table
from archlab.format import count, duration, interval, milliseconds, number, percent

__all__ = ["print_summary"]


def print_summary(study: Any, *, explain: bool) -> None:
    """Print what a search found.

    Args:
        study: The `archlab.api.studies.Study`.
        explain: Also say where the best network's multiply-adds and milliseconds go.
    """
    answer = study.to_dict()
    columns = _COLUMNS if answer["confirmed"] is None else _CONFIRMED
    table(f"front under {answer['budget_ms']:g} ms on {answer['device']}", columns, [_row(r) for r in answer["front"]])
    typer.echo(
        f"{answer['trials']} trials, {answer['unique']} distinct networks, {answer['feasible']} within budget, "
        f"{duration(answer['seconds'])}"
    )
    typer.echo(study.trust())
    if answer["confirmed"] is not None:
        typer.echo(_confirmed(answer["confirmed"], answer["budget_ms"]))
    if answer["best"] is None:
        typer.echo("no network tried is within the budget; give more trials or a larger budget")
    else:
        best = next(row for row in answer["front"] if row["digest"] == answer["best"])
        typer.echo(
            f"best: {best['digest']}, {milliseconds(best['latency_ms'])} ({best['latency_source']}), "
            f"{count(best['macs'])} MACs, {count(best['params'])} params"
        )
        if explain:
            table("where the best network's cost goes, shares of the whole", _EXPLAINED, study.explain())
        typer.echo(f"take it: archlab export {answer['out']}:{best['digest']} --format onnx --out best.onnx")
    typer.echo(f"report: {answer['out']}/report.html")


_COLUMNS = {
    "digest": "digest",
    "score": "#score",
    "latency": "#latency",
    "interval": "#interval",
    "macs": "#MACs",
    "params": "#params",
    "source": "source",
}
_CONFIRMED = {**_COLUMNS, "again": "#again", "verdict": "budget"}
_EXPLAINED = {
    "stage": "stage",
    "layers": "layers",
    "params": "#params",
    "macs": "#MACs",
    "traffic": "#traffic",
    "latency": "#latency",
}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    ends = row["latency_interval"]
    return {
        "digest": row["digest"],
        "score": number(row["score"], 4),
        "latency": milliseconds(row["latency_ms"], ends),
        "interval": interval(ends),
        "macs": count(row["macs"]),
        "params": count(row["params"]),
        "source": row["latency_source"],
        "again": None if row["again"] is None else milliseconds(row["latency_again_ms"], row["latency_again_interval"]),
        "verdict": row["again"],
    }


def _confirmed(share: dict[str, Any], budget_ms: float) -> str:
    crossing = f", {share['crossing']} cross it with their interval" if share["crossing"] else ""
    kept = f"{share['within']} of {share['networks']} within {budget_ms:g} ms{crossing}"
    return f"measured again in a fresh process: {kept}; the slowest takes {percent(share['slowest_share'])} of it"
