"""archlab proxy correlate: how truly do scores rank networks?"""

from pathlib import Path
from typing import Annotated, Any

import typer

from archlab.cli.options import Proxies, Seed, TrainData
from archlab.cli.output import Json, emit, table

__all__ = ["register", "run"]

_Networks = Annotated[
    Path | None,
    typer.Argument(
        metavar="NETWORKS.csv",
        help="Columns model and top1 (percent), latency_ms if known; the project's trained networks if left out.",
    ),
]


def register(group: typer.Typer) -> None:
    """Add the command to the group of scores."""
    group.command("correlate", epilog="Example: archlab proxy correlate networks.csv --proxy naswot_params")(run)


def run(
    networks: _Networks = None,
    proxy: Proxies = None,
    data: TrainData = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Ask how truly scores rank networks of known accuracy: Kendall's tau with 95 % intervals.

    Equal cost: pairs whose multiply-adds lie within a factor of 1.5; equal latency: within 1.25.
    """
    from archlab.api.correlating import correlate_rows

    rows = correlate_rows(networks, proxies=proxy, data=data, seed=seed)
    if json:
        return emit(rows)
    return _show(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    """One line per score; what it does on each set of pairs side by side."""
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        line = lines.setdefault(row["proxy"], {"proxy": row["proxy"], "seconds": _fixed(row["seconds"])})
        line[row["part"]] = f"{row['tau']:.2f} ({_fixed(row['low'])} to {_fixed(row['high'])})"
        if row["spearman"] is not None:
            line |= {"spearman": f"{row['spearman']:.2f}", "networks": row["networks"]}
    pairs = {part: max(row["pairs"] for row in rows if row["part"] == part) for part in {row["part"] for row in rows}}
    parts = [part for part in ("equal cost", "equal latency", "all pairs") if part in pairs]
    columns = {
        "proxy": "score",
        **{part: f"#{part}, {pairs[part]} pairs" for part in parts},
        "spearman": "#Spearman",
        "networks": "#networks",
        "seconds": "#seconds",
    }
    table("Kendall's tau with 95 % intervals", columns, [{**dict.fromkeys(columns), **line} for line in lines.values()])


def _fixed(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
