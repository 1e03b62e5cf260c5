"""What an agent's refusals and ssh's complaints mean, in four parts."""

import re

from archlab.errors import ArchlabError, DeviceError, DeviceLost, DeviceUnreachable, EngineBuildError, four_parts

__all__ = ["Refusal", "hello_error", "program_error", "refusal_error", "start_error"]

_BAD_NETWORKS = {"build_failed", "bad_model", "external_data"}
_LOSSES = {"device_failed", "damaged"}


class Refusal(Exception):  # noqa: N818 - reads as what it is
    """An agent's answer that something is not done: a code, words, the end of a tool's log."""

    def __init__(self, code: str, detail: str, log: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.log = code, detail, log


def refusal_error(refusal: Refusal, name: str) -> ArchlabError:
    """Turn a refusal into the error that users and searches know."""
    log = f"; the log ends: {refusal.log.strip()[-1000:]}" if refusal.log.strip() else ""
    if refusal.code in _BAD_NETWORKS:
        return EngineBuildError(
            four_parts(
                f"{name} cannot run this network",
                given=refusal.detail,
                allowed="networks that the device's runtime builds within its limits",
                do=f"choose another network or runtime{log}",
            )
        )
    if refusal.code in _LOSSES:
        return DeviceLost(
            four_parts(
                f"the device {name} failed",
                given=refusal.detail,
                allowed="a device that works",
                do=f"look at it with: archlab device check {name}{log}",
            )
        )
    if refusal.code == "busy":
        return DeviceUnreachable(
            four_parts(
                f"{name} is in use",
                given=refusal.detail,
                allowed="one measurement at a time",
                do="wait for the other measurement, then run the same command again",
            )
        )
    return DeviceError(
        four_parts(
            f"{name} does not do this ({refusal.code})",
            given=refusal.detail,
            allowed="what its runtimes offer",
            do=f"see: archlab device check {name}{log}",
        )
    )


_NO_PYTHON = (
    "no agent starts there",
    "Python 3.6 or newer there",
    "name the board's Python: archlab device add --python PATH",
)
_STARTS = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is another one than ssh knows: it was set up anew, or somebody stands in between",
        "the key that ssh knows",
        "compare it with the board's own key; only if that is it: ssh-keygen -R HOST, then log in once by hand",
    ),
    (
        r"Host key verification failed|host key is known",
        "ssh does not know its host key, and no key is accepted unseen",
        "a host key in known_hosts",
        "log in once by hand and compare the key with the board's own",
    ),
    (
        r"Permission denied",
        "it refuses the login",
        "a login by key, without a password",
        "put your key there: ssh-copy-id HOST, or name it: archlab device add --identity FILE",
    ),
    (
        r"Could not resolve|Name or service not known|No route|Connection refused|timed out|Network is unreachable",
        "it does not answer",
        "a host that is on and reached by ssh",
        "look whether it is on and on this network",
    ),
    (
        r"archlab agent: (.*)",
        "its agent ended at once",
        "an agent of the same version at both ends",
        "where authorized_keys names an agent of its own, copy the present one there",
    ),
)


def start_error(name: str, status: int | None, said: str) -> DeviceUnreachable:
    """Say why no agent answers, from ssh's exit status and what stood on stderr."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else f"nothing was said, exit status {status}"
    told = next((words for pattern, *words in _STARTS if re.search(pattern, said)), _NO_PYTHON)
    wrong, allowed, do = told
    return DeviceUnreachable(
        four_parts(
            f"the device {name} cannot be reached: {wrong}",
            given=last,
            allowed=allowed,
            do=f"{do}; step by step: archlab device check {name}",
        )
    )


def program_error(name: str, program: str, error: OSError) -> DeviceUnreachable:
    """Say that what starts the agent, ssh or a Python, cannot itself be started here."""
    return DeviceUnreachable(
        four_parts(
            f"the device {name} cannot be reached: {program} does not start on this machine",
            given=error.strerror or type(error).__name__,
            allowed="a program that is installed here",
            do="install OpenSSH's client" if program == "ssh" else "name another Python: archlab device add --python",
        )
    )


def hello_error(name: str, refusal: Refusal) -> DeviceUnreachable:
    """Say that an agent answers, but refuses to be greeted."""
    return DeviceUnreachable(
        four_parts(
            f"the device {name} cannot be reached: its agent refuses ({refusal.code})",
            given=refusal.detail,
            allowed="an agent of the same version at both ends",
            do=f"copy the present agent there; step by step: archlab device check {name}",
        )
    )
