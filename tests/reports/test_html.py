"""The page is one file, says what is known in words, never calls an estimate a measurement, and cannot be injected."""

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from archlab import reports
from archlab.reports import html, study_files
from archlab.reports.study_files import Baseline, Study
from archlab.study.record import Record

MakeRecord = Callable[..., Record]
StudyOf = Callable[..., Study]
MakeStudy = Callable[..., Path]
VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use", "rect"}


class Page(HTMLParser):
    """Collects what the tests ask: text outside of scripts and styles, elements with attributes, scripts by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.open: list[str] = []
        self._script = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self._script = dict(attrs).get("id") or f"script {len(self.scripts)}" if tag == "script" else ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        elif not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def chart(self, name: str) -> dict[str, object]:
        loaded = json.loads(self.scripts[f"{name}-data"])
        assert isinstance(loaded, dict)
        return loaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    make: MakeStudy = request.getfixturevalue("write_study_once")
    return make(tmp_path_factory.mktemp("studies") / "hybrid-orin-5ms")


@pytest.fixture(scope="module")
def raw(folder: Path) -> str:
    return reports.write(folder).report.read_text()


@pytest.fixture(scope="module")
def page(raw: str) -> Page:
    return Page(raw)


def test_every_element_is_closed(page: Page) -> None:
    assert page.open == []


def test_every_section_is_there(page: Page) -> None:
    for heading in (
        "hybrid on orin under 5 ms", "Score against latency", "The front", "Published models on the same device",
        "The best network, stage by stage", "By kind of operator", "How the search went", "How it was estimated",
        "Skipped and failed trials",
    ):  # fmt: skip
        assert heading in page.text, heading
    for reason in ("best under the budget", "knee of the front", "fastest within 1 % of the best score"):
        assert reason in page.text


def test_the_best_is_said_in_one_sentence(page: Page, folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    complete = [row for row in rows if row["state"] == "complete" and row["violations"]["latency_ms"] <= 0]
    best = max(complete, key=lambda row: row["evaluation"]["values"]["score"])
    distinct = len({row["digest"] for row in rows if row["state"] == "complete"})
    assert f"The best of {distinct} distinct networks, {best['digest']}, reaches a NASWOT score of" in page.text
    assert re.search(r"at an estimated [\d.]+ ms \(interval [\d.]+–[\d.]+ ms\)\.", page.text)
    assert f"archlab export {folder}:{best['digest']} --format onnx --out net.onnx" in page.text


def test_an_estimated_study_is_never_called_measured(raw: str) -> None:
    assert "measured" not in raw.replace(get_plotlyjs(), "").lower()
    assert "measured" not in get_plotlyjs().lower()
    assert "estimated" in raw


def test_a_measured_study_says_so(tmp_path: Path, make_study: MakeStudy) -> None:
    made = make_study(tmp_path / "hybrid-cpu-20ms", device="cpu", kind="measured", budget_ms=20.0)
    page = Page(reports.write(made).report.read_text())
    assert "How it was measured" in page.text and "Every latency here is measured" in page.text
    names = {trace["name"] for trace in page.chart("s1-front")["data"] if "name" in trace}  # type: ignore[attr-defined]
    assert "front, measured" in names and "estimated" not in page.text


def test_nothing_is_fetched(page: Page, raw: str) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "img", "object", "embed"} or attributes.get("href") == "data:,"
        for name in ("src", "href", "xlink:href", "action"):
            target = attributes.get(name) or ""
            assert target == "" or target.startswith(("#", "data:")), (tag, target)
    own = raw.replace(get_plotlyjs(), "")
    assert raw.count(get_plotlyjs()) == 1
    assert "@import" not in own and not re.search(r"url\(\s*['\"]?(?!#)", own)
    assert "default-src 'none'" in own  # the browser itself refuses to fetch
    assert "showSendToCloud: false" in own
    assert len(own.encode()) < 1_500_000


def test_the_interactive_front_shows_every_distinct_network(page: Page, folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    digests = {row["digest"] for row in rows if row["state"] == "complete"}
    traces = page.chart("s1-front")["data"]
    assert isinstance(traces, list)
    shown = [text for trace in traces for text in trace.get("customdata", [])]
    assert len(shown) == len(digests) + 9  # and the nine published models
    assert all(any(digest in text for text in shown) for digest in digests)
    axis = page.chart("s1-front")["layout"]["xaxis"]["title"]["text"]  # type: ignore[index]
    assert axis == "latency on orin (ms), estimated by roofline, fp16, batch 1"
    sample = next(text for text in shown if "trial 0" in text)
    for part in ("score", "params", "MACs", "widths", "depths", "estimated by roofline for orin"):
        assert part in sample


def test_front_table_has_a_row_per_network_and_sorts_by_value(page: Page, folder: Path) -> None:
    csv = (folder / "front.csv").read_text().splitlines()
    buttons = [attributes for tag, attributes in page.elements if tag == "button" and "data-model" in attributes]
    assert len(buttons) == len(csv) - 1
    assert [str(b["data-model"]).rpartition(":")[2] for b in buttons] == [line.split(",")[1] for line in csv[1:]]
    tables = [attributes for tag, attributes in page.elements if tag == "table"]
    assert sum("sortable" in (attributes.get("class") or "") for attributes in tables) == 2


def test_published_models_and_held_out_error(page: Page) -> None:
    for model in ("efficientvit_b3", "convnext_tiny", "edgenext_small"):
        assert model in page.text
    assert "83.5 %" in page.text and "71.2 %" in page.text
    assert "11.8 % mean absolute error" in page.text and "over 41 points of 6 families" in page.text
    assert re.search(r"Reference point: score [\d,.]+, latency 5 ms", page.text)
    assert "no rule for aten.fft_fft2" in page.text and "clearly over the budget" in page.text


def test_latency_shares_are_shown_where_an_estimate_knows_them(
    page: Page, tmp_path: Path, make_study: MakeStudy
) -> None:
    assert "share of estimated latency" in page.text and "Shares of the latency are estimated" in page.text
    made = make_study(tmp_path / "cpu", trials=12, device="cpu", kind="measured", budget_ms=20.0)
    other = Page(reports.write(made).report.read_text())
    assert "they are not shares of the latency" in other.text and "share of estimated latency" not in other.text


def test_malicious_text_stays_text(record: MakeRecord, study_of: StudyOf) -> None:
    evil = "</script><script>alert('x')</script><b onmouseover=alert(1)>\"'&"
    study = study_of(
        record(0, 10, 2.0, 0.1, digest=evil, origin=f"published:{evil}"),
        record(1, 9, 9.0, state="failed", error=evil, evaluation=None, violations={}),
        argv=["archlab", evil],
        facts={"title": evil, evil: evil},
        fingerprint={evil: evil},
        protocol={"lines": [evil], "runtime": evil, evil: evil, "kind": evil},
        score=study_files.Score(name=evil, title=evil, source=evil),
        baselines=[Baseline(model=evil, score=1.0, latency_ms=1.0, latency_source=evil, note=evil)],
    )
    named = dataclasses.replace(study, name=evil, folder=Path("/x") / evil.replace("/", "-"), notes=(evil,))
    raw = html.render([named], {evil: evil})
    page = Page(raw)
    assert page.open == []
    assert raw.count("<script") - get_plotlyjs().count("<script") == 5  # three charts, plotly, ours
    assert not any("onmouseover" in attributes for _, attributes in page.elements)
    assert "alert('x')" in page.text
    assert all("alert('x')" not in text for name, text in page.scripts.items() if name.startswith("script"))
    assert json.loads(page.scripts["s1-front-data"])


def test_no_network_under_the_budget(tmp_path: Path, make_study: MakeStudy) -> None:
    made = make_study(tmp_path / "tight", trials=12, budget_ms=0.5)
    page = Page(reports.write(made).report.read_text())
    assert re.search(
        r"None of \d+ distinct networks keeps the budget of 0.5 ms\. The fastest, [0-9a-f]{12}, needs", page.text
    )
    assert "there is no front" in page.text and "no network within the budget to take apart" in page.text
    assert "s1-best-data" not in page.scripts
    assert (made / "front.csv").read_text().count("\n") == 1


def test_only_failures(record: MakeRecord, study_of: StudyOf) -> None:
    study = study_of(record(0, 1, 1, state="failed", evaluation=None, violations={}, error="no rule"))
    page = Page(html.render([study], {"small": "nothing to show"}))
    assert "No network could be evaluated; the causes are listed below." in page.text and "no rule" in page.text


@pytest.mark.slow
def test_a_browser_draws_the_page_without_errors(folder: Path, raw: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("NO BROWSER: the page was not opened; install chromium to run this test")
    probe = tmp_path / "probe.html"
    check = (
        "<script>window.addEventListener('load', function () { setTimeout(function () {"
        "document.querySelector('table.front thead th:nth-child(2)').click();"
        "document.title = 'drawn ' + document.querySelectorAll('.main-svg').length + ' points '"
        " + document.querySelectorAll('[data-chart=s1-front] .points path').length + ' first '"
        " + document.querySelector('table.front tbody tr td:nth-child(2)').textContent"
        " + ' errors ' + window.failures; }, 500); });</script>"
    )
    watch = "<script>window.failures = 0; window.onerror = function () { window.failures += 1; };</script>"
    probe.write_text(raw.replace("<head>", "<head>" + watch, 1).replace("</body>", check + "</body>", 1))
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,2400", "--virtual-time-budget=8000",
         "--dump-dom", probe.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    title = re.search(r"<title>(drawn (\d+) points (\d+) first ([\d,.]+) errors (\d+))</title>", done.stdout)
    assert title is not None, done.stderr[-2000:]
    rows = (folder / "front.csv").read_text().splitlines()[1:]
    assert int(title[2]) >= 3  # three charts, each with its layers
    assert int(title[3]) > len(rows)
    assert float(title[4].replace(",", "")) == pytest.approx(min(float(row.split(",")[2]) for row in rows), abs=1)
    assert title[5] == "0"
