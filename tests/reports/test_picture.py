"""Studies as points: roles, hover texts, and which studies may share a pair of axes."""

import dataclasses
import json
from collections.abc import Callable

import pytest

from archlab.reports import charts, findings, picture
from archlab.reports.study_files import Baseline, Score, Study
from archlab.study.record import Record

MakeRecord = Callable[..., Record]
StudyOf = Callable[..., Study]
PROTOCOL = {"kind": "measured", "runtime": "ort", "precision": "fp32", "batch": 1}


@pytest.fixture
def study(record: MakeRecord, study_of: StudyOf) -> Study:
    row = Baseline(model="convnext_tiny", score=11.0, latency_ms=4.0, latency_source="measured:ort@cpu", top1=82.1)
    return study_of(
        record(0, 10, 2.0, 0.1),
        record(1, 9, 2.05, 0.1),  # level within the noise
        record(2, 8, 3.0, 0.1),
        record(3, 20, 4.95, 0.1),
        baselines=[row, dataclasses.replace(row, model="too_slow_to_time", latency_ms=None)],
        protocol=PROTOCOL,
    )


def test_roles(study: Study) -> None:
    found = {dot.point.label: dot.point.role for dot in picture.dots([study])}
    assert found == {
        f"{0:012d}": "front", f"{1:012d}": "tie", f"{2:012d}": "feasible", f"{3:012d}": "infeasible",
        "convnext_tiny": "published",
    }  # fmt: skip


def test_hover_says_what_and_from_where(study: Study) -> None:
    texts = {dot.point.label: dot.hover for dot in picture.dots([study])}
    front = texts[f"{0:012d}"]
    assert front.startswith(
        f"<b>{0:012d}, trial 0</b><br>score 10.0<br>2.00 ms (1.90–2.10 ms), measured with ort on cpu"
    )
    assert "on the front" in front
    assert "over the budget by 0.0500 ms at the upper end" in texts[f"{3:012d}"]
    assert "published top-1 82.1 %" in texts["convnext_tiny"]


def test_hover_is_escaped(record: MakeRecord, study_of: StudyOf) -> None:
    dot = picture.dots([study_of(record(0, 1, 1.0, digest="<img src=x onerror=alert(1)>"))])[0]
    assert "<img" not in dot.hover and "&lt;img" in dot.hover


def test_titles_say_device_origin_and_precision(study: Study) -> None:
    drawn = picture.picture([study])
    assert drawn.latency_title == "latency on cpu (ms), measured with ort, fp32, batch 1"
    assert drawn.score_title == "naswot score (higher is better)"
    assert drawn.budgets_ms == (5.0,)


def test_a_model_that_two_studies_hold_is_drawn_once(study: Study) -> None:
    other = dataclasses.replace(study, name="other")
    labels = [dot.point.label for dot in picture.dots([study, other]) if dot.point.role == "published"]
    assert labels == ["convnext_tiny"]


@pytest.mark.parametrize(
    "change", [{"kind": "estimated"}, {"runtime": "torch"}, {"precision": "fp16"}, {"batch": 8}, {"threads": 4}]
)
def test_one_axis_never_mixes(study: Study, change: dict[str, object]) -> None:
    other = dataclasses.replace(study, run=dataclasses.replace(study.run, protocol={**PROTOCOL, **change}))
    with pytest.raises(AssertionError, match="never mixes"):
        picture.picture([study, other])


def test_chart_of_a_clocked_front_has_a_step(study: Study) -> None:
    chart = json.loads(charts.front_chart(picture.picture([study]), picture.dots([study])))
    lines = [trace for trace in chart["data"] if trace["mode"] == "lines"]
    assert [(line["line"]["shape"], line["x"], line["y"]) for line in lines] == [("hv", [2.0], [10.0])]
    shapes = {trace["marker"]["symbol"].removesuffix("-open") for trace in chart["data"] if "customdata" in trace}
    assert shapes == {"circle"}
    assert [trace["text"] for trace in chart["data"] if "text" in trace] == [["convnext_tiny"]]
    bars = next(trace["error_x"] for trace in chart["data"] if "error_x" in trace)
    assert bars["array"] == pytest.approx([0.1]) and bars["arrayminus"] == pytest.approx([0.1])
    assert chart["layout"]["shapes"][0]["x0"] == 5.0


def test_chart_of_estimates_joins_nothing(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(*(record(n, n, 1.0 + n, 0.5, kind="estimated") for n in range(3)))
    text = charts.front_chart(picture.picture([study]), picture.dots([study]))
    chart = json.loads(text)
    front, labels = chart["data"]
    assert (front["mode"], front["marker"]["symbol"], front["name"]) == ("markers", "diamond", "front, estimated")
    assert (labels["mode"], labels["x"]) == ("markers+text", [])
    assert "measured" not in text


def test_progress_charts_hold_one_line_per_study(study: Study) -> None:
    corner = findings.reference([study])
    assert corner is not None
    run = findings.progress(study, corner)
    best, volume = (json.loads(text) for text in charts.progress_charts([("a", run), ("b", run)], "NASWOT"))
    assert [trace["name"] for trace in best["data"]] == ["a", "b"]
    assert best["data"][0]["y"] == [10, 10, 10, 10]
    # Reference: score 8, 5 ms. Trial 0 covers (10 - 8) × (5 - 2) = 6, the others are within it or over the budget.
    assert volume["data"][0]["y"] == pytest.approx([6, 6, 6, 6])


def test_names_in_charts_are_escaped(record: MakeRecord, study_of: StudyOf) -> None:
    odd = "<a href=x>&"
    row = Baseline(model=odd, score=11.0, latency_ms=4.0, latency_source=f"{odd}:x@cpu")
    study = study_of(record(0, 10, 2.0), baselines=[row], score=Score(name=odd), protocol={"precision": odd})
    twin = dataclasses.replace(study, name=odd)
    chart = charts.front_chart(picture.picture([study, twin]), picture.dots([study, twin]))
    assert "<a" not in chart and "&lt;a href=x&gt;&amp;" in chart
    run = findings.progress(study, (0.0, 5.0))
    assert all("<a" not in text for text in charts.progress_charts([(odd, run)], odd))
