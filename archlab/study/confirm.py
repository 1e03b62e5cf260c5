"""Is the budget kept? Every network of the front is measured once more, in a fresh process and in random order.

What comes out stands beside the first number in ``confirmed.jsonl`` and changes nothing of the search: a network whose
second number is over the budget stays on the front and is marked. A network that was measured again is not measured a
third time when the search goes on.
"""

import contextlib
import dataclasses
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from archlab.errors import DeviceError, DeviceUnreachable, four_parts
from archlab.files import append_line
from archlab.study.plan import StudyPlan
from archlab.study.record import Record

__all__ = ["Confirmed", "Remeasure", "Share", "confirm", "fresh_process", "read", "share"]

Remeasure = Callable[[Sequence[Record], float | None], Iterator[Mapping[str, Any]]]
"""Measures networks again, given what the anchor took in the search (ms), and gives a row for each; see `again`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confirmed:
    """Both numbers of a network, in ms; `interval_again_ms` is the 95 % interval of the second median.

    `drift` is how far the anchor was from what it took in the search, as a share, when the second was taken.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="ignore", allow_inf_nan=False)

    digest: str
    budget_ms: float
    latency_ms: float
    latency_again_ms: float
    interval_again_ms: tuple[float, float]
    source: str
    quality: str | None = None
    drift: float | None = None

    @property
    def is_within(self) -> bool:
        """True where the second median keeps the budget."""
        return self.latency_again_ms <= self.budget_ms

    @property
    def is_crossing(self) -> bool:
        """True where the second interval holds the budget: within or over, nobody can say."""
        low, high = self.interval_again_ms
        return low <= self.budget_ms < high

    @property
    def verdict(self) -> str:
        """``within``, ``over`` or ``crosses the budget``."""
        return "crosses the budget" if self.is_crossing else "within" if self.is_within else "over"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """How many networks of a front were measured again, how many of them keep the budget or cross it.

    `slowest_share` is the slowest second median over the budget, None where there is none.
    """

    networks: int
    within: int
    crossing: int
    slowest_share: float | None


_ADAPTER: TypeAdapter[Confirmed] = TypeAdapter(Confirmed)


def confirm(
    plan: StudyPlan, front: Sequence[Record], path: Path, remeasure: Remeasure, anchor_ms: float | None
) -> Iterator[Confirmed]:
    """Measure again what was not yet, in random order; each answer is written before the next is waited for.

    Args:
        plan: What was asked.
        front: The networks of the front.
        path: The file with what was measured again before.
        remeasure: Measures them.
        anchor_ms: What the anchor took in the search; None where it was not measured.

    Raises:
        DeviceUnreachable: When the device does not answer; the same call then goes on with the rest.
        DeviceError: When the process breaks.
    """
    known = {row.digest for row in read(path)}
    waiting = [record for record in front if record.digest not in known]
    random.Random(plan.seed).shuffle(waiting)
    first = {str(record.digest): record for record in waiting}
    for row in remeasure(waiting, anchor_ms) if waiting else ():
        evaluation = first[row["digest"]].evaluation
        assert evaluation is not None
        found = Confirmed(
            digest=row["digest"],
            budget_ms=plan.budget_ms,
            latency_ms=evaluation.values["latency_ms"],
            latency_again_ms=row["latency_again_ms"],
            interval_again_ms=(row["latency_again_interval"][0], row["latency_again_interval"][1]),
            source=row["source"],
            quality=row["quality"],
            drift=row.get("drift"),
        )
        append_line(path, json.dumps(dataclasses.asdict(found)))
        yield found


def fresh_process(plan: StudyPlan, networks: Sequence[Record], anchor_ms: float | None) -> Iterator[Mapping[str, Any]]:
    """Measure networks in a new process that knows nothing of this one.

    Raises:
        DeviceUnreachable: When the device does not answer, or goes away meanwhile.
        DeviceError: For any other trouble with the device or the process.
    """
    order = {
        "plan": plan.to_dict() | {"storage": None},
        "anchor_ms": anchor_ms,
        "networks": [_network(record) for record in networks],
    }
    with subprocess.Popen(
        [sys.executable, "-m", "archlab.study.again"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # a process that broke at once says why below
                process.stdin.write(json.dumps(order))
                process.stdin.close()
            for line in process.stdout:
                row = json.loads(line)
                if "error" in row:
                    raise DeviceUnreachable(row["error"]) if row["is_away"] else DeviceError(row["error"])
                yield row
            if process.wait() != 0:
                raise _broken(process)
        finally:
            process.kill()


def read(path: Path) -> tuple[Confirmed, ...]:
    """Read what was measured again; a line that a kill cut off is passed over."""
    if not path.exists():
        return ()
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = _ADAPTER.validate_json(line)
        except ValidationError:
            continue
        found[row.digest] = row
    return tuple(found.values())


def share(front: Sequence[Record], confirmed: Sequence[Confirmed]) -> Share:
    """Count how the networks of a front fared."""
    digests = {record.digest for record in front}
    rows = [row for row in confirmed if row.digest in digests]
    return Share(
        networks=len(rows),
        within=sum(row.is_within for row in rows),
        crossing=sum(row.is_crossing for row in rows),
        slowest_share=max((row.latency_again_ms / row.budget_ms for row in rows), default=None),
    )


def _network(record: Record) -> dict[str, Any]:
    assert record.spec is not None
    return {"digest": record.digest, "spec": record.spec.to_dict()}


def _broken(process: "subprocess.Popen[str]") -> DeviceError:
    assert process.stderr is not None
    lines = process.stderr.read().strip().splitlines() or [f"exit code {process.returncode}"]
    return DeviceError(
        four_parts(
            "the second measurement of the front broke off",
            given=lines[-1][:160],
            allowed="a process that measures to its end",
            do="run the same command again: what was measured stays",
        )
    )
