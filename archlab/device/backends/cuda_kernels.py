"""Which operator of which module a GPU kernel belongs to, by torch's own profiler.

Every module opens a named range around its call; a kernel is put down to the operator that launched it, and that one
to the innermost range around it. Only kernels count: the time that the CPU takes to launch them is not an operator's.
Times are those of the kernels one by one; in a CUDA graph they are the same without the gaps between them. Code that a
compiler made runs outside the modules: its kernels are rows of their own names, without a module.
"""

import contextlib
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from archlab.device.runtime import OpTime
from archlab.errors import DeviceError, four_parts

__all__ = ["KernelEvent", "profile_kernels", "read_events"]

_RUN, _MODULE = "archlab run", "archlab module "
_OPERATOR = "aten::"


class KernelEvent(Protocol):
    """What is read of an event of torch's profiler."""

    name: str
    kernels: list[Any]
    cpu_parent: Any
    time_range: Any


def profile_kernels(
    call: Callable[[], object],
    module: nn.Module,
    runs: int,
    *,
    activities: Sequence[torch.profiler.ProfilerActivity],
    synchronize: Callable[[], None],
) -> tuple[OpTime, ...]:
    """Time each operator's kernels in ms, in the order of execution; the median over the runs but the first.

    Args:
        call: Runs the network once.
        module: The network, whose parts get a range each while this runs.
        runs: How often to call beside the first.
        activities: What the profiler watches.
        synchronize: Waits for the device.

    Raises:
        DeviceError: When the profiler saw no kernel.
    """
    with _ranges(module), torch.profiler.profile(activities=list(activities), acc_events=True) as profiler:
        for _ in range(runs + 1):
            with torch.profiler.record_function(_RUN):
                call()
        synchronize()
    rows = read_events(profiler.events() or [])
    if not rows:
        raise DeviceError(
            four_parts(
                "torch's profiler saw no kernel",
                given=f"{runs} runs",
                allowed="a driver that lets this user read the GPU's activity (CUPTI)",
                do="measure without a profile, or allow profiling to all users in the driver's settings",
            )
        )
    return rows


def read_events(events: Iterable[KernelEvent]) -> tuple[OpTime, ...]:
    """Turn the profiler's events into one row per operator of the network that launched kernels.

    Args:
        events: Each with its name, its kernels (durations in µs), its parent and its time range.
    """
    runs: dict[int, _Run] = {}
    for event in events:
        took_us = sum(kernel.duration for kernel in event.kernels if not kernel.name.startswith((_RUN, _MODULE)))
        found = _origin(event) if took_us else None
        if found is not None:
            top, module, run = found
            runs.setdefault(id(run), _Run(run)).add(top, module, took_us)
    ordered = [run.rows() for run in sorted(runs.values(), key=lambda run: run.start)]
    return _medians(ordered[1:] or ordered)


class _Run:
    """The operators of one run; what an operator calls itself is part of it."""

    def __init__(self, mark: KernelEvent) -> None:
        self.start: float = mark.time_range.start
        self._ops: dict[int, tuple[float, str, str, list[float]]] = {}

    def add(self, top: KernelEvent, module: str, took_us: float) -> None:
        """Put kernels down to an operator."""
        name = top.name.removeprefix(_OPERATOR)
        self._ops.setdefault(id(top), (top.time_range.start, name, module, []))[3].append(took_us)

    def rows(self) -> list[tuple[str, str, float]]:
        """Give (operator, module, µs) in the order of the launches."""
        return [(op, module, sum(times)) for _, op, module, times in sorted(self._ops.values())]


def _origin(event: KernelEvent) -> tuple[KernelEvent, str, KernelEvent] | None:
    """The outermost operator inside the innermost module, that module's path, the run; None outside of every run."""
    top, path, at = event, None, event
    while at is not None:
        if at.name == _RUN:
            return top, path or "", at
        if at.name.startswith(_MODULE) and path is None:
            path = at.name.removeprefix(_MODULE)
        elif at.name.startswith(_OPERATOR) and path is None:
            top = at
        at = at.cpu_parent
    return None


def _medians(runs: Sequence[Sequence[tuple[str, str, float]]]) -> tuple[OpTime, ...]:
    """Medians over the runs that launched the same operators in the same order; the rare others are left out."""
    if not runs:
        return ()
    shapes = [tuple((op, module) for op, module, _ in run) for run in runs]
    usual = Counter(shapes).most_common(1)[0][0]
    times = [[took_us for _, _, took_us in run] for run, shape in zip(runs, shapes, strict=True) if shape == usual]
    return tuple(
        OpTime(op=op, node=f"{module}/{op}", module=module, ms=statistics.median(all_us) / 1e3, calls=1)
        for (op, module), all_us in zip(usual, zip(*times, strict=True), strict=True)
    )


@contextlib.contextmanager
def _ranges(module: nn.Module) -> Iterator[None]:
    """Open a named range around every part's call; the hooks are gone afterwards."""
    open_ranges: list[Any] = []

    def enter(path: str) -> None:
        open_ranges.append(torch.profiler.record_function(_MODULE + path))
        open_ranges[-1].__enter__()

    hooks = []
    for path, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(lambda *_, path=path: enter(path)))
        hooks.append(part.register_forward_hook(lambda *_: _left(open_ranges)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _left(open_ranges: list[Any]) -> None:
    open_ranges.pop().__exit__(None, None, None)
