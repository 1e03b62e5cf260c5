"""What happens beside the search on a measured device: the anchor is read, the best network grown, the front confirmed.

On an estimated device all of it does nothing: there the follower only appends each record to the folder.
"""

import random
from collections.abc import Callable, Sequence

from archlab.cost.count import count
from archlab.cost.trace import trace
from archlab.errors import DeviceError
from archlab.space import SearchSpace
from archlab.study.anchor import Anchor, read, usual_ms
from archlab.study.confirm import confirm
from archlab.study.folder import StudyFolder
from archlab.study.grow import grown, is_late, room
from archlab.study.plan import StudyPlan
from archlab.study.record import Record
from archlab.study.recovery import Recovery
from archlab.study.result import front
from archlab.study.roles import Services, Store

__all__ = ["Follower", "confirm_front"]

Watch = Callable[[str], object]
"""Is told in one word what has just been done."""


class Follower:
    """Follows the search: after every network, append it, measure the anchor if due, grow the best if there is room."""

    def __init__(
        self, store: Store, plan: StudyPlan, space: SearchSpace, services: Services, folder: StudyFolder, watch: Watch
    ) -> None:
        self._store, self._plan, self._space, self._folder, self._watch = store, plan, space, folder, watch
        self._anchor = Anchor(folder.anchor, services.anchor_ms, services.expect_spread)
        self._check_anchor(is_end=False)

    def __call__(self, record: Record) -> None:
        self._folder.append(record)
        self._check_anchor(is_end=False)
        self._grow()
        self._watch("search")

    def restarted(self) -> None:
        """The device has started again: measure the anchor, whenever it was measured last.

        Raises:
            DeviceError: When the device does not answer.
        """
        self._anchor.check(len(self._store.records()), is_due=True)

    def end(self) -> None:
        """The search is over."""
        self._check_anchor(is_end=True)

    def _check_anchor(self, *, is_end: bool) -> None:
        try:
            self._anchor.check(len(self._store.records()), is_end=is_end)
        except DeviceError as error:
            self._folder.note({"event": "anchor not measured", "detail": str(error)})

    def _grow(self) -> None:
        """Every second network of the later part of a measured search is grown, until the budget is full."""
        records = self._store.records()
        if not self._anchor.readings or len(records) % 2 or not is_late(records, self._plan):
            return
        if room(records, self._plan):
            rng = random.Random(self._plan.seed + len(records))
            found = grown(self._space, records, self._plan, lambda spec: count(trace(spec)), rng)
            if found is not None:
                self._store.enqueue(found[0], f"grown:{found[1]}")


def confirm_front(
    records: Sequence[Record],
    plan: StudyPlan,
    services: Services,
    folder: StudyFolder,
    watch: Watch,
    recovery: Recovery,
) -> bool:
    """Measure the front of a measured search again; False where an interrupt ended it with what there is.

    A device that goes away is called again, and what was not measured yet is measured then.

    Raises:
        DeviceLost: When the device stays away.
        DeviceError: For any other trouble with it.
    """
    chosen = front(records, plan.objectives)
    if not all(_is_measured(record) for record in chosen):
        return True

    def again() -> None:
        for _ in confirm(plan, chosen, folder.confirmed, services.remeasure, usual_ms(read(folder.anchor))):
            recovery.settle()
            watch("second measurement")

    try:
        recovery.patiently(again, phase="second measurement")
    except KeyboardInterrupt:
        return False
    return True


def _is_measured(record: Record) -> bool:
    return record.evaluation is not None and record.evaluation.sources["latency_ms"].startswith("measured:")
