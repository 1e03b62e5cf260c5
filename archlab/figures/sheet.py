"""What every still picture shares: colours, an empty sheet, the look of its axes, and the two ways to write it down.

Figures are made with the object interface on the Agg canvas: no window, no global state.
"""

import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["COLOURS", "CYCLE", "plain", "png", "sheet", "svg", "tidy"]

COLOURS = {
    "ink": "#1f2933",
    "muted": "#66707c",
    "grid": "#e6e8eb",
    "front": "#0b5fa5",
    "feasible": "#7fa8cc",
    "infeasible": "#a9b0b8",
    "published": "#b45309",
    "budget": "#b3261e",
}
CYCLE = ("#0b5fa5", "#7b3fa0", "#00796b", "#a33b5c", "#5b6b00", "#37474f")
"""One colour per study, network or knob where several share an axis."""


class _Shown(Figure):
    """A figure that a notebook shows when it is the last value of a cell."""

    def _repr_png_(self) -> bytes:
        return png(self, dpi=110)


def sheet(width_in: float = 8.0, height_in: float = 4.8) -> Figure:
    """Give an empty figure of that size in inches."""
    figure = _Shown(figsize=(width_in, height_in), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, x_title: str, y_title: str, *, title: str = "") -> None:
    """Give a pair of axes its titles and the look that all share."""
    axes.set_xlabel(plain(x_title), color=COLOURS["ink"], fontsize=9.5)
    axes.set_ylabel(plain(y_title), color=COLOURS["ink"], fontsize=9.5)
    if title:
        axes.set_title(plain(title), loc="left", fontsize=11, color=COLOURS["ink"], fontweight="bold", pad=18)
    axes.grid(color=COLOURS["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=COLOURS["muted"], labelsize=8.5, length=0)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color(COLOURS["grid"])


def svg(figure: Figure) -> str:
    """Write a figure as SVG text, the same bytes for the same figure, letters as shapes."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "archlab", "svg.fonttype": "path"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def png(figure: Figure, *, dpi: int = 160) -> bytes:
    """Write a figure as PNG bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs as mathematics."""
    return text.replace("$", r"\$")
