"""Shares of wholes as stacked bars, in two groups of parts: blues for the first, ambers for the second."""

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archlab.figures.sheet import COLOURS, plain, sheet, tidy

__all__ = ["Share", "draw_shares"]

_FIRST = ("#0b3c6f", "#0b5fa5", "#4a8fc7", "#8fbbe0", "#c3dbef")
_SECOND = ("#7a3405", "#b45309", "#d97706", "#e8a04c", "#f0bf85", "#f6d9b5", "#d6b88f", "#a98f6d", "#cfc4b2")
_LABELLED = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """One part of one bar; `is_first` says whether it belongs to the first group."""

    bar: str
    part: str
    share: float
    is_first: bool


def draw_shares(shares: Sequence[Share], *, title: str, groups: tuple[str, str], x_title: str) -> Figure:
    """Draw one bar per whole, its parts in the order in which they come first, those of the first group on the left.

    Args:
        shares: The parts, as fractions of their bar.
        title: Of the figure.
        groups: Names of the two groups; the sum of the second stands at the end of each bar.
        x_title: Of the axis of shares.
    """
    bars = list(dict.fromkeys(s.bar for s in shares))
    colours = _colours(shares)
    figure = sheet(8.0, 1.5 + 0.55 * len(bars) + 0.2 * (len(colours) // 6 + 1))
    axes = figure.add_subplot()
    tidy(axes, x_title, "", title=title)
    for height, bar in enumerate(reversed(bars)):
        _bar(axes, height, [s for s in shares if s.bar == bar], colours, groups[1])
    axes.set_yticks(range(len(bars)), [plain(bar) for bar in reversed(bars)])
    axes.set_xlim(0, 122)
    axes.set_xticks(range(0, 101, 20))
    axes.grid(visible=False, axis="y")
    for (part, is_first), colour in colours.items():
        label = f"{part} ({groups[0 if is_first else 1].partition('-')[0]})"
        axes.barh([0], [0], color=colour, label=plain(label))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28 if len(bars) < 4 else -0.12), ncols=5, fontsize=7.5,
                frameon=False)  # fmt: skip
    return figure


def _colours(shares: Sequence[Share]) -> dict[tuple[str, bool], str]:
    parts = list(dict.fromkeys((s.part, s.is_first) for s in shares if s.share > 0))
    found: dict[tuple[str, bool], str] = {}
    for is_first, palette in ((True, _FIRST), (False, _SECOND)):
        own = [part for part in parts if part[1] == is_first]
        found |= {part: palette[min(i, len(palette) - 1)] for i, part in enumerate(own)}
    return found


def _bar(axes: Axes, height: int, parts: Sequence[Share], colours: dict[tuple[str, bool], str], second: str) -> None:
    left = 0.0
    for part in sorted((p for p in parts if p.share > 0), key=lambda p: not p.is_first):
        width = 100 * part.share
        colour = colours[part.part, part.is_first]
        axes.barh([height], [width], left=[left], color=colour, height=0.62, edgecolor="white", linewidth=0.6)
        if part.share >= _LABELLED:
            axes.text(left + width / 2, height, f"{width:.0f}", ha="center", va="center", fontsize=8, color="white")
        left += width
    total = 100 * sum(p.share for p in parts if not p.is_first)
    axes.text(101, height, f"{total:.0f} % {second}", va="center", fontsize=8, color=COLOURS["published"])
