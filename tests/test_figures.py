"""The still picture says in words and shapes where its latencies come from, and joins nothing that was estimated."""

import re
import threading

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from archlab.figures import FrontPicture, FrontPoint, draw_front, label_sides, png, svg, view


def picture(kind: str, *, budget_ms: float = 5.0, names: tuple[str, ...] = ("",)) -> FrontPicture:
    points = []
    for shift, study in enumerate(names):
        points += [
            FrontPoint(latency_ms=1 + shift, score=10, role="front", kind=kind, interval_ms=(0.9, 1.2), study=study),
            FrontPoint(latency_ms=3 + shift, score=20, role="front", kind=kind, interval_ms=(2.5, 3.5), study=study),
        ]
    points.append(FrontPoint(latency_ms=2, score=8, role="feasible", kind=kind))
    points.append(FrontPoint(latency_ms=6, score=21, role="infeasible", kind=kind))
    points.append(FrontPoint(latency_ms=4, score=15, role="published", kind=kind, label="convnext_tiny"))
    return FrontPicture(
        points=tuple(points), latency_title=f"latency (ms), {kind}", score_title="score", budgets_ms=(budget_ms,)
    )


def steps(figure: Figure) -> list[tuple[float, ...]]:
    """Latencies of every line that joins points (the budget's line is dashed)."""
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    return [tuple(float(x) for x in np.asarray(line.get_xdata())) for line in lines]


def test_a_clocked_front_is_joined_and_an_estimated_one_never() -> None:
    assert steps(draw_front(picture("measured"))) == [(1.0, 3.0)]
    assert steps(draw_front(picture("estimated"))) == []


def test_a_front_with_one_estimate_in_it_is_not_joined() -> None:
    base = picture("measured")
    mixed = FrontPoint(latency_ms=2, score=12, role="front", kind="estimated")
    drawn = FrontPicture(points=(*base.points, mixed), latency_title="latency", score_title="score")
    assert steps(draw_front(drawn)) == []


@pytest.mark.parametrize("kind", ["measured", "estimated"])
def test_kind_is_in_the_legend_of_every_series(kind: str) -> None:
    legend = draw_front(picture(kind)).axes[0].get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [f"over the budget, {kind}", f"within the budget, {kind}", f"front, {kind}",
                     f"published models, {kind}"]  # fmt: skip


def test_marker_shape_tells_the_kind() -> None:
    def corners(kind: str) -> set[int]:
        marks = [c for c in draw_front(picture(kind)).axes[0].collections if isinstance(c, PathCollection)]
        return {len(mark.get_paths()[0].vertices) for mark in marks}

    assert corners("estimated") == {5}  # a diamond: four corners, closed
    assert min(corners("measured")) > 5  # a circle


def test_budget_and_interval_are_drawn() -> None:
    figure = draw_front(picture("estimated"))
    dashed = [line for line in figure.axes[0].lines if line.get_linestyle() != "-"]
    assert [list(np.asarray(line.get_xdata())) for line in dashed] == [[5.0, 5.0]]
    segments = [s for c in figure.axes[0].collections for s in getattr(c, "get_segments", list)()]
    assert sorted(float(x) for segment in segments for x in segment[:, 0]) == [0.9, 1.2, 2.5, 3.5]


def test_a_published_model_on_the_front_is_a_rim_around_its_marker() -> None:
    base = picture("measured")
    same = FrontPoint(latency_ms=3, score=20, role="published", kind="measured", label="on_front")
    drawn = FrontPicture(points=(*base.points, same), latency_title="latency", score_title="score")
    marks = [c for c in draw_front(drawn).axes[0].collections if isinstance(c, PathCollection)]
    published = next(c for c in marks if str(c.get_label()).startswith("published"))
    front = next(c for c in marks if str(c.get_label()).startswith("front"))
    small, large = published.get_sizes()
    assert large > front.get_sizes()[0] > small
    assert front.get_zorder() > published.get_zorder()


def test_two_studies_have_two_colours_and_names() -> None:
    figure = draw_front(picture("measured", names=("a", "b")))
    legend = figure.axes[0].get_legend()
    assert legend is not None
    fronts = [text.get_text() for text in legend.get_texts() if text.get_text().startswith("front")]
    assert fronts == ["front of a, measured", "front of b, measured"]
    assert len({line.get_color() for line in figure.axes[0].lines if line.get_linestyle() == "-"}) == 2


def test_svg_is_the_same_every_time_and_png_is_a_png() -> None:
    first, second = svg(draw_front(picture("estimated"))), svg(draw_front(picture("estimated")))
    assert first == second
    assert "measured" not in first
    assert re.search(r"<dc:date>", first) is None
    assert png(draw_front(picture("estimated")), dpi=40).startswith(b"\x89PNG\r\n")


def test_drawing_needs_no_window_and_no_main_thread() -> None:
    made: list[str] = []
    worker = threading.Thread(target=lambda: made.append(svg(draw_front(picture("measured")))))
    worker.start()
    worker.join()
    assert made == [svg(draw_front(picture("measured")))]


def test_view_opens_around_the_budget() -> None:
    far = FrontPoint(latency_ms=80, score=100, role="published", kind="measured", label="huge")
    points = (*picture("measured").points, far)
    (left, right), (low, high) = view(points, (5.0,))
    assert left == 0 and right == pytest.approx(1.04 * 8)
    assert low < 8 and 21 < high < 30  # the score of the point out of view does not count


def test_view_without_a_front_still_shows_networks() -> None:
    points = [FrontPoint(latency_ms=ms, score=ms, role="infeasible", kind="measured") for ms in (20, 30, 400)]
    (_, right), _ = view(points, (1.0,))
    assert right == pytest.approx(1.04 * 1.25 * 30)
    assert view((), (5.0,))[0] == (0.0, pytest.approx(5.2))
    assert view((), ()) == ((0.0, 1.04), pytest.approx((-0.06, 1.06)))


def test_an_empty_picture_is_still_a_picture() -> None:
    empty = FrontPicture(points=(), latency_title="latency", score_title="score", budgets_ms=(5.0,))
    assert "<svg" in svg(draw_front(empty))


def test_labels_avoid_each_other_the_fronts_and_the_edge() -> None:
    def sides(places: list[tuple[float, float]], **crowd: list[tuple[float, float]]) -> list[str | None]:
        taken = {"hard": [], "soft": [], **crowd}
        return label_sides(places, ["name"] * len(places), right=2.0, em=0.05, **taken)

    assert sides([(1.0, 0.5)]) == ["right"]
    assert sides([(1.97, 0.5)]) == ["left"]
    assert sides([(1.0, 0.5)], hard=[(1.08, 0.5)]) == ["left"]
    assert sides([(1.0, 0.5)], soft=[(1.08, 0.5), (0.92, 0.5)]) == ["top"]
    ring = [(1.08, 0.5), (0.92, 0.5), (1.0, 0.57), (1.0, 0.43)]
    assert sides([(1.0, 0.5)], soft=ring) == ["right"]  # covering one marker beats no label
    assert sides([(1.0, 0.5)], hard=ring) == [None]
    assert sides([(1.0, 0.5), (1.0, 0.52)]) != ["right", "right"]
    assert label_sides([(1.0, 0.5)], [""], hard=[], soft=[], right=2.0, em=0.05) == [None]


def test_names_are_not_mathematics() -> None:
    odd = r"$\frac{$ & <b>"
    point = FrontPoint(latency_ms=1, score=1, role="published", kind=odd, label=odd, study=odd)
    drawn = FrontPicture(
        points=(point, FrontPoint(latency_ms=2, score=2, role="front", kind="measured", study=odd)),
        latency_title=odd,
        score_title=odd,
        title=odd,
    )
    assert "<b>" not in svg(draw_front(drawn))


def test_a_notebook_shows_the_figure() -> None:
    assert getattr(draw_front(picture("measured")), "_repr_png_")().startswith(b"\x89PNG\r\n")  # noqa: B009
