"""Is the device still the one that the study began on?

One axis never mixes power modes or versions of the software: the fingerprint of the device is kept with the study, and
a study goes on only where it is the same. An estimated study has an empty fingerprint.
"""

from collections.abc import Mapping

from archlab.errors import DeviceChanged, StudyError, four_parts

__all__ = ["Fingerprint", "changes", "check_resumed", "check_unchanged"]

Fingerprint = Mapping[str, str]


def changes(before: Fingerprint, now: Fingerprint) -> dict[str, tuple[str, str]]:
    """Find what differs: key → (before, now); "not told" stands for what one of them lacks."""
    keys = sorted(before.keys() | now.keys())
    pairs = {key: (before.get(key, "not told"), now.get(key, "not told")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def check_unchanged(device: str, before: Fingerprint, now: Fingerprint) -> None:
    """Refuse what was measured on a device that changed in mid-search.

    Raises:
        DeviceChanged: Naming what changed.
    """
    found = changes(before, now)
    if found:
        raise DeviceChanged(
            four_parts(
                f"the device {device} changed during the search: {_words(found)}",
                given=", ".join(f"{key} {new}" for key, (_, new) in found.items()),
                allowed=", ".join(f"{key} {old}" for key, (old, _) in found.items()) + ", as at the study's start",
                do="set it back and run the same command again, nothing is lost; or choose another study folder (out) "
                "for the device as it is now, for latencies of both never stand on one axis",
            )
        )


def check_resumed(device: str, before: Fingerprint | None, now: Fingerprint, where: str) -> None:
    """Refuse to go on with a study whose device is another one now.

    Args:
        device: The device's name.
        before: The fingerprint kept with the study; empty where it was estimated, None for a study that kept none.
        now: The device's fingerprint, empty where it is estimated.
        where: Where the study is kept.

    Raises:
        StudyError: When the study was estimated and the device is measured now, or the other way round.
        DeviceChanged: Naming what changed.
    """
    if before is None or not changes(before, now):
        return
    if not before or not now:
        was, is_now = ("estimated", "measured") if now else ("measured", "estimated")
        undo = "archlab device remove" if now else "archlab device add"
        raise StudyError(
            four_parts(
                f"the study in {where} was {was} on {device}, which is {is_now} now",
                given=f"{device}, {is_now}",
                allowed=f"{device}, {was}: one axis never mixes both",
                do=f"choose another study folder (out), or undo it with: {undo} {device}; nothing was overwritten",
            )
        )
    found = changes(before, now)
    raise DeviceChanged(
        four_parts(
            f"the device {device} is not what it was when the study in {where} began: {_words(found)}",
            given=", ".join(f"{key} {new}" for key, (_, new) in found.items()),
            allowed=", ".join(f"{key} {old}" for key, (old, _) in found.items()),
            do="set it back, or choose another study folder (out) for the device as it is now; nothing was overwritten",
        )
    )


def _words(found: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(f"{key} was {old} and is {new}" for key, (old, new) in found.items())
