"""What a board says of itself, step by step: agent, fingerprint, runtime, clocks, heat, room; a network is measured."""

from typing import Any

from archlab.device.board.backend import BoardBackend
from archlab.device.catalog import Device, run_for
from archlab.device.check import Probe, StepFailed, measured_tiny
from archlab.device.check_ssh import way_probes
from archlab.device.measure import backend_of

__all__ = ["board_probes"]

_LEAST_FREE_MB = 1000
_HOT_C = 75.0
_STEADY = "performance"
_INSTALL = {
    "trtexec": "TensorRT comes with JetPack: sudo apt install nvidia-jetpack",
    "ort": "put onnxruntime into the Python that --python names: python3 -m pip install onnxruntime",
}


def board_probes(device: Device) -> list[Probe]:
    """The steps for a board that is reached by ssh, or whose agent runs here."""
    backend = backend_of(device, run_for(device))
    assert isinstance(backend, BoardBackend)
    board = _Board(device, backend)
    assert device.reach is not None
    return [
        *(way_probes(device) if device.reach.startswith("ssh:") else []),
        ("agent", board.agent),
        ("fingerprint", board.fingerprint),
        ("runtime", board.runtime),
        ("power and clocks", board.clocks),
        ("temperature", board.temperature),
        ("room for engines", board.room),
        ("free to measure", board.is_free),
        ("a tiny network", lambda: measured_tiny(device)),
    ]


class _Board:
    def __init__(self, device: Device, backend: BoardBackend) -> None:
        self._device, self._backend = device, backend

    def agent(self) -> str:
        hello = self._backend.link(self._device).hello
        return f"starts with the source that was sent, speaks protocol {hello['protocol']}"

    def fingerprint(self) -> str:
        return _words(self._told()["fingerprint"])

    def runtime(self) -> str:
        found: dict[str, dict[str, Any]] = self._backend.link(self._device).hello["runtimes"]
        told = ", ".join(f"{name} {_words(facts)}" for name, facts in sorted(found.items())) or "none"
        wanted = self._device.backends[0]
        if wanted not in found:
            raise StepFailed(f"{wanted} is not there; found: {told}", _INSTALL[wanted])
        return told

    def clocks(self) -> str | tuple[str, str]:
        told = self._told()["fingerprint"]
        kept = {key: value for key, value in told.items() if key == "power_mode" or "governor" in key or "mhz" in key}
        if not kept:
            return "not readable"
        is_unsteady = any(value != _STEADY for key, value in kept.items() if key == "cpu_governor")
        advice = "for steadier times fix the clocks: on Jetson sudo jetson_clocks, else the governor performance"
        return (_words(kept), advice) if is_unsteady else _words(kept)

    def temperature(self) -> str | tuple[str, str]:
        state = self._told()["state"]
        hottest = state.get("hottest_c")
        power = f", {state['power_w']:g} W" if "power_w" in state else ""
        if hottest is None:
            return f"not readable{power}"
        told = f"{hottest:g} °C at the hottest{power}"
        return (told, "let it cool, or measurements are throttled") if hottest > _HOT_C else told

    def room(self) -> str | tuple[str, str]:
        free_mb = self._told()["temp_free_mb"]
        told = f"{free_mb / 1000:.1f} GB free in its temporary folder"
        if free_mb < _LEAST_FREE_MB:
            raise StepFailed(told, f"free some space there: engines need {_LEAST_FREE_MB / 1000:g} GB")
        return told

    def is_free(self) -> str | tuple[str, str]:
        if self._told()["in_use"]:
            return "somebody else measures now", "measurements wait for theirs: one at a time"
        return "nobody else measures"

    def _told(self) -> dict[str, Any]:
        return self._backend.link(self._device).ask("telemetry")


def _words(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items() if value != "")
