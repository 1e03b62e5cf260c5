"""What is there to compute with? Networks are counted always, timed where a device is named, scored where trained."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from archlab.artifacts import trained as trained_rows
from archlab.artifacts.rows import NEEDS_MEANS, Lack
from archlab.artifacts.trained import Trained
from archlab.cost.count import CostReport, count
from archlab.cost.trace import trace
from archlab.device.catalog import Device, RunSpec, run_for
from archlab.device.measure import backend_of, measure, workload
from archlab.device.runtime import Workload
from archlab.device.turns import Turn, in_turns
from archlab.errors import ArchlabError, DeviceError, DeviceUnreachable
from archlab.model import timm_gate
from archlab.model.build import build
from archlab.model.deploy import fold
from archlab.spec import ArchSpec
from archlab.training.dataset import Dataset

__all__ = ["NO_DEVICE", "Bench", "Net", "Timer", "lack_of", "of_spec", "of_timm"]

Timer = Callable[[Sequence[Workload], Device, RunSpec], Sequence[Turn]]
_ONE_AT_A_TIME = ("torch_compiled", "cuda_compiled")
"""Runtimes of torch that drop what was compiled before when another network is compiled."""
NO_DEVICE = Lack(verdict=NEEDS_MEANS, what="no device was named to measure on")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Net:
    """A network or a part of one: how it is built for a device, its costs, and the shape `(C, H, W)` of its input."""

    make: Callable[[], nn.Module]
    costs: Callable[[], CostReport]
    shape: tuple[int, int, int]

    def workload(self, run: RunSpec) -> Workload:
        """Write it down for the runtimes."""
        return workload(self.make(), run, (run.batch, *self.shape))


def lack_of(what: str, error: ArchlabError) -> Lack:
    """Something that is not at hand here, with the first part of the message that says so."""
    return Lack(verdict=NEEDS_MEANS, what=f"{what}: {str(error).partition(';')[0]}")


def of_spec(spec: ArchSpec) -> Net:
    """A network of ours, at its own resolution."""
    side = spec.resolution
    return Net(make=lambda: fold(build(spec)), costs=lambda: count(trace(spec)), shape=(3, side, side))


def of_timm(name: str, side: int) -> Net | Lack:
    """A network of timm at an input side in pixels, or what lacks where timm is not installed."""
    try:
        module = timm_gate.create(name)
    except ArchlabError as error:
        return lack_of(f"timm for {name}", error)
    return Net(make=lambda: module, costs=lambda: count(trace(module, resolution=side)), shape=(3, side, side))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """What there is to compute with.

    `device` None measures nothing; `options` are those of `run_for` (runtime, precision, threads, max_s). `timer`
    takes the times; `trained` are networks trained at small scale, `folder` is where their specs and weights lie and
    `data` are the images they were trained on; `tell` hears what is going on.
    """

    device: Device | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trained: tuple[Trained, ...] = ()
    folder: Path | None = None
    data: Dataset | None = None
    timer: Timer | None = None
    tell: Callable[[str], object] = lambda line: None

    def runtimes(self) -> tuple[str, ...]:
        """The runtimes for an artifact that asks for every one: the one that was named, or all of the device's."""
        if self.device is None:
            return ("no device",)
        named = self.options.get("runtime")
        return self.device.backends if named is None else (str(named),)

    def run_on(self, device: Device, runtime: str | None = None, batch: int = 1) -> RunSpec:
        """Fill in a run by the options, and check that the device measures it.

        Raises:
            DeviceUnreachable, UnknownNameError, DeviceError: As `backend_of` does.
        """
        run = run_for(device, **{**self.options, **({} if runtime is None else {"runtime": runtime})})
        backend_of(device, run)
        return dataclasses.replace(run, batch=batch)

    def times(
        self, nets: Mapping[str, Net], *, runtime: str | None = None, batch: int = 1
    ) -> Mapping[str, dict[str, Any]]:
        """Measure networks beside each other; for each the fields of a row: `ours` in ms, its interval, its source.

        Args:
            nets: Setting → network.
            runtime: The runtime where an artifact asks for one; None takes the bench's, or the device's first. Where
                the one asked for is not installed, that is what the fields say.
            batch: Images per inference.

        Raises:
            DeviceError: As `measure` does.
        """
        if self.device is None:
            return {setting: {"lack": NO_DEVICE} for setting in nets}
        run = self.run_on(self.device, runtime, batch)
        self.tell(f"measuring {len(nets)} networks in turns on {self.device.name}, {run.runtime}")
        works = [net.workload(run) for net in nets.values()]
        try:
            found = (self.timer or _timed)(works, self.device, run)
        except DeviceError as error:
            if runtime is None or isinstance(error, DeviceUnreachable):
                raise
            return {setting: {"lack": lack_of(f"the runtime {runtime}", error)} for setting in nets}
        source = f"measured:{run.runtime}@{self.device.name}"
        return {setting: _fields(turn, source) for setting, turn in zip(nets, found, strict=True)}

    def score(self, spec: ArchSpec) -> dict[str, Any]:
        """The fields of an accuracy row: the mean over the seeds of a network trained at small scale, or what lacks."""
        return trained_rows.score(self.trained, spec)


def _timed(works: Sequence[Workload], device: Device, run: RunSpec) -> Sequence[Turn]:
    """In turns on this machine; one after the other on a board, whose own tool keeps the time, and what is compiled."""
    if device.reach in (None, "local") and run.runtime not in _ONE_AT_A_TIME:
        return in_turns(works, device, run)
    return [_alone(work, device, run) for work in works]


def _alone(work: Workload, device: Device, run: RunSpec) -> Turn:
    found = measure(work.module, device, run, input_shape=work.input_shape)
    return Turn(median_ms=found.median_ms, ci95_ms=found.ci95_ms, n=found.n, quality=found.quality)


def _fields(turn: Turn, source: str) -> dict[str, Any]:
    quality = "" if turn.quality == "ok" else f", {turn.quality}"
    return {"ours": turn.median_ms, "ours_ci95": turn.ci95_ms, "ours_source": source + quality}
