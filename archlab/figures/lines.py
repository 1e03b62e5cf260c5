"""Values along an order (blocks, stages, shares) as lines with their intervals."""

import dataclasses
from collections.abc import Sequence

from matplotlib.figure import Figure

from archlab.figures.sheet import COLOURS, CYCLE, plain, sheet, tidy

__all__ = ["Line", "LinePoint", "draw_lines"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinePoint:
    """One value, with the ends of its interval where one is known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """One series; a dashed one is there for comparison and takes no colour of its own."""

    label: str
    points: tuple[LinePoint, ...]
    is_dashed: bool = False


def draw_lines(lines: Sequence[Line], *, title: str, x_title: str, y_title: str, x_names: Sequence[str] = ()) -> Figure:
    """Draw series with vertical bars for their intervals.

    Args:
        lines: The series.
        title: Of the figure.
        x_title, y_title: Of the axes.
        x_names: Names of x = 1, 2, …; none writes the numbers.
    """
    figure = sheet(8.0, 4.2)
    axes = figure.add_subplot()
    tidy(axes, x_title, y_title, title=title)
    colours = iter(CYCLE * (1 + len(lines) // len(CYCLE)))
    for line in lines:
        colour = COLOURS["infeasible"] if line.is_dashed else next(colours)
        x, y = [p.x for p in line.points], [p.y for p in line.points]
        axes.plot(x, y, color=colour, linewidth=1.4, linestyle="--" if line.is_dashed else "-", zorder=2,
                  marker=None if line.is_dashed else "o", markersize=4, label=plain(line.label))  # fmt: skip
        for p in line.points:
            if p.low is not None and p.high is not None:
                axes.vlines([p.x], [p.low], [p.high], color=colour, linewidth=2.2, alpha=0.5, zorder=1.5)
    ticks = sorted({p.x for line in lines for p in line.points})
    names = [plain(x_names[int(x) - 1]) for x in ticks] if x_names else [f"{x:g}" for x in ticks]
    axes.set_xticks(ticks, names)
    axes.legend(loc="best", fontsize=8, frameon=True, framealpha=0.92, edgecolor=COLOURS["grid"])
    return figure
