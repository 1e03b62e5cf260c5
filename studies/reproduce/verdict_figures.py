"""The figures of the report: one function per artifact that has one, from its rows; None where values are missing."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from archlab.figures.lines import Line, LinePoint, draw_lines
from archlab.figures.sheet import COLOURS, CYCLE, sheet, tidy

__all__ = ["DRAWN", "verdicts"]

_VERDICTS = ("#00796b", "#5fa8a0", "#8f99a3", "#66707c", COLOURS["budget"])
"""Colours of the verdicts, best first."""

Rows = Sequence[dict[str, str]]


def _point(x: float, row: dict[str, str]) -> LinePoint:
    ends = (float(row["ours_low"]), float(row["ours_high"])) if row["ours_low"] else (None, None)
    return LinePoint(x=x, y=float(row["ours"]), low=ends[0], high=ends[1])


def mit_fig4(rows: Rows) -> Figure | None:
    """Latency of both attentions over the side of the map."""
    lines = []
    for kind in ("softmax", "ReLU linear"):
        found = [r for r in rows if r["metric"] == f"{kind} latency" and "heads" not in r["setting"] and r["ours"]]
        if not found:
            return None
        lines.append(Line(label=kind, points=tuple(_point(float(r["setting"].split("×")[1]), r) for r in found)))
    return draw_lines(
        lines,
        title="Attention on maps of 128 channels, heads of 16",
        x_title="side of the map",
        y_title="latency (ms, this CPU, one thread)",
    )


def edgenext_fig3(rows: Rows) -> Figure | None:
    """How many times the latency of BatchNorm with Hardswish LayerNorm with GELU takes, by runtime and size."""
    runtimes = list(dict.fromkeys(r["metric"] for r in rows if r["metric"].startswith("latency, ") and r["ours"]))
    if not runtimes:
        return None
    names = ["A100 latency per image", *runtimes]
    figure = sheet(8.0, 3.6)
    axes = figure.subplots()
    sizes = ("EdgeNeXt-XXS", "EdgeNeXt-XS", "EdgeNeXt-S")
    for i, size in enumerate(sizes):
        ratios = []
        for name in names:
            column = "paper" if name == names[0] else "ours"
            values = {r["setting"]: float(r[column]) for r in rows if r["metric"] == name and r[column]}
            ratios.append(values[f"{size} LayerNorm+GELU"] / values[f"{size} BatchNorm+Hardswish"])
        places = [place + 0.26 * (i - 1) for place in range(len(names))]
        axes.bar(places, ratios, width=0.24, color=CYCLE[i], label=size)
    axes.axhline(1.0, color=COLOURS["ink"], linewidth=0.9)
    labels = ["A100 (paper)", *(name.removeprefix("latency, ") for name in runtimes)]
    axes.set_xticks(range(len(names)), labels)
    tidy(axes, "", "LayerNorm+GELU over\nBatchNorm+Hardswish", title="What the norm and the activation cost")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=COLOURS["ink"])
    return figure


def verdicts(counts: Mapping[str, Mapping[str, int]], words: Sequence[str]) -> Figure:
    """How many claims of each paper have which verdict, as one bar per paper.

    Args:
        counts: Paper → verdict → how many.
        words: The verdicts, best first.
    """
    figure = sheet(8.0, 3.0)
    axes = figure.subplots()
    tidy(axes, "claims", "", title="Claims of the papers, run again")
    papers = list(counts)[::-1]
    left = [0] * len(papers)
    for word, colour in zip(words, _VERDICTS, strict=True):
        widths = [counts[paper].get(word, 0) for paper in papers]
        axes.barh(papers, widths, left=left, color=colour, height=0.6, label=word)
        for i, width in enumerate(widths):
            if width:
                axes.text(left[i] + width / 2, i, str(width), ha="center", va="center", fontsize=8, color="white")
        left = [start + width for start, width in zip(left, widths, strict=True)]
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=COLOURS["ink"])
    return figure


DRAWN: dict[str, Callable[[Rows], Figure | None]] = {
    "edgenext_fig3": edgenext_fig3,
    "mit_fig4": mit_fig4,
}
