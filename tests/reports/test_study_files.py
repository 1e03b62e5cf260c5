"""A study folder is read whole, and every kind of damage is named in four parts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.errors import StudyError
from archlab.reports import study_files


def test_reads_what_a_search_wrote(study_dir: Path) -> None:
    study = study_files.read(study_dir)
    assert (study.name, study.space, study.plan.device, study.plan.budget_ms) == (
        "hybrid-orin-5ms",
        "hybrid",
        "orin",
        5.0,
    )
    assert len(study.trials) == 60 and study.notes == ()
    assert study.device_title == "Jetson AGX Orin 64 GB, MAXN" and study.score_title == "NASWOT"
    raw = json.loads((study_dir / "trials.jsonl").read_text().splitlines()[3])
    third = study.trials[3]
    assert study_files.score(third) == raw["evaluation"]["values"]["score"]
    assert study_files.latency_ms(third) == raw["evaluation"]["values"]["latency_ms"]
    assert study_files.interval_ms(third) == tuple(raw["evaluation"]["intervals"]["latency_ms"])
    assert study_files.latency_source(third) == "estimated:roofline@orin"
    assert third.spec is not None and third.spec.digest == raw["digest"]
    assert [row.model for row in study.run.baselines][:2] == ["edgenext_xx_small", "edgenext_x_small"]


def test_unknown_keys_of_run_json_are_passed_over(study_dir: Path) -> None:
    run = json.loads((study_dir / "run.json").read_text())
    (study_dir / "run.json").write_text(json.dumps({**run, "weather": "fine"}))
    assert study_files.read(study_dir).run.seconds == 143.7


def test_a_line_cut_off_by_a_kill_is_left_out_and_noted(study_dir: Path) -> None:
    path = study_dir / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    study = study_files.read(study_dir)
    assert len(study.trials) == 59
    assert study.notes == (
        "The last line of trials.jsonl is cut off (the search was stopped while writing it): left out.",
    )


def test_a_device_may_be_a_name_only(study_dir: Path) -> None:
    run = json.loads((study_dir / "run.json").read_text())
    (study_dir / "run.json").write_text(json.dumps({**run, "device": "orin"}))
    study = study_files.read(study_dir)
    assert study.device_title == "orin" and study.device_row == {}


def test_an_unfinished_search_says_so(study_dir: Path) -> None:
    run = json.loads((study_dir / "run.json").read_text())
    (study_dir / "run.json").write_text(json.dumps({**run, "is_finished": False, "seconds": 2.5}))
    study = study_files.read(study_dir)
    assert "The search is not finished" in study.notes[0]
    raw = map(json.loads, (study_dir / "trials.jsonl").read_text().splitlines())
    assert study.seconds == pytest.approx(sum(document["seconds"] for document in raw))


def cut_middle(folder: Path) -> None:
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    lines[2] = lines[2][:50] + "\n"
    (folder / "trials.jsonl").write_text("".join(lines))


def break_spec(folder: Path) -> None:
    lines = (folder / "trials.jsonl").read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace('"resolution":', '"revolution":')
    (folder / "trials.jsonl").write_text("".join(lines))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (cut_middle, "line 3"),
    "spec": (break_spec, "line 2"),
    "empty": (lambda folder: (folder / "trials.jsonl").write_text(""), "trials.jsonl is damaged"),
    "binary": (lambda folder: (folder / "trials.jsonl").write_bytes(b"\xff\xfe\x00\n"), "trials.jsonl is damaged"),
    "run": (lambda folder: (folder / "run.json").write_text('{"argv": "none"}'), "run.json is damaged"),
    "run-cut": (lambda folder: (folder / "run.json").write_text('{"argv": ['), "run.json is damaged"),
    "run-nan": (lambda folder: (folder / "run.json").write_text('{"seconds": NaN}'), "run.json is damaged"),
    "plan": (lambda folder: (folder / "plan.yaml").write_text("budget_ms: [1"), "plan.yaml"),
    "plan-key": (lambda folder: (folder / "plan.yaml").write_text("budget: 5\ndevice: cpu"), "plan.yaml"),
    "no-plan": (lambda folder: (folder / "plan.yaml").unlink(), "has no plan.yaml"),
    "no-run": (lambda folder: (folder / "run.json").unlink(), "has no run.json"),
    "no-trials": (lambda folder: (folder / "trials.jsonl").unlink(), "has no trials.jsonl"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_in_four_parts(study_dir: Path, name: str) -> None:
    harm, expected = DAMAGE[name]
    harm(study_dir)
    with pytest.raises(StudyError) as caught:
        study_files.read(study_dir)
    message = str(caught.value)
    assert expected in message and "\n" not in message
    assert "given: " in message and "allowed: " in message and message.count("; ") >= 3


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no such study folder; given: .*nowhere; allowed: a folder with plan.yaml"):
        study_files.read(tmp_path / "nowhere")
    with pytest.raises(StudyError, match="check the path, or make a study with archlab search"):
        study_files.read(tmp_path)
