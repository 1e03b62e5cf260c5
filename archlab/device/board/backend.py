"""Networks on a board: what the agent offers, as one more backend.

The link to a device stays open between measurements, so that a search does not log in for each network. A board that
slows itself down is left to cool to three degrees above where it began, and runs again, twice at most; then the
measurement says that it was throttled.

Energy per inference is what the board draws above its power at rest, times the latency: (mean power while it runs -
power at rest) · median, in mJ. On Jetson both come from the INA3221 beside the module, so the carrier board is not in.
"""

import atexit
import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from archlab.device.board.link import Link, connect
from archlab.device.board.model import board_onnx
from archlab.device.board.refusal import Refusal, refusal_error
from archlab.device.board.times import layer_times
from archlab.device.catalog import Device, RunSpec
from archlab.device.measurement import Samples
from archlab.device.ort_profile import read_profile
from archlab.device.reach import RUNTIMES
from archlab.device.runtime import OpTime, Workload
from archlab.errors import DeviceChanged, DeviceError, DeviceLost, four_parts, unknown_name

__all__ = ["BoardBackend", "BoardHandle"]

_COOLINGS = 2
_ABOVE_START_C = 3.0
_COOL_S = 180.0
_BLOCK_S = 3.0
"""A block of trtexec, which warms up for half a second before it."""


class BoardHandle:
    """One network, ready on the board."""

    def __init__(self, link: Link, answer: dict[str, Any], run: RunSpec) -> None:
        self._link, self._run = link, run
        self._number = answer["handle"]
        self._settings = {str(name): str(value) for name, value in answer["settings"].items()}
        self._queue_s = float(answer["queue_s"])
        self._fingerprint: dict[str, str] = answer["fingerprint"]

    @property
    def is_self_warming(self) -> bool:
        """True for trtexec."""
        return self._run.runtime == "trtexec"

    def run(self, runs: int) -> Samples:
        """Run `runs` times and time each; trtexec runs as often as fits into its seconds."""
        answer = self._block(runs)
        for _ in range(_COOLINGS):
            start_c = answer["facts"].get("start_c")
            if not answer["facts"]["throttled"] or start_c is None:
                break
            self._ask("cool", to_c=float(start_c) + _ABOVE_START_C, seconds=_COOL_S)
            answer = self._block(runs)
        return self._samples(answer)

    def profile(self, runs: int) -> tuple[OpTime, ...]:
        """Time each operator with the runtime's own profiler, on the board."""
        answer = self._ask("profile", runs=runs)
        if self._run.runtime == "ort":
            return read_profile(answer["events"])
        return layer_times(answer["rows"], answer.get("layers", []))

    def state(self) -> dict[str, Any]:
        """Tell how hot, fast and busy the board is now, as far as it can be read."""
        return dict(self._ask("telemetry")["state"])

    def settings(self) -> dict[str, str]:
        """Say what is in effect, and how long the board was in use by others."""
        return {**self._settings, "queue_s": f"{self._queue_s:g}"}

    def close(self) -> None:
        """Drop the network; a link that broke has dropped it already."""
        with contextlib.suppress(DeviceLost, Refusal):
            if self._link.is_open:
                self._link.ask("release", handle=self._number)

    def _block(self, runs: int) -> dict[str, Any]:
        seconds = min(_BLOCK_S, max(self._run.max_s, 0.01))
        answer = self._ask("run", runs=runs, seconds=seconds)
        self._check_unchanged(answer["fingerprint"])
        self._queue_s += float(answer["queue_s"])
        return answer

    def _ask(self, op: str, **fields: Any) -> dict[str, Any]:
        if op in {"run", "profile"}:
            fields["handle"] = self._number
        try:
            return self._link.ask(op, **fields)
        except Refusal as refusal:
            raise refusal_error(refusal, self._link.name) from None

    def _check_unchanged(self, now: dict[str, str]) -> None:
        """Refuse times that two states of the board would share."""
        before = self._fingerprint
        keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
        if keys:
            raise DeviceChanged(
                four_parts(
                    f"the device {self._link.name} changed while a network ran on it",
                    given=", ".join(f"{key} {now.get(key, 'not told')}" for key in keys),
                    allowed=", ".join(f"{key} {before.get(key, 'not told')}" for key in keys) + ", as when it began",
                    do="set it back, or measure again with the device as it is now",
                )
            )

    def _samples(self, answer: dict[str, Any]) -> Samples:
        wall_ns = np.asarray(answer["wall_ns"], dtype=np.int64)
        facts = dict(answer["facts"])
        reasons = facts.pop("throttled")
        facts["throttle_reasons"] = list(reasons)
        if facts.get("power_w") is not None and facts.get("idle_power_w") is not None:
            median_ms = float(np.median(wall_ns)) / 1e6
            facts["energy_mj"] = round((facts["power_w"] - facts["idle_power_w"]) * median_ms, 4)
        return Samples(
            wall_ns=wall_ns,
            cpu_ns=_clock(answer, "cpu_ns"),
            switches=_clock(answer, "switches"),
            is_throttled=bool(reasons),
            facts={name: value for name, value in facts.items() if value is not None},
        )


class BoardBackend:
    """Every runtime of the agent.

    Args:
        agent_words: Arguments for the agent itself.
    """

    precisions = ("fp16", "fp32", "bf16")
    layouts = ("nchw",)

    def __init__(self, agent_words: Sequence[str] = ()) -> None:
        self._words = tuple(agent_words)
        self._links: dict[Device, Link] = {}
        atexit.register(self.close)

    def fingerprint(self, device: Device) -> dict[str, str]:
        """Identify the board and its runtimes as they are now.

        Raises:
            DeviceUnreachable: When no agent answers.
        """
        link = self.link(device)
        told = self._ask(link, "telemetry")["fingerprint"]
        found = {str(name): str(value) for name, value in told.items()}
        return {**found, "runtime": ", ".join(_versions(link))}

    def prepare(self, workload: Workload, device: Device, run: RunSpec) -> BoardHandle:
        """Send the network and have the board make it ready.

        Raises:
            DeviceUnreachable, DeviceError: When no agent answers, or it lacks the runtime.
            EngineBuildError: When the board cannot build the network.
        """
        link = self.link(device)
        runtimes = link.hello["runtimes"]
        if run.runtime not in runtimes:
            raise unknown_name(
                f"runtime on {device.name}", run.runtime, runtimes, f"see: archlab device check {device.name}"
            )
        if run.precision not in RUNTIMES[run.runtime]:
            raise unknown_name(f"precision of {run.runtime}", run.precision, RUNTIMES[run.runtime])
        onnx = board_onnx(workload, run, runtimes[run.runtime])
        if len(onnx) > MODEL_BYTES:
            raise _too_large(len(onnx), device.name)
        fields = {"runtime": run.runtime, "precision": run.precision, "threads": run.threads}
        return BoardHandle(link, self._ask(link, "prepare", onnx, **fields), run)

    def link(self, device: Device) -> Link:
        """The open link to a device, or a new one.

        Raises:
            DeviceUnreachable: When no agent answers.
        """
        found = self._links.get(device)
        if found is None or not found.is_open:
            if found is not None:
                found.close()
            found = self._links[device] = connect(device, self._words)
        return found

    def close(self) -> None:
        """End all agents."""
        while self._links:
            self._links.popitem()[1].close()

    def _ask(self, link: Link, op: str, payload: bytes | None = None, **fields: Any) -> dict[str, Any]:
        try:
            return link.ask(op, payload, **fields)
        except Refusal as refusal:
            raise refusal_error(refusal, link.name) from None


MODEL_BYTES = 256 * 1024 * 1024
"""The largest network that an agent takes."""


def _versions(link: Link) -> list[str]:
    return [f"{name} {facts['version']}" for name, facts in sorted(link.hello["runtimes"].items())]


def _clock(answer: dict[str, Any], name: str) -> Any:
    return np.asarray(answer[name], dtype=np.int64) if name in answer else None


def _too_large(size: int, name: str) -> DeviceError:
    return DeviceError(
        four_parts(
            f"the network is too large for {name}",
            given=f"{size / 2**20:.0f} MiB",
            allowed=f"at most {MODEL_BYTES // 2**20} MiB",
            do="choose a smaller network",
        )
    )
