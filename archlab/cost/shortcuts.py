"""What shape does a common operator return? The answers of torch's meta kernels, about a hundred times as fast.

Many meta kernels are written in Python and take up to a millisecond. A shortcut makes the same shapes and the same
strides (those of dimensions larger than 1) in a few microseconds, or answers None where the case is not plain: then
torch decides. The walk gives the same rows without them; a test compares the two over whole networks.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["SHORTCUTS", "Shortcut"]

Shortcut = Callable[[Sequence[Any]], Any]
_META = torch.device("meta")


def _dense(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """A contiguous meta tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return torch.empty_strided(tuple(shape), strides[::-1], dtype=like.dtype, device=_META)


def _like(x: torch.Tensor) -> torch.Tensor:
    """A dense meta tensor of the same shape whose strides have the same order."""
    if x.is_contiguous():
        return x.clone()
    strides, dense, step = x.stride(), [1] * x.dim(), 1
    for d in sorted(range(x.dim()), key=lambda d: (strides[d], -d)):
        dense[d] = step
        step *= max(x.shape[d], 1)
    return torch.empty_strided(x.shape, dense, dtype=x.dtype, device=_META)


def _unary(args: Sequence[Any]) -> torch.Tensor | None:
    """An element-wise function keeps the shape and the order of strides."""
    x: torch.Tensor = args[0]
    return _like(x) if x.is_floating_point() and x.is_meta and 0 not in x.stride() else None


def _binary(args: Sequence[Any]) -> torch.Tensor | None:
    """Two operands of which one has the result's shape; the first decides the order of strides."""
    a, b = args[0], args[1]
    if not isinstance(b, torch.Tensor):
        return _unary(args) if isinstance(a, torch.Tensor) and isinstance(b, int | float) else None
    if not (a.dtype == b.dtype and a.is_floating_point() and a.is_meta and b.is_meta):
        return None
    if a.shape == b.shape or _fits(b, a):
        return None if 0 in a.stride() else _like(a)
    if _fits(a, b) and a.is_contiguous() and b.is_contiguous():
        return _like(b)
    return None


def _fits(small: torch.Tensor, big: torch.Tensor) -> bool:
    """Whether `small` broadcasts to the shape of `big`."""
    sizes, target = small.shape, big.shape
    if len(sizes) > len(target):
        return False
    return all(s in (1, t) for s, t in zip(reversed(sizes), reversed(target), strict=False))


def _reduced(x: torch.Tensor, dims: Any, keep: bool) -> torch.Tensor | None:
    """Reduce over `dims`; the result is contiguous."""
    if dims is None or not x.is_floating_point() or not x.is_meta:
        return None
    over = {d % x.dim() for d in ([dims] if isinstance(dims, int) else dims)}
    if not over:
        return None
    return _dense([1 if d in over else size for d, size in enumerate(x.shape) if keep or d not in over], x)


def _reduction(args: Sequence[Any]) -> torch.Tensor | None:
    """`mean(x, dims, keepdim)` and its like."""
    if len(args) > 3:
        return None
    return _reduced(args[0], args[1] if len(args) > 1 else None, len(args) > 2 and args[2])


def _vector_norm(args: Sequence[Any]) -> torch.Tensor | None:
    """`linalg_vector_norm(x, order, dims, keepdim)`."""
    if not 3 <= len(args) <= 4:
        return None
    return _reduced(args[0], args[2], len(args) > 3 and args[3])


def _layer_norm(args: Sequence[Any]) -> tuple[torch.Tensor, ...] | None:
    """`native_layer_norm(x, shape, weight, bias, eps)`: the result is contiguous, statistics per position."""
    x, normal = args[0], args[1]
    kept = x.dim() - len(normal)
    if not x.is_floating_point() or kept < 0 or list(x.shape[kept:]) != list(normal):
        return None
    statistics = _dense((*x.shape[:kept], *[1] * len(normal)), x)
    return _dense(x.shape, x), statistics, statistics.clone()


def _batch_norm(args: Sequence[Any]) -> tuple[torch.Tensor, ...] | None:
    """`native_batch_norm(x, weight, bias, mean, var, training, …)` in eval mode, where no statistics are made."""
    x, mean, training = args[0], args[3], args[5]
    if training or mean is None or not x.is_contiguous() or x.dim() < 2 or mean.shape != x.shape[1:2]:
        return None
    none = _dense((0,), x)
    return _dense(x.shape, x), none, none.clone()


def _addmm(args: Sequence[Any]) -> torch.Tensor | None:
    """`addmm(bias, a, b)` with a plain bias."""
    bias, a, b = args
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0] or bias.shape != b.shape[1:]:
        return None
    return _dense((a.shape[0], b.shape[1]), a) if bias.dtype == a.dtype == b.dtype else None


def _mm(args: Sequence[Any]) -> torch.Tensor | None:
    """`mm(a, b)`."""
    a, b = args
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0] or a.dtype != b.dtype:
        return None
    return _dense((a.shape[0], b.shape[1]), a)


def _bmm(args: Sequence[Any]) -> torch.Tensor | None:
    """`bmm(a, b)`."""
    a, b = args
    if a.dim() != 3 or b.dim() != 3 or a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1] or a.dtype != b.dtype:
        return None
    return _dense((a.shape[0], a.shape[1], b.shape[2]), a)


def _softmax(args: Sequence[Any]) -> torch.Tensor | None:
    """`_softmax(x, dim, half_to_float)`; the result is contiguous."""
    return _dense(args[0].shape, args[0]) if args[0].is_floating_point() and not args[2] else None


def _safe_softmax(args: Sequence[Any]) -> torch.Tensor | None:
    """`_safe_softmax(x, dim)` without another type."""
    return _like(args[0]) if len(args) == 2 and args[0].is_contiguous() else None


def _convolution(args: Sequence[Any]) -> torch.Tensor | None:
    """A plain two-dimensional convolution; the result is contiguous: the meta device has no layout of its own."""
    x, weight, _, stride, padding, dilation, is_transposed, _, groups = args
    if is_transposed or x.dim() != 4 or not x.is_meta or x.dtype != weight.dtype:
        return None
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    height, width = (
        (size + 2 * pad - gap * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, gap in zip(
            x.shape[2:], weight.shape[2:], _pair(stride), _pair(padding), _pair(dilation), strict=True
        )
    )
    if min(height, width) <= 0 or not math.prod(x.shape):
        return None
    return _dense((x.shape[0], weight.shape[0], height, width), x)


def _is_plain(x: torch.Tensor) -> bool:
    """Whether torch sees no channels-last layout in it: contiguous, or a slice of a contiguous map."""
    return x.is_contiguous() or (x.dim() == 4 and x.stride(1) > x.stride(3) > 0)


def _cat(args: Sequence[Any]) -> torch.Tensor | None:
    """`cat(tensors, dim)` of tensors none of which looks like channels last: the result is contiguous."""
    tensors, dim = args[0], args[1] if len(args) > 1 else 0
    first = tensors[0]
    dims = first.dim()
    if not 0 < dims <= 4 or not all(t.is_meta and t.dim() == dims and t.dtype == first.dtype for t in tensors):
        return None
    if not all(_is_plain(t) for t in tensors):
        return None
    along = dim % dims
    sizes = list(first.shape)
    sizes[along] = sum(t.shape[along] for t in tensors)
    rest = [[*t.shape[:along], *t.shape[along + 1 :]] for t in tensors]
    return _dense(sizes, first) if all(r == rest[0] for r in rest) else None


def _pair(value: Sequence[int]) -> Sequence[int]:
    return value if len(value) == 2 else (value[0], value[0])


SHORTCUTS: dict[str, Shortcut] = {
    **dict.fromkeys(["relu", "gelu", "silu", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "tanh"], _unary),
    **dict.fromkeys(["clamp", "clamp_min", "neg", "sqrt", "rsqrt", "reciprocal", "exp", "sin", "cos"], _unary),
    **dict.fromkeys(["add", "sub", "mul", "div"], _binary),
    **dict.fromkeys(["mean", "sum"], _reduction),
    "linalg_vector_norm": _vector_norm,
    "native_layer_norm": _layer_norm,
    "native_batch_norm": _batch_norm,
    "addmm": _addmm,
    "bmm": _bmm,
    "mm": _mm,
    "_softmax": _softmax,
    "_safe_softmax": _safe_softmax,
    "cat": _cat,
    "convolution": _convolution,
}
