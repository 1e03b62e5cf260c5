"""The front as a still picture (SVG, PNG).

A marker's shape says how a latency came about (circle: by a clock, diamond: by an estimate, square: as published), its
colour what the point is. Only clocked fronts are joined by a step: between estimates there is nothing to join.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from archlab.figures.sheet import COLOURS, CYCLE, plain, sheet, tidy

__all__ = ["FORMS", "FrontPicture", "FrontPoint", "draw_front", "label_sides", "published_labels", "view"]

FORMS = {"measured": "circle", "estimated": "diamond", "published": "square"}
"""Kind of a latency's source → marker shape."""
_TITLES = {
    "infeasible": "over the budget",
    "feasible": "within the budget",
    "tie": "level with the front within the noise",
}
_MARKS = {"circle": "o", "diamond": "D", "square": "s"}
Place = tuple[float, float]
_Box = tuple[float, float, float, float]
_SIDES = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "top": (0.0, 1.0), "bottom": (0.0, -1.0)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """One network in the picture; `role` is front, tie, feasible, infeasible or published.

    A tie is off the front by no more than noise; `kind` is that of the latency's source.
    """

    latency_ms: float
    score: float
    role: str
    kind: str
    label: str = ""
    interval_ms: tuple[float, float] | None = None
    study: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontPicture:
    """All that shares one pair of axes: one device, one runtime, one precision, one score."""

    points: tuple[FrontPoint, ...]
    latency_title: str
    score_title: str
    title: str = ""
    budgets_ms: tuple[float, ...] = ()


def view(points: Sequence[FrontPoint], budgets_ms: Sequence[float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Choose the part of the plane to show first: up to 1.6 times the budget, and the scores that lie there.

    Without a front it reaches beyond the faster half of the points, wherever the budget is.

    Returns:
        The ends of the latency axis (ms) and of the score axis.
    """
    front = [p for p in points if p.role == "front"]
    ends = [p.interval_ms[1] if p.interval_ms else p.latency_ms for p in front]
    latencies = sorted(p.latency_ms for p in points) or [1.0]
    wanted = max([1.6 * budget for budget in budgets_ms] + ends) if front else 1.25 * latencies[len(latencies) // 2]
    right = 1.04 * max([min(wanted, latencies[-1]), *ends, *budgets_ms])
    seen = [p.score for p in points if p.latency_ms <= right] or [p.score for p in points] or [0.0, 1.0]
    pad = 0.06 * (max(seen) - min(seen)) or 0.05 * abs(max(seen)) or 1.0
    return (0.0, right), (min(seen) - pad, max(seen) + pad)


def label_sides(
    places: Sequence[Place],
    labels: Sequence[str],
    *,
    hard: Sequence[Place],
    soft: Sequence[Place],
    right: float,
    em: float,
) -> list[str | None]:
    """Choose for each label the side of its marker where it covers no other label and as few markers as can be.

    Args:
        places: Marker centres as `(x, y)`, both in heights of the plot, from its lower left corner.
        labels: Their texts; an empty text needs no side.
        hard: Centres of markers that no label may cover.
        soft: Centres of markers that a label covers only when it must.
        right: Right end of the plot, in heights.
        em: Height of the letters, in heights of the plot.

    Returns:
        For each label ``right``, ``left``, ``top`` or ``bottom``; None where no side is free.
    """
    taken = [_mark_box(place, em) for place in [*places, *hard]]
    crowd = [_mark_box(place, em) for place in soft]
    chosen: list[str | None] = []
    for place, label in zip(places, labels, strict=True):
        boxes = {side: _box(place, label, side, em) for side in _SIDES}
        free = [side for side, box in boxes.items() if _is_inside(box, right) and not _hits(box, taken)]
        side = min(free, key=lambda side: _hits(boxes[side], crowd), default=None) if label else None
        chosen.append(side)
        if side:
            taken.append(boxes[side])
    return chosen


def published_labels(
    points: Sequence[FrontPoint], xlim: tuple[float, float], ylim: tuple[float, float], aspect: float, em: float
) -> list[tuple[FrontPoint, str | None]]:
    """Give each published point in view the side of its label, see `label_sides`; front points stay readable.

    Args:
        points: Every point of the picture.
        xlim, ylim: Ends of the latency axis and of the score axis.
        aspect: Width of the plot divided by its height.
        em: Height of the letters, in heights of the plot.
    """

    def place(ms: float, score: float) -> Place:
        return (ms - xlim[0]) / (xlim[1] - xlim[0]) * aspect, (score - ylim[0]) / (ylim[1] - ylim[0])

    seen = [p for p in points if xlim[0] <= p.latency_ms <= xlim[1] and ylim[0] <= p.score <= ylim[1]]
    named = [p for p in seen if p.role == "published"]
    hard = [place(p.latency_ms, p.score) for p in seen if p.role == "front"]
    soft = [place(p.latency_ms, p.score) for p in seen if p.role not in {"front", "published"}]
    soft += [place(float(ms), p.score) for p in seen if p.interval_ms for ms in np.linspace(*p.interval_ms, 9)]
    places, labels = [place(p.latency_ms, p.score) for p in named], [p.label for p in named]
    sides = label_sides(places, labels, hard=hard, soft=soft, right=aspect, em=em)
    return list(zip(named, sides, strict=True))


def draw_front(picture: FrontPicture, *, width_in: float = 8.0, height_in: float = 4.8) -> Figure:
    """Draw latency against score with the budget, every network, the front and the published models.

    Args:
        picture: What to draw.
        width_in, height_in: Size of the figure in inches.
    """
    figure = sheet(width_in, height_in)
    axes = figure.add_subplot()
    _frame(axes, picture)
    for role in ("infeasible", "feasible", "tie"):
        _scatter(axes, [p for p in picture.points if p.role == role], role)
    _fronts(axes, [p for p in picture.points if p.role == "front"])
    _published(axes, picture.points, width_in / height_in)
    for budget in sorted(set(picture.budgets_ms)):
        axes.axvline(budget, color=COLOURS["budget"], linestyle=(0, (5, 3)), linewidth=1.2, zorder=1.5)
        axes.text(budget, 1.008, f"budget {budget:g} ms", transform=axes.get_xaxis_transform(), ha="center",
                  va="bottom", fontsize=8.5, color=COLOURS["budget"])  # fmt: skip
    if picture.points:
        axes.legend(loc="lower right", fontsize=8, frameon=True, framealpha=0.92, edgecolor=COLOURS["grid"])
    return figure


def _frame(axes: Axes, picture: FrontPicture) -> None:
    (left, right), (low, high) = view(picture.points, picture.budgets_ms)
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    tidy(axes, picture.latency_title, picture.score_title, title=picture.title)


def _scatter(axes: Axes, points: Iterable[FrontPoint], role: str) -> None:
    for kind, group in _by_kind(points):
        colour, is_open = COLOURS["front" if role == "tie" else role], role != "feasible"
        axes.scatter([p.latency_ms for p in group], [p.score for p in group], s=16, marker=_mark(kind), linewidths=0.9,
                     facecolors="none" if is_open else colour, edgecolors=colour, zorder=2,
                     label=plain(f"{_TITLES[role]}, {kind}"))  # fmt: skip


def _fronts(axes: Axes, points: Sequence[FrontPoint]) -> None:
    studies = list(dict.fromkeys(p.study for p in points))
    for index, study in enumerate(studies):
        colour = CYCLE[index % len(CYCLE)]
        own = sorted((p for p in points if p.study == study), key=lambda p: (p.latency_ms, p.score))
        if own and all(p.kind == "measured" for p in own):
            axes.step([p.latency_ms for p in own], [p.score for p in own], where="post", color=colour, linewidth=1.4,
                      zorder=3)  # fmt: skip
        bars = [p for p in own if p.interval_ms]
        axes.hlines([p.score for p in bars], [p.interval_ms[0] for p in bars if p.interval_ms],
                    [p.interval_ms[1] for p in bars if p.interval_ms], color=colour, alpha=0.45, linewidth=1.1,
                    zorder=2.5)  # fmt: skip
        for kind, group in _by_kind(own):
            title = f"front of {study}, {kind}" if study and len(studies) > 1 else f"front, {kind}"
            axes.scatter([p.latency_ms for p in group], [p.score for p in group], s=34, marker=_mark(kind), zorder=4,
                         color=colour, edgecolors="white", linewidths=0.8, label=plain(title))  # fmt: skip


def _published(axes: Axes, points: Sequence[FrontPoint], aspect: float) -> None:
    on_front = {(p.latency_ms, p.score) for p in points if p.role == "front"}
    for kind, group in _by_kind(p for p in points if p.role == "published"):
        sizes = [88 if (p.latency_ms, p.score) in on_front else 30 for p in group]
        axes.scatter([p.latency_ms for p in group], [p.score for p in group], s=sizes, marker=_mark(kind), zorder=3.5,
                     color=COLOURS["published"], edgecolors="white", linewidths=0.8,
                     label=plain(f"published models, {kind}"))  # fmt: skip
    for point, side in published_labels(points, axes.get_xlim(), axes.get_ylim(), aspect, 0.028):
        if side:
            dx, dy = _SIDES[side]
            axes.annotate(plain(point.label), (point.latency_ms, point.score), xytext=(5 * dx, 5 * dy), fontsize=7.5,
                          textcoords="offset points", color=COLOURS["published"], annotation_clip=True,
                          path_effects=[withStroke(linewidth=2.2, foreground="white")],
                          ha={1.0: "left", -1.0: "right"}.get(dx, "center"),
                          va={1.0: "bottom", -1.0: "top"}.get(dy, "center"))  # fmt: skip


def _by_kind(points: Iterable[FrontPoint]) -> list[tuple[str, list[FrontPoint]]]:
    groups: dict[str, list[FrontPoint]] = {}
    for point in points:
        groups.setdefault(point.kind, []).append(point)
    return sorted(groups.items())


def _mark(kind: str) -> str:
    return _MARKS[FORMS.get(kind, "square")]


def _mark_box(place: Place, em: float) -> _Box:
    return place[0] - em / 3, place[1] - em / 3, place[0] + em / 3, place[1] + em / 3


def _box(place: Place, label: str, side: str, em: float) -> _Box:
    (x, y), (dx, dy) = place, _SIDES[side]
    wide, tall = 0.6 * em * len(label), em
    middle = (x + dx * (0.7 * em + wide / 2), y + dy * (0.7 * em + tall / 2))
    return middle[0] - wide / 2, middle[1] - tall / 2, middle[0] + wide / 2, middle[1] + tall / 2


def _is_inside(box: _Box, right: float) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= right and box[3] <= 1


def _hits(box: _Box, others: Iterable[_Box]) -> int:
    left, low, right, high = box
    return sum(left < r and x < right and low < t and y < high for x, y, r, t in others)
