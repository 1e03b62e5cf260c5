"""The study folder: what is written where, always whole.

``trials.jsonl`` is an export of the storage: a line is appended after each tell, and the file is rebuilt at every
start and at the end, so a line cut off by a kill does no harm. ``events.jsonl`` tells what happened to the device on
the way, where something did; ``anchor.jsonl`` and ``confirmed.jsonl`` what was measured again. ``plan.yaml``,
``run.json`` and ``best.yaml`` are replaced in one step.
"""

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from archlab.errors import StudyError, four_parts
from archlab.files import append_line, write_text
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

__all__ = ["StudyFolder"]


class StudyFolder:
    """Reads and writes the files of one study; `path` need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.log"
        self.trials = path / "trials.jsonl"
        self.plan = path / "plan.yaml"
        self.run = path / "run.json"
        self.best = path / "best.yaml"
        self.events = path / "events.jsonl"
        self.anchor = path / "anchor.jsonl"
        self.confirmed = path / "confirmed.jsonl"

    def make(self) -> None:
        """Create the folder.

        Raises:
            StudyError: When that is impossible.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                four_parts(
                    "cannot make the study folder",
                    given=f"{self.path} ({error.strerror})",
                    allowed="a folder that can be written",
                    do="choose another study folder (out)",
                )
            ) from None

    def digests(self) -> set[str]:
        """Digests of the networks in ``trials.jsonl``; damaged lines are passed over."""
        if not self.trials.exists():
            return set()
        found = set()
        for line in self.trials.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.add(json.loads(line)["digest"])
            except (ValueError, KeyError, TypeError):
                continue
        return {digest for digest in found if isinstance(digest, str)}

    def check_against(self, records: Sequence[Record], storage: str) -> None:
        """Refuse to rebuild an export that knows more networks than the storage.

        Raises:
            StudyError: When networks of ``trials.jsonl`` are unknown to the storage.
        """
        missing = self.digests() - {str(record.digest) for record in records}
        if missing:
            raise StudyError(
                four_parts(
                    f"{len(missing)} networks of trials.jsonl are not in the storage",
                    given=f"{self.path} with {storage}",
                    allowed="the journal.log or storage that the study was made with",
                    do="restore it, or choose another study folder (out); nothing was overwritten",
                )
            )

    def export(self, records: Sequence[Record]) -> None:
        """Rebuild ``trials.jsonl``."""
        write_text(self.trials, "".join(record.to_json() + "\n" for record in records))

    def append(self, record: Record) -> None:
        """Append one record to ``trials.jsonl``."""
        append_line(self.trials, record.to_json())

    def write_plan(self, plan: StudyPlan) -> None:
        """Write ``plan.yaml``."""
        write_text(self.plan, plan.to_yaml())

    def note(self, event: Mapping[str, Any]) -> None:
        """Append what happened to the device to ``events.jsonl``, with the time."""
        now = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="milliseconds")
        append_line(self.events, json.dumps({"time": now, **event}, ensure_ascii=False))

    def write_best(self, record: Record | None, header: str) -> None:
        """Write ``best.yaml``: the spec below `header`, one comment line per line; without a record, none is left."""
        if record is None or record.spec is None:
            self.best.unlink(missing_ok=True)
            return
        comment = "".join(f"# {line}\n" for line in header.splitlines())
        write_text(self.best, comment + yaml.safe_dump(record.spec.to_dict(), sort_keys=False))

    def write_run(self, document: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        write_text(self.run, json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def read_run(self) -> dict[str, Any]:
        """Read ``run.json``; empty where it is missing or damaged, for it is written again at the end."""
        try:
            document = json.loads(self.run.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}
