"""Do the referees agree? Our MACs beside fvcore's and torch's counter, by kind of operator, known gaps stated.

Convention. Everything is in MACs: torch's counter, which counts a multiply-add as 2, is halved; fvcore counts it as 1
and calls it a flop. torch's counter looks at the meta device, where fused attention falls apart into its products;
fvcore traces the module as it is, without data.
"""

import contextlib
import dataclasses
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archlab.cost.trace import as_if_on_meta, on_meta, trace_module

with warnings.catch_warnings():  # fvcore compiles a loss function with torch.jit when it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    from fvcore.nn import FlopCountAnalysis

__all__ = ["FVCORE_GAPS", "Tally", "compare", "fvcore_macs", "run_fvcore", "torch_macs"]

_GROUPS: dict[str, str] = {
    **dict.fromkeys(["conv", "convolution", "_convolution"], "convolution"),
    **dict.fromkeys(["addmm", "mm", "linear", "bmm", "baddbmm", "matmul", "einsum"], "product"),
    **dict.fromkeys(["mv", "dot", "addmv", "addbmm"], "product"),
    **dict.fromkeys(["batch_norm", "layer_norm", "group_norm", "instance_norm"], "norm"),
    **dict.fromkeys(["adaptive_avg_pool2d", "avg_pool2d"], "pool"),
    **dict.fromkeys(["upsample_bilinear2d", "upsample_nearest2d", "grid_sampler"], "pool"),
}
"""Operator name of any of the three → the line it is compared on; attention of its own name counts as a product."""

FVCORE_GAPS: dict[str, str] = {
    "norm": "fvcore counts two MACs per element of a BatchNorm, five of a LayerNorm or GroupNorm; we count 0",
    "pool": "fvcore counts one MAC per element that adaptive average pooling reads; we count 0",
    "product": "fvcore does not see fused attention and counts 0 for it; we count both products",
}
"""Line of the comparison → why fvcore's number differs from ours there."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """One line of the comparison: MACs of one group of operators in three counts."""

    group: str
    ours: int
    fvcore: int
    torch: int


def compare(module: nn.Module, input_shape: Sequence[int]) -> tuple[Tally, ...]:
    """Count a module three times.

    Args:
        module: Any module that takes one image tensor; it is not changed.
        input_shape: Shape of that tensor, batch first.

    Returns:
        One line per group of operators, in alphabetical order; groups that all three count as 0 are left out.
    """
    ours: Counter[str] = Counter()
    for row in trace_module(module, input_shape).rows:
        ours[_group(row.op)] += row.macs
    theirs, torchs = fvcore_macs(module, input_shape), torch_macs(module, input_shape)
    lines = (
        Tally(group=group, ours=ours[group], fvcore=theirs[group], torch=torchs[group])
        for group in sorted({*ours, *theirs, *torchs})
    )
    return tuple(line for line in lines if line.ours or line.fvcore or line.torch)


def fvcore_macs(module: nn.Module, input_shape: Sequence[int]) -> Counter[str]:
    """MACs by group, as fvcore counts them on a copy in eval mode, full of zeros (its tracer needs data)."""
    zeros = on_meta(module).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*zeros.parameters(), *zeros.buffers()):
            tensor.zero_()
    return run_fvcore(zeros, torch.zeros(tuple(input_shape)))


def run_fvcore(module: nn.Module, x: torch.Tensor) -> Counter[str]:
    """MACs by group, as fvcore counts them on a module in eval mode that holds data, called with `x`."""
    with torch.no_grad(), warnings.catch_warnings(), _quiet("fvcore"):
        warnings.simplefilter("ignore")
        counts = FlopCountAnalysis(module, x).by_operator()
    grouped: Counter[str] = Counter()
    for name, macs in counts.items():
        grouped[_group(name)] += int(macs)
    return grouped


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Let a logger speak of errors only: fvcore lists every operator that it does not know."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def torch_macs(module: nn.Module, input_shape: Sequence[int]) -> Counter[str]:
    """MACs by group, as torch's counter sees them on the meta device."""
    with as_if_on_meta(), FlopCounterMode(display=False) as counter, torch.no_grad():
        on_meta(module).requires_grad_(False)(torch.empty(tuple(input_shape)))
    grouped: Counter[str] = Counter()
    for operator, flops in counter.get_flop_counts().get("Global", {}).items():
        grouped[_group(operator.__name__)] += flops // 2
    return grouped


def _group(name: str) -> str:
    return "product" if "attention" in name else _GROUPS.get(name, "other")
