"""The two ceilings of a roofline: how many multiply-adds and how many bytes a device moves in a second, at the best.

Boards and GPUs have both in their row. Of this machine's CPU the bandwidth is written nowhere and the peak is one of
all cores at their highest clock; so both are measured, with the threads of the run: the best of many matrix products,
and a copy of more than the caches hold, piece by piece, by the piece that only a tenth of the pieces undercut. Short
calls are timed, so that other processes interrupt few of them.

Source: S. Williams et al., Roofline: an insightful visual performance model, CACM 52 (4), 2009.
"""

import dataclasses
import functools
import time
from collections.abc import Callable

import numpy as np
import torch

from archlab.device.backends.torch_eager import threads
from archlab.device.catalog import Device, RunSpec
from archlab.errors import DeviceError, four_parts

__all__ = ["BYTES", "Ceilings", "ceilings"]

BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}
"""Precision → bytes of an element."""

_SIDE, _PRODUCTS = 384, 200
_PIECE_ELEMS, _PIECES, _PASSES = 1_000_000, 32, 3


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ceilings:
    """Multiply-adds and bytes per second; `source` says where both are from."""

    macs_per_s: float
    bytes_per_s: float
    source: str

    @property
    def balance(self) -> float:
        """MACs per byte below which an operator waits for memory."""
        return self.macs_per_s / self.bytes_per_s

    def ms(self, macs: float, traffic_bytes: float) -> float:
        """Least time of an operator in ms."""
        return 1e3 * max(macs / self.macs_per_s, traffic_bytes / self.bytes_per_s)

    def is_memory_bound(self, macs: float, traffic_bytes: float) -> bool:
        """Whether memory sets that time."""
        return macs / self.macs_per_s < traffic_bytes / self.bytes_per_s


def ceilings(device: Device, run: RunSpec) -> Ceilings:
    """Find both ceilings of a device at a run's precision and threads.

    Raises:
        DeviceError: For a device whose peak or bandwidth is not known.
    """
    if device.kind == "cpu" and device.reach == "local":
        return _measured(run.threads)
    peak_tflops = device.peak_fp32_tflops if run.precision == "fp32" else device.peak_fp16_tflops
    if peak_tflops is None or device.mem_bw_gbs is None:
        raise DeviceError(
            four_parts(
                f"device {device.name!r} has no roofline",
                given=f"peak {peak_tflops} TFLOPS at {run.precision}, bandwidth {device.mem_bw_gbs} GB/s",
                allowed="devices whose peak and bandwidth are known",
                do="choose another device, or read the measured split alone",
            )
        )
    return Ceilings(
        macs_per_s=peak_tflops * 1e12 / 2,
        bytes_per_s=device.mem_bw_gbs * 1e9,
        source=f"{device.name}: {peak_tflops:g} TFLOPS at {run.precision}, {device.mem_bw_gbs:g} GB/s",
    )


@functools.cache
def _measured(number: int) -> Ceilings:
    """Measure products and copies in float32, once a process for each number of threads."""
    with threads(number), torch.inference_mode():
        macs_per_s = _SIDE**3 / min(_product_times_s())
        bytes_per_s = 2 * 4 * _PIECE_ELEMS / float(np.quantile(_copy_times_s(), 0.1))
    return Ceilings(
        macs_per_s=macs_per_s,
        bytes_per_s=bytes_per_s,
        source=f"measured here on {number} thread{'s' if number > 1 else ''}: {macs_per_s / 1e9:.0f} G MACs/s in a "
        f"matrix product, {bytes_per_s / 1e9:.1f} GB/s in a copy",
    )


def _product_times_s() -> list[float]:
    a_NN, b_NN, out_NN = (torch.ones(_SIDE, _SIDE) for _ in range(3))
    return [_seconds(lambda: torch.mm(a_NN, b_NN, out=out_NN)) for _ in range(_PRODUCTS)]


def _copy_times_s() -> list[float]:
    pieces, copies = (torch.ones(_PIECES, _PIECE_ELEMS) for _ in range(2))
    pairs = [(copies[i], pieces[i]) for _ in range(_PASSES) for i in range(_PIECES)]
    return [_seconds(functools.partial(to.copy_, of)) for to, of in pairs]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
