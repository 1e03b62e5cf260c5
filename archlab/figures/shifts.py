"""How far do two quantities move together? One point per change, and the line on which both move alike."""

import dataclasses
from collections.abc import Sequence

from matplotlib.figure import Figure

from archlab.figures.front import label_sides
from archlab.figures.sheet import COLOURS, plain, sheet, tidy

__all__ = ["Shift", "draw_shifts"]

_COLOURS = ("#0b5fa5", "#b45309", "#00796b", "#7b3fa0", "#a33b5c", "#5b6b00", "#37474f", "#d97706", "#4a8fc7",
            "#66707c", "#8c6bb1", "#2e7d32")  # fmt: skip
_MARKS = "osD^vP"
_NAMED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shift:
    """One change of both, in percent; a hollow point is level within the noise."""

    group: str
    x: float
    y: float
    label: str
    is_hollow: bool = False


def draw_shifts(shifts: Sequence[Shift], *, title: str, x_title: str, y_title: str) -> Figure:
    """Draw every change, and name those that lie farthest from the line on which both move alike.

    Args:
        shifts: The changes.
        title: Of the figure.
        x_title, y_title: Of the axes.
    """
    width, height = 8.6, 5.4
    figure = sheet(width, height)
    axes = figure.add_subplot()
    tidy(axes, x_title, y_title, title=title)
    for i, group in enumerate(dict.fromkeys(s.group for s in shifts)):
        colour, mark = _COLOURS[i % len(_COLOURS)], _MARKS[i % len(_MARKS)]
        own = [s for s in shifts if s.group == group]
        axes.scatter([s.x for s in own], [s.y for s in own], s=26, marker=mark, linewidths=1.0, edgecolors=colour,
                     facecolors=["none" if s.is_hollow else colour for s in own], label=plain(group),
                     zorder=3)  # fmt: skip
    axes.axhline(0, color=COLOURS["muted"], linewidth=0.8, zorder=1)
    axes.axvline(0, color=COLOURS["muted"], linewidth=0.8, zorder=1)
    axes.axline((0, 0), slope=1, color=COLOURS["infeasible"], linestyle=(0, (5, 3)), linewidth=1.1, zorder=1)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    named = sorted(shifts, key=lambda s: -abs(s.y - s.x))[:_NAMED]
    aspect = width / height

    def place(s: Shift) -> tuple[float, float]:
        return (s.x - left) / (right - left) * aspect, (s.y - low) / (high - low)

    sides = label_sides([place(s) for s in named], [s.label for s in named], hard=[],
                        soft=[place(s) for s in shifts if s not in named], right=aspect, em=0.026)  # fmt: skip
    offsets = {"right": (6, 0, "left", "center"), "left": (-6, 0, "right", "center"),
               "top": (0, 6, "center", "bottom"), "bottom": (0, -6, "center", "top")}  # fmt: skip
    for s, side in zip(named, sides, strict=True):
        if side is not None:
            dx, dy, ha, va = offsets[side]
            axes.annotate(plain(s.label), (s.x, s.y), xytext=(dx, dy), textcoords="offset points", fontsize=7, ha=ha,
                          va=va, color=COLOURS["ink"])  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    axes.legend(loc="upper left", fontsize=7.5, frameon=True, framealpha=0.92, edgecolor=COLOURS["grid"], ncols=2)
    return figure
