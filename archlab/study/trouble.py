"""What can go wrong with a study, in the four parts of a message."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from archlab.errors import PlanError, StorageFullError, StudyError, four_parts
from archlab.study.plan import StudyPlan
from archlab.study.storage import without_password

__all__ = [
    "check_same",
    "damaged",
    "explained",
    "is_full",
    "no_folder",
    "no_storage",
    "no_study",
    "no_url",
    "unreachable",
]

_HOLD = "nothing was overwritten"


def check_same(plan: StudyPlan, space_digest: str, stored: Mapping[str, Any], where: str) -> None:
    """Refuse to go on with a study under another plan.

    Raises:
        StudyError: Naming the first field that differs.
    """
    before = StudyPlan.from_dict(stored.get("plan"), where=f"the plan in {where}")
    field = before.changed_field(plan)
    if field is None and stored.get("space_digest") not in (None, space_digest):
        raise StudyError(
            four_parts(
                f"the study in {where} searched another version of the space {plan.space}",
                given=f"a space with digest {space_digest}",
                allowed=f"the space with digest {stored['space_digest']}",
                do=f"restore the space file or choose another study folder (out); {_HOLD}",
            )
        )
    if field is None:
        return
    old, new = getattr(before, field), getattr(plan, field)
    raise StudyError(
        four_parts(
            f"the study in {where} has another {field}",
            given=f"{field} {new}",
            allowed=f"{field} {old}; only trials, minutes and storage may change",
            do=f"repeat the first command, or choose another study folder (out); {_HOLD}",
        )
    )


def damaged(where: str, error: Exception) -> StudyError:
    """The storage cannot be read."""
    return StudyError(
        four_parts(
            f"the study storage {where} is damaged",
            given=_brief(error),
            allowed="a journal or database as Optuna wrote it",
            do=f"restore it from a copy, or choose another study folder (out); {_HOLD}",
        )
    )


@contextmanager
def explained(where: str, kind: type[Exception]) -> Iterator[None]:
    """Turn trouble with the storage, errors of `kind` or a full disk, into one line."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise _full(where) from None
    except kind as error:
        is_disk = "disk is full" in f"{error} {error.__cause__}"
        raise (_full(where) if is_disk else _failing(where, error)) from None


def is_full(error: OSError) -> bool:
    """Tell whether the disk or the quota is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _failing(where: str, error: Exception) -> StudyError:
    return StudyError(
        four_parts(
            f"the study storage {where} failed",
            given=_brief(error),
            allowed="a storage that answers",
            do="mend it and run the same command again; at most the network in flight is lost",
        )
    )


def _full(where: str) -> StorageFullError:
    return StorageFullError(
        four_parts(
            f"cannot write the study storage {where}: the disk is full",
            given=where,
            allowed="a disk with free space",
            do="free some space and run the same command again; at most the network in flight is lost",
        )
    )


def no_folder(where: str) -> StudyError:
    """The place of the journal is no folder or no file."""
    return StudyError(
        four_parts(
            "the study folder has no usable journal",
            given=where,
            allowed="a folder of archlab search, or a new one",
            do=f"choose another study folder (out); {_HOLD}",
        )
    )


def no_storage(url: str, error: Exception) -> PlanError:
    """The URL leads to no storage."""
    return PlanError(
        four_parts(
            "cannot open the storage",
            given=f"{without_password(url)} ({_brief(error)})",
            allowed="an Optuna storage URL whose database answers and whose driver is installed",
            do="check the URL; without storage a journal in the study folder is used",
        )
    )


def no_url(url: str) -> PlanError:
    """The text is no URL."""
    return PlanError(
        four_parts(
            "no storage URL",
            given=without_password(url),
            allowed="sqlite:///FILE, postgresql+psycopg://…, mysql+pymysql://…, journal:FILE",
            do="leave storage out to use a journal in the study folder",
        )
    )


def no_study(name: str, where: str) -> StudyError:
    """A worker looks for a study that nobody started."""
    return StudyError(
        four_parts(
            f"no study {name!r} in the storage",
            given=where,
            allowed="a study that a search with this storage started; its name is that of its study folder",
            do="start the search first, then its workers",
        )
    )


def unreachable(plan: StudyPlan, smallest_ms: float, source: str) -> PlanError:
    """No network of the space meets the budget."""
    return PlanError(
        four_parts(
            f"no network of the space {plan.space} is known to meet {plan.budget_ms:g} ms on {plan.device}",
            given=f"{plan.budget_ms:g} ms",
            allowed=f"{smallest_ms:.3g} ms or more, the smallest upper end of a latency's interval found ({source})",
            do="raise budget_ms, or choose another space or device",
        )
    )


def _brief(error: Exception) -> str:
    said = without_password(" ".join(str(error).split()))
    return (said or type(error).__name__)[:160]
