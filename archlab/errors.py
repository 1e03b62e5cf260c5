"""The error tree, and the four parts every message has.

    ArchlabError
    ├── SpecError             an impossible network or search point
    ├── UnknownNameError      a name that is in no table
    ├── PlanError             a YAML file, a flag or a budget that cannot be carried out
    ├── WeightsError          a weights file that does not fit the network
    ├── StudyError            a study folder that is damaged or does not match
    ├── StorageFullError      nothing more can be written
    ├── CostRuleError         an operator without a counting rule
    ├── ProxyError            a score that a network does not have
    └── DeviceError
        ├── DeviceUnreachable     asked to measure where nothing answers
        │   └── DeviceLost        it answered before: the link broke, or the device went away
        ├── DeviceChanged         another power mode or other software than the study's
        ├── EngineBuildError      a network that the device's runtime cannot build
        └── UnsteadyMeasurement   timed, but too noisy to be called a latency

A message says what is wrong, what was given, what is allowed and what to do, in one line.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "ArchlabError",
    "CostRuleError",
    "DeviceChanged",
    "DeviceError",
    "DeviceLost",
    "DeviceUnreachable",
    "EngineBuildError",
    "PlanError",
    "ProxyError",
    "SpecError",
    "StorageFullError",
    "StudyError",
    "UnknownNameError",
    "UnsteadyMeasurement",
    "WeightsError",
    "four_parts",
    "unknown_name",
]


class ArchlabError(Exception):
    """Base of everything a user can cause and repair; the command line prints it in one line."""


class SpecError(ArchlabError):
    """An impossible network or search point."""


class UnknownNameError(ArchlabError):
    """A name that is in no table."""


class PlanError(ArchlabError):
    """A YAML file, a flag or a budget that cannot be carried out."""


class WeightsError(ArchlabError):
    """A weights file that does not fit the network."""


class StudyError(ArchlabError):
    """A study folder that is damaged or does not match what was asked."""


class StorageFullError(ArchlabError):
    """Nothing more can be written."""


class CostRuleError(ArchlabError):
    """An operator without a counting rule."""


class ProxyError(ArchlabError):
    """A score that a network does not have."""


class DeviceError(ArchlabError):
    """Something about a device."""


class DeviceUnreachable(DeviceError):  # noqa: N818 - reads as the state it reports
    """Asked to measure where nothing answers."""


class DeviceLost(DeviceUnreachable):
    """A device that answered before: the link broke, or the device went away; no fault of the network that ran."""


class DeviceChanged(DeviceError):  # noqa: N818 - reads as the state it reports
    """Another power mode or other software than before: its latencies cannot stand beside the earlier ones."""


class EngineBuildError(DeviceError):
    """A network that the device's runtime cannot build; the message ends with the tail of the build's log."""


class UnsteadyMeasurement(DeviceError):  # noqa: N818 - reads as the state it reports
    """Timed, but too noisy to be called a latency."""


def four_parts(wrong: str, *, given: object, allowed: str, do: str) -> str:
    """Join the four parts of an error message into one line."""
    text = f"{wrong}; given: {given}; allowed: {allowed}; {do}"
    return " ".join(text.split())


def unknown_name(kind: str, given: str, known: Iterable[str], do: str = "") -> UnknownNameError:
    """Build the error for a name that is in no table, with the nearest known name.

    Args:
        kind: What the name should have named, e.g. ``device``.
        given: The name as the user wrote it.
        known: Every name that would have worked.
        do: What to do when no known name is near; a default is given.
    """
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else (do or "choose one of those")
    listed = ", ".join(names) if len(names) <= 16 else ", ".join(names[:16]) + f", … ({len(names)} in all)"
    return UnknownNameError(four_parts(f"no {kind} {given!r}", given=repr(given), allowed=listed, do=hint))
