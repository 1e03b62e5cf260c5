"""The study folder: whole files, and an export that never knows more than the storage."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from archlab.errors import StudyError
from archlab.families import published
from archlab.spec import ArchSpec
from archlab.study.folder import StudyFolder
from archlab.study.record import Record

SPEC = published("efficientvit_m0").spec


def record(number: int, **changes: Any) -> Record:
    base = Record(
        number=number, state="failed", digest=f"{number:012x}", spec=SPEC, point={}, origin="sampled", evaluation=None,
        violations={}, seconds=0.0, seed=0,
    )  # fmt: skip
    return base.replace(**changes)


def test_lines_are_appended_and_the_file_rebuilt(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "s")
    folder.make()
    folder.append(record(0))
    folder.append(record(1))
    assert folder.digests() == {"000000000000", "000000000001"}
    folder.export([record(1)])
    assert [json.loads(line)["number"] for line in folder.trials.read_text().splitlines()] == [1]


def test_damaged_lines_do_not_count(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.trials.write_bytes(record(2).to_json().encode() + b'\n{"digest": null}\n[]\n\xff\n{"digest"')
    assert folder.digests() == {"000000000002"}
    assert StudyFolder(tmp_path / "none").digests() == set()


def test_an_export_that_knows_more_is_kept(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.export([record(0), record(1)])
    folder.check_against([record(0), record(1), record(2)], "journal.log")
    with pytest.raises(StudyError, match=r"1 networks of trials\.jsonl are not in the storage; given: .*; restore it"):
        folder.check_against([record(0)], "journal.log")


def test_best_is_a_spec_below_its_story(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.write_best(record(0), "one\ntwo")
    assert folder.best.read_text().startswith("# one\n# two\n")
    assert ArchSpec.from_dict(yaml.safe_load(folder.best.read_text())) == SPEC
    folder.write_best(None, "")
    assert not folder.best.exists()


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_run_file_is_written_again(text: str, tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.run.write_text(text)
    assert folder.read_run() == {}
    folder.write_run({"seconds": 1.5})
    assert folder.read_run() == {"seconds": 1.5}


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StudyError, match=r"cannot make the study folder; given: .*; allowed: .*; choose another study folder"
    ):
        StudyFolder(tmp_path / "file" / "s").make()
