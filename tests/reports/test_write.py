"""A report of one study, of several, and what is left alone when something is wrong."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from archlab import reports
from archlab.errors import PlanError, StudyError
from archlab.reports import comparison, study_files

MakeStudy = Callable[..., Path]


def test_one_study(study_dir: Path) -> None:
    written = reports.write(study_dir)
    assert written == reports.Written(
        report=study_dir / "report.html", figures=(study_dir / "front.svg",), front_csv=study_dir / "front.csv"
    )
    assert all(path.stat().st_size > 500 for path in (written.report, *written.figures, written.front_csv))
    assert "measured" not in (study_dir / "front.svg").read_text()


def test_the_same_study_gives_the_same_bytes(study_dir: Path) -> None:
    first = [path.read_bytes() for path in (reports.write(study_dir).report, study_dir / "front.svg")]
    assert [path.read_bytes() for path in (reports.write(study_dir).report, study_dir / "front.svg")] == first


def test_two_studies_of_one_device_share_their_axes(tmp_path: Path, make_study: MakeStudy) -> None:
    folders = [make_study(tmp_path / name, trials=20, seed=seed) for seed, name in enumerate(("a", "b"))]
    written = reports.write(*folders)
    assert written.report == folders[0] / "report.html"
    assert written.figures == (folders[0] / "comparison-1.svg",)
    assert set(pd.read_csv(written.front_csv)["study"]) == {"a", "b"}
    assert all((folder / "front.csv").exists() and (folder / "front.svg").exists() for folder in folders)
    page = written.report.read_text()
    assert "2 studies compared" in page and "front of b, estimated" in page
    assert len(set(re.findall(r'id="(s\d|c\d)-front-data"', page))) == 3
    assert "measured" not in page


def test_studies_of_two_devices_never_share_an_axis(tmp_path: Path, make_study: MakeStudy) -> None:
    orin = make_study(tmp_path / "x" / "study", trials=20)
    cpu = make_study(tmp_path / "y" / "study", trials=20, device="cpu", kind="measured", budget_ms=20.0)
    written = reports.write(orin, cpu, orin, out=tmp_path / "both")
    assert written.report == tmp_path / "both" / "report.html"
    assert [path.name for path in written.figures] == ["comparison-1.svg", "comparison-2.svg"]
    assert not (orin / "report.html").exists()
    page = written.report.read_text()
    assert page.count("This study stands alone") == 2
    panels = comparison.panels([study_files.read(orin), study_files.read(cpu)])
    assert [panel.title for panel in panels] == ["orin, tensorrt, fp16, NASWOT score", "cpu, ort, fp32, NASWOT score"]
    # Two folders of one name are told apart by their paths; a folder named twice counts once.
    assert set(pd.read_csv(written.front_csv)["study"]) == {str(orin), str(cpu)}


def test_compared_studies_share_one_reference(tmp_path: Path, make_study: MakeStudy) -> None:
    folders = [make_study(tmp_path / f"s{seed}", trials=20, seed=seed) for seed in (1, 2)]
    studies = [study_files.read(folder) for folder in folders]
    (panel,) = comparison.panels(studies)
    lowest = min(study_files.score(t) or 1e9 for s in studies for t in s.trials if t.state == "complete")
    assert panel.reference == (lowest, 5.0)
    assert [row.study for row in panel.rows] == ["s1", "s2"]
    assert panel.rows[0].volume != panel.rows[1].volume


def test_a_damaged_study_leaves_the_old_report(study_dir: Path, tmp_path: Path, make_study: MakeStudy) -> None:
    old = reports.write(study_dir).report.read_bytes()
    broken = make_study(tmp_path / "broken", trials=6)
    (broken / "run.json").unlink()
    with pytest.raises(StudyError, match=r"has no run\.json"):
        reports.write(study_dir, broken)
    assert (study_dir / "report.html").read_bytes() == old
    assert not (broken / "front.csv").exists()


def test_no_folder_at_all() -> None:
    with pytest.raises(
        PlanError, match="nothing to report; given: no folder; allowed: one or more study folders; name"
    ):
        reports.write()


def test_a_cut_line_is_noted_on_the_page(study_dir: Path) -> None:
    path = study_dir / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert "The last line of trials.jsonl is cut off" in reports.write(study_dir).report.read_text()
