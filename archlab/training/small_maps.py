"""Convolutions over maps of few pixels as matrix products: the same values, in less time on a CPU.

A network that is trained at low resolution ends in maps of 4 × 4, 2 × 2 or one pixel. There torch's own CPU kernels
can spend half of a step on two things: the weights' gradient of depthwise convolutions, and pointwise convolutions.
Both are plain matrix products. `benchmarks/training_step.py` measures what that saves.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns of the map that comes in, O and P of the one
that goes out, I and J of the kernel.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["SmallMaps"]

_POINTWISE_PIXELS = 16
"""Up to so many pixels a pointwise convolution is quicker as a matrix product."""
_DEPTHWISE_PAIRS = 64 * 64
"""Up to so many pairs of a pixel that comes in and one that goes out a depthwise one is."""
_ARGUMENTS = 7
"""Of `torch.nn.functional.conv2d`."""
_WELL_SERVED_KERNEL, _WELL_SERVED_MAP = 3, 4
"""Depthwise kernels up to this size have a quick gradient of torch's own, on maps of at least this size."""


class SmallMaps(TorchFunctionMode):
    """While this is on, the convolutions of modules over small maps are matrix products.

    For a CPU in fp32; a GPU has quick kernels of its own. Backward may come after it is off. The gradients of depthwise
    ones can be taken once, not twice.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is not functional.conv2d or not _is_of_module(args):
            return func(*args, **(kwargs or {}))
        x_BCHW, weight, bias, stride, padding, dilation, groups = args
        if _is_pointwise(x_BCHW, weight, stride, padding, groups):
            y_BHWC = functional.linear(x_BCHW.permute(0, 2, 3, 1), weight.flatten(1), bias)
            return y_BHWC.permute(0, 3, 1, 2)
        if _is_depthwise(x_BCHW, weight, stride, padding, dilation, groups):
            return _Depthwise.apply(x_BCHW, weight, bias, stride, padding, dilation)
        return func(*args)


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose weights' gradient is one matrix product per channel.

    Every pixel that comes in times every pixel that goes out, summed over the batch, is an (H·W) × (O·P) matrix; each
    weight's gradient is the sum of those entries that it joins.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BCHW: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any
    ) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight)
        ctx.how = stride, padding, dilation
        ctx.has_bias = bias is not None
        return functional.conv2d(x_BCHW, weight, bias, stride, padding, dilation, len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy_BCOP: Tensor) -> tuple[Tensor | None, ...]:
        x_BCHW, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        dx_BCHW = dweight = dbias = None
        if needs_x:
            none = [0, 0]
            dx_BCHW, _, _ = torch.ops.aten.convolution_backward(
                dy_BCOP, x_BCHW, weight, None, *ctx.how, False, none, len(weight), [True, False, False]
            )
        if needs_weight:
            joins = _joins(x_BCHW.shape[2:], dy_BCOP.shape[2:], weight.shape[2:], *ctx.how)
            x_CBHW, dy_CBOP = (map_.transpose(0, 1).contiguous() for map_ in (x_BCHW, dy_BCOP))
            pairs = torch.bmm(x_CBHW.flatten(2).transpose(1, 2), dy_CBOP.flatten(2))
            dweight = (pairs.flatten(1) @ joins).reshape(weight.shape)
        if ctx.has_bias and needs_bias:
            dbias = dy_BCOP.sum((0, 2, 3))
        return dx_BCHW, dweight, dbias, None, None, None


@functools.lru_cache(maxsize=32)
def _joins(
    come: tuple[int, int],
    go: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """Which weight joins a pixel that comes in to one that goes out: ones and zeros, (H·W·O·P) × (I·J)."""
    rows, columns = (_joins_1d(*axis) for axis in zip(come, go, kernel, stride, padding, dilation, strict=True))
    return torch.einsum("hoi,wpj->hwopij", rows, columns).reshape(-1, kernel[0] * kernel[1])


def _joins_1d(come: int, go: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """The same along one axis, (H, O, I)."""
    first_HO = torch.arange(come)[:, None] - (torch.arange(go) * stride - padding)
    return (first_HO[:, :, None] == torch.arange(kernel) * dilation).float()


def _is_of_module(args: tuple[Any, ...]) -> bool:
    """Whether `nn.Conv2d` called: all arguments by position, stride, padding and dilation as pairs."""
    return len(args) == _ARGUMENTS and all(isinstance(pair, tuple) for pair in args[3:6])


def _is_pointwise(x_BCHW: Tensor, weight: Tensor, stride: Any, padding: Any, groups: int) -> bool:
    is_plain = groups == 1 and tuple(weight.shape[2:]) == (1, 1) and tuple(stride) == (1, 1) and not any(padding)
    return is_plain and x_BCHW.shape[2:].numel() <= _POINTWISE_PIXELS


def _is_depthwise(x_BCHW: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    if x_BCHW.dtype != torch.float32 or not groups == x_BCHW.shape[1] == len(weight) > 1:
        return False
    come, kernel = tuple(x_BCHW.shape[2:]), tuple(weight.shape[2:])
    if max(kernel) <= _WELL_SERVED_KERNEL and min(come) >= _WELL_SERVED_MAP:
        return False
    go = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(come, padding, dilation, kernel, stride, strict=True)
    ]
    return min(go) > 0 and come[0] * come[1] * go[0] * go[1] <= _DEPTHWISE_PAIRS
