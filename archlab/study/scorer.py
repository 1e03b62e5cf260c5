"""The score of a search: of each network by itself, or, where it trains, rung by rung beside the networks before."""

import functools
import shutil
from pathlib import Path

from archlab.errors import PlanError, four_parts, unknown_name
from archlab.proxy import PROXIES, score
from archlab.proxy.halving import ShortTraining, is_ranked_alike, short_training
from archlab.spec import ArchSpec
from archlab.study.folder import StudyFolder
from archlab.study.plan import StudyPlan

__all__ = ["Scorer", "take_over"]

_FOLDER = "short_train"


def take_over(theirs: StudyPlan, start: Path, plan: StudyPlan, out: Path) -> None:
    """Let a new study of `plan` in `out` know what the one in `start` has trained, if both train alike.

    No network is trained twice then, and the first ones already have rivals at every rung.

    Raises:
        StudyError: When `out` cannot be made.
    """
    ours, source = out / _FOLDER, start / _FOLDER
    alike = all(getattr(theirs, name) == getattr(plan, name) for name in ("proxy", "data", "seed"))
    if alike and is_ranked_alike(source) and not ours.exists():
        StudyFolder(out).make()
        ours.mkdir()
        for path in source.glob("*.json*"):
            shutil.copy(path, ours)


class Scorer:
    """Scores networks as a plan asks.

    Raises:
        UnknownNameError: For a proxy that is in no table.
        PlanError: For images that the score does not look at.
    """

    def __init__(self, plan: StudyPlan, out: Path | None = None) -> None:
        """Check the plan; what a score trains lies in the folder `out`, or in one that goes with this value."""
        if plan.proxy not in PROXIES:
            raise unknown_name("proxy", plan.proxy, PROXIES, "see: archlab proxy list")
        self.trains = PROXIES[plan.proxy].trains
        if plan.data is not None and not self.trains:
            raise _blind(plan)
        self._plan, self._out = plan, out

    def __call__(self, spec: ArchSpec) -> float:
        """Score a network.

        Raises:
            ProxyError: When it has no such score.
            PlanError: When the images cannot be read.
        """
        plan = self._plan
        return score(plan.proxy, spec, batch_size=plan.score_batch, seed=plan.seed, training=self._training).score

    @functools.cached_property
    def _training(self) -> ShortTraining | None:
        out = None if self._out is None else self._out / _FOLDER
        return short_training(self._plan.data, out, seed=self._plan.seed) if self.trains else None


def _blind(plan: StudyPlan) -> PlanError:
    trained = ", ".join(name for name, row in PROXIES.items() if row.trains)
    return PlanError(
        four_parts(
            "this score looks at no images of yours",
            given=f"{plan.proxy}, data {plan.data}",
            allowed=f"data beside a score that trains: {trained}",
            do="choose that score, or leave data out",
        )
    )
