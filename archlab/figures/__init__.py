"""Still pictures (SVG, PNG): the one room that imports matplotlib; one file per kind of picture."""

from archlab.figures.front import FORMS, FrontPicture, FrontPoint, draw_front, label_sides, published_labels, view
from archlab.figures.lines import Line, LinePoint, draw_lines
from archlab.figures.shares import Share, draw_shares
from archlab.figures.sheet import COLOURS, CYCLE, png, svg
from archlab.figures.shifts import Shift, draw_shifts

__all__ = [
    "COLOURS",
    "CYCLE",
    "FORMS",
    "FrontPicture",
    "FrontPoint",
    "Line",
    "LinePoint",
    "Share",
    "Shift",
    "draw_front",
    "draw_lines",
    "draw_shares",
    "draw_shifts",
    "label_sides",
    "png",
    "published_labels",
    "svg",
    "view",
]
