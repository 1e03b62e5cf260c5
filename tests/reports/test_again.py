"""What was measured again stands beside the first number, in every form a study is shown."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlab import reports
from archlab.api import studies
from archlab.cli.summary import print_summary
from archlab.reports import findings, protocol, rows, study_files, tables
from archlab.reports.study_files import Study
from archlab.study.anchor import Reading
from archlab.study.confirm import Confirmed
from archlab.study.record import Record

MakeRecord = Callable[..., Record]
StudyOf = Callable[..., Study]
MakeStudy = Callable[..., Path]


def again(number: int, ms: float, half_ms: float = 0.01) -> Confirmed:
    return Confirmed(
        digest=f"{number:012d}", budget_ms=5.0, latency_ms=1.0, latency_again_ms=ms,
        interval_again_ms=(ms - half_ms, ms + half_ms), source="measured:ort@cpu", quality="ok",
    )  # fmt: skip


@pytest.fixture
def study(record: MakeRecord, study_of: StudyOf) -> Study:
    """Four networks on the front; of three there is a second number: within, crossing, over."""
    plain = study_of(*(record(i, 1.0 + i, 4.0 + i / 10) for i in range(4)))
    return dataclasses.replace(plain, confirmed=(again(0, 4.1), again(1, 4.999, 0.02), again(3, 5.2), again(9, 9.0)))


def test_words_count_the_front_only(study: Study) -> None:
    assert findings.confirmed_words(study) == (
        "Measured again in a fresh process, in random order: 2 of 3 keep the budget by their second median, 1 cross it "
        "with their interval; the slowest takes 104 % of it. 1 more are not measured again yet."
    )
    assert findings.confirmed_words(dataclasses.replace(study, confirmed=())) == ""


def test_the_table_holds_both_numbers(study: Study) -> None:
    table = tables.front_table(study)
    assert table["latency_again_ms"].tolist()[:2] == [4.1, 4.999]
    assert table["again"].fillna("").tolist() == ["within", "crosses the budget", "", "over"]
    assert table["latency_again_high_ms"].tolist()[3] == pytest.approx(5.21)


def test_rows_for_the_page(study: Study) -> None:
    shown = rows.front_rows(study)
    assert [row.verdict for row in shown] == ["within", "crosses the budget", "", "over"]
    assert [row.again.value for row in shown] == [4.1, 4.999, None, 5.2]


def test_the_box_tells_of_the_anchor_and_its_drift(study: Study) -> None:
    readings = (Reading(after=0, ms=9.0, drift=0.0), Reading(after=20, ms=9.45, drift=0.05))
    told = protocol.groups(dataclasses.replace(study, anchor=readings))
    facts = {name: text for group in told for name, text in group.facts}
    assert facts["anchor"].startswith("edgenext_xx_small, measured 2 times through the search: ")
    assert facts["anchor"].endswith("spread between measurements taken as 1.5 % (standard deviation)")
    assert facts["drift"] == "+5.0 % after 20 networks: those measured since the reading before may be off by as much"
    assert facts["second measurement"].startswith("Measured again in a fresh process")


@pytest.fixture
def folder(tmp_path: Path, make_study: MakeStudy) -> Path:
    """A study folder whose front was measured again, one network over the budget."""
    made = make_study(tmp_path / "hybrid-cpu-20ms", device="cpu", kind="measured", budget_ms=20.0)
    front = findings.front(study_files.read(made))
    lines = []
    for record in front:
        assert record.evaluation is not None
        ms = 21.0 if record is front[-1] else record.evaluation.values["latency_ms"]
        row = {"digest": record.digest, "budget_ms": 20.0, "latency_ms": ms, "latency_again_ms": ms}
        lines.append(json.dumps(row | {"interval_again_ms": [ms, ms], "source": "measured:ort@cpu", "quality": "ok"}))
    (made / "confirmed.jsonl").write_text("\n".join(lines) + "\n")
    return made


def test_the_page_shows_both_numbers(folder: Path) -> None:
    page = reports.write(folder).report.read_text()
    assert "measured again" in page
    assert '<td class="over">over</td>' in page
    assert "keep the budget by their second median" in page


def test_the_answer_of_a_search_holds_both_numbers(folder: Path) -> None:
    answer: dict[str, Any] = studies.load(folder).to_dict()
    assert answer["front"][-1]["latency_again_ms"] == 21.0
    assert answer["front"][-1]["again"] == "over"
    assert answer["confirmed"]["within"] == answer["confirmed"]["networks"] - 1 == len(answer["front"]) - 1
    assert answer["confirmed"]["slowest_share"] == pytest.approx(1.05)


def test_the_summary_says_how_many_keep_the_budget(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(studies.load(folder), explain=False)
    out = capsys.readouterr().out
    assert "within 20 ms; the slowest takes 105 % of it" in out
    assert "again" in out


def test_without_a_second_measurement_nothing_is_said(tmp_path: Path, make_study: MakeStudy) -> None:
    made = make_study(tmp_path / "s", device="cpu", kind="measured", budget_ms=20.0)
    answer = studies.load(made).to_dict()
    assert answer["confirmed"] is None
    assert answer["front"][0]["latency_again_ms"] is None
    assert "measured again" not in reports.write(made).report.read_text()
