"""The interactive charts, as plotly's JSON: the front and how the search went. Plotly reads tags: texts are escaped."""

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from archlab import figures
from archlab.figures import COLOURS, CYCLE, FORMS, FrontPicture
from archlab.reports.findings import Progress
from archlab.reports.picture import Dot

__all__ = ["FONT", "front_chart", "progress_charts"]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_TITLES = {
    "infeasible": "over the budget",
    "feasible": "within the budget",
    "tie": "level with the front within the noise",
    "front": "front",
    "published": "published models",
}
_SIZES = {"infeasible": 6, "feasible": 6, "tie": 8, "front": 10, "published": 9}
_ASPECT = 2.3
"""Width of the plot over its height on a desktop, for placing labels."""
_SIDES = {"right": "middle right", "left": "middle left", "top": "top center", "bottom": "bottom center"}


def front_chart(picture: FrontPicture, dots: Sequence[Dot]) -> str:
    """Draw latency against score, with everything that was tried.

    Args:
        picture: The axes and the budget.
        dots: The points of the picture with their texts, in the same order.
    """
    chart = go.Figure()
    studies = list(dict.fromkeys(dot.point.study for dot in dots if dot.point.role == "front"))
    for role in ("infeasible", "feasible", "tie"):
        for kind in _kinds(dots, role):
            chart.add_trace(_cloud(_chosen(dots, role, kind), role, kind))
    for kind in _kinds(dots, "published"):
        chart.add_trace(_published(picture, _chosen(dots, "published", kind), kind))
    for index, study in enumerate(studies):
        own = [dot for dot in dots if dot.point.role == "front" and dot.point.study == study]
        for trace in _front(own, CYCLE[index % len(CYCLE)], study if len(studies) > 1 else ""):
            chart.add_trace(trace)
    chart.add_trace(_labels(picture))
    for budget in picture.budgets_ms:
        _budget(chart, budget)
    across, up = figures.view(picture.points, picture.budgets_ms)
    _dress(chart, picture.latency_title, picture.score_title)
    chart.update_xaxes(range=list(across), rangemode="tozero")
    chart.update_yaxes(range=list(up))
    return str(chart.to_json())


def progress_charts(runs: Sequence[tuple[str, Progress]], score_title: str) -> tuple[str, str]:
    """Draw the best feasible score and the hypervolume over the trials, one line per study.

    Args:
        runs: Name and progress of each study.
        score_title: What the score is called.
    """
    best, volume = go.Figure(), go.Figure()
    for index, (name, run) in enumerate(runs):
        line = {"color": CYCLE[index % len(CYCLE)], "width": 2, "shape": "hv"}
        common = {"x": list(run.numbers), "mode": "lines", "line": line, "name": html.escape(name)}
        best.add_trace(go.Scatter(y=list(run.best), **common, hovertemplate="after trial %{x}: %{y:.5~g}"))
        volume.add_trace(go.Scatter(y=list(run.volume), **common, hovertemplate="after trial %{x}: %{y:.5~g}"))
    _dress(best, "trial", f"best {score_title} score")
    _dress(volume, "trial", "hypervolume (score × ms)")
    volume.update_yaxes(rangemode="tozero")
    for chart in (best, volume):
        chart.update_layout(showlegend=len(runs) > 1, margin={"t": 12 if len(runs) == 1 else 40}, hovermode="closest")
    return str(best.to_json()), str(volume.to_json())


def _kinds(dots: Sequence[Dot], role: str) -> list[str]:
    return sorted({dot.point.kind for dot in dots if dot.point.role == role})


def _chosen(dots: Sequence[Dot], role: str, kind: str) -> list[Dot]:
    return [dot for dot in dots if dot.point.role == role and dot.point.kind == kind]


def _cloud(dots: Sequence[Dot], role: str, kind: str) -> go.Scatter:
    colour = COLOURS["front" if role == "tie" else role]
    return _scatter(dots, f"{_TITLES[role]}, {kind}", {
        "symbol": _symbol(kind, hollow=role != "feasible"), "size": _SIZES[role], "color": colour,
        "line": {"width": 1.2, "color": colour}, "opacity": 1.0 if role == "tie" else 0.8,
    })  # fmt: skip


def _front(dots: Sequence[Dot], colour: str, study: str) -> list[go.Scatter]:
    """The front of one study: a step where a clock ran, bars where there is an interval, markers always."""
    ordered = sorted(dots, key=lambda dot: (dot.point.latency_ms, dot.point.score))
    traces = []
    if ordered and all(dot.point.kind == "measured" for dot in ordered):
        traces.append(go.Scatter(
            x=[dot.point.latency_ms for dot in ordered], y=[dot.point.score for dot in ordered], mode="lines",
            line={"shape": "hv", "color": colour, "width": 1.8}, hoverinfo="skip", showlegend=False,
        ))  # fmt: skip
    for kind in sorted({dot.point.kind for dot in ordered}):
        own = [dot for dot in ordered if dot.point.kind == kind]
        ends = [dot.point.interval_ms or (dot.point.latency_ms,) * 2 for dot in own]
        trace = _scatter(own, ", ".join(filter(None, [f"front of {study}" if study else "front", kind])), {
            "symbol": _symbol(kind), "size": _SIZES["front"], "color": colour, "line": {"width": 1.5, "color": "white"},
        })  # fmt: skip
        trace.error_x = {
            "type": "data", "symmetric": False, "color": colour, "thickness": 1.2, "width": 3,
            "array": [end[1] - dot.point.latency_ms for dot, end in zip(own, ends, strict=True)],
            "arrayminus": [dot.point.latency_ms - end[0] for dot, end in zip(own, ends, strict=True)],
        }  # fmt: skip
        traces.append(trace)
    return traces


def _published(picture: FrontPicture, dots: Sequence[Dot], kind: str) -> go.Scatter:
    """Published models; one that is on the front itself shows as a rim around the front's marker."""
    on_front = {(point.latency_ms, point.score) for point in picture.points if point.role == "front"}
    small, large = _SIZES["published"], _SIZES["front"] + 6
    return _scatter(dots, f"{_TITLES['published']}, {kind}", {
        "symbol": _symbol(kind), "color": COLOURS["published"],
        "size": [large if (dot.point.latency_ms, dot.point.score) in on_front else small for dot in dots],
        "opacity": 1.0,
        "line": {"width": 1.2, "color": "white"},
    })  # fmt: skip


def _labels(picture: FrontPicture) -> go.Scatter:
    """Names of the published models, on top of all else; a name without a free place is left to the hover."""
    sides = _sides(picture)
    named = [p for p in picture.points if p.role == "published" and sides.get(p.label)]
    return go.Scatter(
        x=[point.latency_ms for point in named],
        y=[point.score for point in named],
        text=[html.escape(point.label) for point in named],
        textposition=[_SIDES[sides[point.label] or "right"] for point in named],
        textfont={"size": 11.5, "color": COLOURS["published"]},
        mode="markers+text",
        marker={"size": _SIZES["published"], "opacity": 0},  # unseen: it keeps the text off the marker below
        hoverinfo="skip",
        showlegend=False,
    )


def _sides(picture: FrontPicture) -> dict[str, str | None]:
    """Side of each published label: first for the view that opens, then for what lies beyond it."""
    near = figures.view(picture.points, picture.budgets_ms)
    far = max((point.latency_ms for point in picture.points), default=1.0)
    scores = [point.score for point in picture.points] or [0.0, 1.0]
    whole = ((0.0, 1.04 * far or 1.0), (min(scores), max(scores) + (max(scores) == min(scores))))
    found: dict[str, str | None] = {}
    for across, up in (near, whole):
        for point, side in figures.published_labels(picture.points, across, up, _ASPECT, 0.03):
            found.setdefault(point.label, side)
    return found


def _scatter(dots: Sequence[Dot], name: str, marker: dict[str, Any]) -> go.Scatter:
    return go.Scatter(
        x=[dot.point.latency_ms for dot in dots],
        y=[dot.point.score for dot in dots],
        customdata=[dot.hover for dot in dots],
        hovertemplate="%{customdata}<extra></extra>",
        mode="markers",
        name=html.escape(name),
        marker=marker,
    )


def _symbol(kind: str, hollow: bool = False) -> str:
    return FORMS.get(kind, "square") + ("-open" if hollow else "")


def _budget(chart: go.Figure, budget_ms: float) -> None:
    red = COLOURS["budget"]
    chart.add_vline(x=budget_ms, line={"color": red, "width": 1.6, "dash": "6px,4px"}, layer="below")
    chart.add_annotation(
        x=budget_ms, y=0, yref="paper", text=f"budget {budget_ms:g} ms", showarrow=False, xanchor="left",
        yanchor="bottom", xshift=4, font={"size": 12, "color": red},
    )  # fmt: skip


def _dress(chart: go.Figure, across: str, up: str) -> None:
    axis = {
        "gridcolor": COLOURS["grid"],
        "zeroline": False,
        "linecolor": COLOURS["grid"],
        "ticks": "",
        "automargin": True,
    }
    chart.update_layout(
        template=go.layout.Template(),
        font={"family": FONT, "size": 13, "color": COLOURS["ink"]},
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0, "font": {"size": 12}},
        hoverlabel={"align": "left", "bgcolor": "white", "bordercolor": COLOURS["grid"], "font": {"size": 12.5}},
        hovermode="closest",
    )
    chart.update_xaxes(title={"text": html.escape(across), "standoff": 8, "font": {"size": 13.5}}, **axis)
    chart.update_yaxes(title={"text": html.escape(up), "standoff": 8, "font": {"size": 13.5}}, **axis)
