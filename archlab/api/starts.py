"""Where does a search begin? With the front of another one, as far as it lies in the space."""

from pathlib import Path

from archlab.errors import PlanError, four_parts
from archlab.reports import study_files
from archlab.spec import ArchSpec
from archlab.study import result
from archlab.study.plan import StudyPlan
from archlab.study.scorer import take_over

__all__ = ["begin_from"]


def begin_from(folder: Path, plan: StudyPlan, out: Path) -> list[ArchSpec]:
    """The networks of another study's front that lie in the space of a plan, at least one; what it trained is kept.

    Args:
        folder: The other study.
        plan: The new one.
        out: Its folder; gets the trained rungs of the other study if both score by the same training.

    Raises:
        PlanError: If there is none.
        StudyError: If the folder is no study.
    """
    files = study_files.read(folder)
    front = [r.spec for r in result.front(files.trials, files.plan.objectives) if r.spec is not None]
    here = plan.search_space()
    inside = [spec for spec in front if here.contains(spec)]
    if not inside:
        raise PlanError(
            four_parts(
                f"no network of that front lies in the space {plan.space!r}",
                given=f"{folder}, a study of {files.plan.space} with {len(front)} networks on its front",
                allowed="a study whose networks the space holds",
                do=f"search the space {files.plan.space!r}, or leave that study out",
            )
        )
    take_over(files.plan, folder, plan, out)
    return inside
