"""Can this device be measured, and if not, what is in the way? Step by step, in words.

A check is a list of steps. Each answers with what it found; the first that fails says what to do, and those behind it
are not tried, for they would only repeat its message.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from archlab.device import nvml, telemetry
from archlab.device.backends import BACKENDS
from archlab.device.catalog import Device, run_for
from archlab.device.measure import measure
from archlab.errors import ArchlabError
from archlab.format import interval, milliseconds

__all__ = ["STATES", "Probe", "Step", "StepFailed", "cpu_probes", "cuda_probes", "measured_tiny", "walk"]

STATES = ("ok", "failed", "not tried")
_SIDE = 32
_STEADY = "performance"
_BUSY_SHARE = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a check: `state` is one of `STATES`, `detail` what was found, `do` what to do, where something is."""

    step: str
    state: str
    detail: str = ""
    do: str = ""


class StepFailed(Exception):  # noqa: N818 - reads as what happened to the step
    """A step that found something wrong, and what to do about it."""

    def __init__(self, detail: str, do: str) -> None:
        super().__init__(detail)
        self.detail, self.do = detail, do


Probe = tuple[str, Callable[[], str | tuple[str, str]]]
"""A step's name and its function: gives what was found, or that and advice; raises where something is wrong."""


def walk(probes: Sequence[Probe]) -> Iterator[Step]:
    """Take the steps in order; after the first that fails none is tried."""
    is_open = True
    for name, ask in probes:
        step = _taken(name, ask) if is_open else Step(step=name, state="not tried")
        is_open = is_open and step.state == "ok"
        yield step


def cpu_probes(device: Device) -> list[Probe]:
    """The steps for this machine's CPU."""
    return [
        ("runtimes", lambda: _runtimes(device)),
        ("threads", lambda: f"{telemetry.cpu().cores} cores may be used; one thread unless asked otherwise"),
        ("governor", _governor),
        ("load now", _load),
        ("a tiny network", lambda: measured_tiny(device)),
    ]


def cuda_probes(device: Device) -> list[Probe]:
    """The steps for this machine's NVIDIA GPU."""
    return [
        ("driver", _driver),
        ("torch", _torch_cuda),
        ("a tiny network", lambda: measured_tiny(device)),
    ]


def measured_tiny(device: Device) -> str | tuple[str, str]:
    """Measure a network of one convolution end to end, with the device's default settings."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(1800, 10)).eval()
    run = run_for(device, warmup_s=0.3, max_s=1.0)
    found = measure(net, device, run, input_shape=(1, 3, _SIDE, _SIDE))
    told = (
        f"{milliseconds(found.median_ms)} ({interval(found.ci95_ms)}), {found.quality}, {found.n} runs of {run.runtime}"
    )
    if found.quality == "failed":
        raise StepFailed(told, "the device gave no time: see the runtime's own messages")
    return told if found.quality == "ok" else (told, "measure again when the device is idle and cool")


_LOG = "; the log ends: "
"""Stands behind the four parts where a tool left a log."""


def _taken(name: str, ask: Callable[[], str | tuple[str, str]]) -> Step:
    try:
        found = ask()
    except StepFailed as error:
        return Step(step=name, state="failed", detail=error.detail, do=error.do)
    except ArchlabError as error:
        told, log, end = str(error).partition(_LOG)
        detail, _, do = told.rpartition("; ")
        detail += log + end
        return Step(step=name, state="failed", detail=detail, do=do)
    detail, do = (found, "") if isinstance(found, str) else found
    return Step(step=name, state="ok", detail=detail, do=do)


def _runtimes(device: Device) -> str | tuple[str, str]:
    found, missing = [], []
    for name in device.backends:
        try:
            found.append(f"{name}: {BACKENDS[name].fingerprint(device)['runtime']}")
        except (ArchlabError, KeyError, ImportError):
            missing.append(name)
    if device.backends[0] in missing:
        raise StepFailed(f"{device.backends[0]} cannot be loaded", "install archlab again: pip install archlab")
    told = ", ".join(found)
    return (told, f"{', '.join(missing)}: optional, not installed") if missing else told


def _governor() -> str | tuple[str, str]:
    found = telemetry.fingerprint()["governor"]
    is_unsteady = found not in {_STEADY, "not readable"}
    return (found, f"for steadier times set the governor to {_STEADY}") if is_unsteady else found


def _load() -> str | tuple[str, str]:
    state, cores = telemetry.state(), telemetry.cpu().cores
    told = ", ".join(f"{key} {value:g}" for key, value in state.items()) or "not readable"
    is_busy = state.get("load_1min", 0.0) > _BUSY_SHARE * cores
    advice = "other processes are at work: measurements take longer and may be noisy"
    return (told, advice) if is_busy else told


def _driver() -> str:
    found = nvml.gpus()
    if not found:
        raise StepFailed("no NVIDIA driver answers (NVML)", "install NVIDIA's driver, or choose device cpu")
    return ", ".join(map(str, found))


def _torch_cuda() -> str:
    if not torch.cuda.is_available():
        build = "a build for CUDA " + torch.version.cuda if torch.version.cuda else "a build without CUDA"
        raise StepFailed(
            f"torch {torch.__version__} is {build} and sees no GPU",
            "install the PyTorch build for your driver, see pytorch.org, then archlab again",
        )
    return f"torch {torch.__version__} with CUDA {torch.version.cuda} sees {torch.cuda.get_device_name()}"
