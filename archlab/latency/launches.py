"""What does a framework start to run a network? A row of numbers per kernel, for runtimes that compile no engine.

Engines (`features.py`) join operators and keep one precision. A framework does neither: eager PyTorch starts a kernel
per operator, under autocast with casts between them (`launches_eager.py`); its compiler joins what is element-wise into
loops and calls a library for the rest (`launches_compiled.py`). So these rows count bytes, and more of the shape.

A product of matrices, which a convolution also is, has `copies` times `rows` × `depth` by `depth` × `width`.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from archlab.cost.rows import OpRow, OpTrace
from archlab.errors import PlanError, four_parts, unknown_name
from archlab.latency.launches_compiled import compiled
from archlab.latency.launches_eager import autocast
from archlab.latency.launches_rows import LAUNCH_COLUMNS, LAUNCH_KINDS, Launch

__all__ = ["LAUNCH_COLUMNS", "LAUNCH_KINDS", "RUNTIMES", "Launches", "launches"]

RUNTIMES: dict[str, Callable[[tuple[OpRow, ...], int, bool], list[Launch]]] = {
    "eager_amp": autocast,
    "inductor": compiled,
}
"""Runtime → what it starts for some rows, times so many images, given channels first or last (True)."""

_CODES = {kind: code for code, kind in enumerate(LAUNCH_KINDS)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launches:
    """The kernels of a network, equal ones as one row: `kinds` are codes into `LAUNCH_KINDS`, `table` has the shape
    `(kernels, len(LAUNCH_COLUMNS))`."""

    runtime: str
    kinds: npt.NDArray[np.intp]
    table: npt.NDArray[np.float64]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One column of the table, by its name in `LAUNCH_COLUMNS`."""
        column: npt.NDArray[np.float64] = self.table[:, LAUNCH_COLUMNS.index(name)]
        return column

    @property
    def traffic_bytes(self) -> npt.NDArray[np.float64]:
        """Bytes that each kernel reads and writes, weights among them."""
        traffic: npt.NDArray[np.float64]
        traffic = self.column("read_bytes") + self.column("write_bytes") + self.column("weight_bytes")
        return traffic

    def count(self, *kinds: str) -> int:
        """Number of kernels, of the kinds named or of all."""
        codes = [_CODES[kind] for kind in kinds or LAUNCH_KINDS]
        return int(self.column("count")[np.isin(self.kinds, codes)].sum())


def launches(trace: OpTrace, runtime: str, *, images: int = 1, is_channels_last: bool = False) -> Launches:
    """Extract the kernels that a runtime starts for a network.

    Args:
        trace: The network's operators at batch 1.
        runtime: A key of `RUNTIMES`.
        images: The batch to count for; what depends on no image is counted once.
        is_channels_last: Whether the network's maps have their channels innermost.

    Raises:
        UnknownNameError: For a runtime without rules.
        PlanError: For a trace of a larger batch: what depends on no image cannot be told in it.
    """
    if runtime not in RUNTIMES:
        raise unknown_name("launching runtime", runtime, RUNTIMES)
    if trace.batch != 1:
        raise PlanError(
            four_parts(
                "kernels are counted from a trace of one image",
                given=f"a trace of batch {trace.batch}",
                allowed="batch 1",
                do="trace with batch=1 and give the batch as images=",
            )
        )
    return _merged(runtime, RUNTIMES[runtime](trace.rows, images, is_channels_last))


def _merged(runtime: str, found: Iterable[Launch]) -> Launches:
    """Equal kernels as one row, in a fixed order."""
    counts = collections.Counter(found)
    ordered = sorted(counts, key=lambda one: (_CODES[one.kind], *one.numbers()))
    table = [[counts[one], *one.numbers()] for one in ordered]
    return Launches(
        runtime=runtime,
        kinds=np.array([_CODES[one.kind] for one in ordered], np.intp),
        table=np.array(table, np.float64).reshape(-1, len(LAUNCH_COLUMNS)),
    )
