"""The journal file: whole lines only, whatever dies while it writes."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import optuna
import pytest

from archlab.study.journal import JournalFile, journal_path, mend_tail


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "j")
    journal.append_logs([{"a": 1}, {"b": 2}])
    assert list(journal.read_logs(0)) == [{"a": 1}, {"b": 2}]
    journal.append_logs([{"c": 3}])
    assert list(journal.read_logs(2)) == [{"c": 3}]
    assert list(JournalFile(tmp_path / "j").read_logs(1)) == [{"b": 2}, {"c": 3}]


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = JournalFile(path)
    journal.append_logs([{"a": 1}])
    with path.open("ab") as stream:
        stream.write(b'{"b":')
    assert list(journal.read_logs(0)) == [{"a": 1}]
    with path.open("ab") as stream:
        stream.write(b"2}\n")
    assert list(journal.read_logs(1)) == [{"b": 2}]


def test_the_next_writer_cuts_off_what_a_dead_one_left(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = JournalFile(path)
    journal.append_logs([{"a": 1}])
    with path.open("ab") as stream:
        stream.write(b'{"half": "a line')
    journal.append_logs([{"b": 2}])
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'
    assert list(journal.read_logs(0)) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (b"x", b""), (b"a\nb", b"a\n"), (b"a\n", b"a\n"), (b"a\n" + b"y" * 200_000, b"a\n")],
)
def test_mending_keeps_whole_lines(before: bytes, after: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(before)
    with path.open("r+b") as stream:
        assert mend_tail(stream) == len(before) - len(after)
    assert path.read_bytes() == after


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b"\xff\n"])
def test_damage_is_told_with_its_line(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"a":1}\n' + line + b'{"b":2}\n')
    with pytest.raises(ValueError, match="line 2: "):
        list(JournalFile(path).read_logs(0))


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    journal = JournalFile(path)
    journal.append_logs([{"a": 1}])
    real = Path.open

    class Full:
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *exc: object) -> None:
            self._stream.close()

        def write(self, data: bytes) -> None:
            self._stream.write(data[:5])
            self._stream.flush()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode, **options: Full(real(self, mode, **options)))
    with pytest.raises(OSError, match="No space left"):
        journal.append_logs([{"b": 2}])
    monkeypatch.undo()
    assert path.read_bytes() == b'{"a":1}\n'


def _write(path: str, who: int) -> None:
    journal = JournalFile(Path(path))
    for number in range(100):
        journal.append_logs([{"who": who, "number": number, "fill": "x" * 500}])


def test_processes_do_not_spoil_each_others_lines(tmp_path: Path) -> None:
    path = tmp_path / "j"
    fork = multiprocessing.get_context("spawn")
    workers = [fork.Process(target=_write, args=(str(path), who)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    logs = [json.loads(line) for line in path.read_text().splitlines()]
    for who in range(3):
        assert [log["number"] for log in logs if log["who"] == who] == list(range(100))


def test_optuna_reads_the_journal_with_its_own_backend(tmp_path: Path) -> None:
    path = tmp_path / "j"
    storage = optuna.storages.JournalStorage(JournalFile(path))  # type: ignore[arg-type]
    study = optuna.create_study(storage=storage, study_name="s")
    study.tell(study.ask({"x": optuna.distributions.IntDistribution(1, 3)}), 2.0)
    theirs = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    assert optuna.load_study(study_name="s", storage=theirs).best_value == 2.0


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("journal:a/b.log", "a/b.log"),
        ("journal:///a/b.log", "/a/b.log"),
        ("journal:/a/b", "/a/b"),
        ("sqlite:///x", None),
    ],
)
def test_journal_urls(url: str, path: str | None) -> None:
    assert journal_path(url) == (None if path is None else Path(path))
