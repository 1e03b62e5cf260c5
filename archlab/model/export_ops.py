"""How does each call of torch read in ONNX, opset 17? One function per call, all in one table.

A function is told the graph and the call's own arguments; it adds nodes and gives the tensor on the meta device that
stands for the result. Nodes are those that torch's own exporter writes once its constants are folded. A call that is
not in the table, or has arguments that its function does not know, is not written: see `UnwrittenError`.

Legend of the arguments: x and y values of the graph, everything else as in torch.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archlab.model.export_graph import Graph, UnwrittenError
from archlab.model.export_moves import MOVERS, twin

__all__ = ["QUESTIONS", "WRITERS"]

Writer = Callable[..., Any]

QUESTIONS: frozenset[Any] = frozenset(
    [Tensor.dim, Tensor.size, Tensor.numel, Tensor.is_floating_point, torch.is_floating_point]
    + [getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "is_meta", "requires_grad")]
)
"""Calls that ask for what is known without data, and compute nothing."""


def _blank(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
    """Run a function on shapes alone."""
    return function(*(twin(x) if isinstance(x, Tensor) else x for x in operands), **options)


def _conv2d(
    graph: Graph,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str) or x.dim() != 4:
        raise UnwrittenError("padding in words, or a convolution without a batch")
    steps, pads, gaps = _pair(stride), _pair(padding), _pair(dilation)
    kernel = tuple(weight.shape[2:])
    sides = [
        (size + 2 * pad - gap * (k - 1) - 1) // step + 1
        for size, k, step, pad, gap in zip(x.shape[2:], kernel, steps, pads, gaps, strict=True)
    ]
    inputs = [graph.read(x), graph.read(weight), *([] if bias is None else [graph.read(bias)])]
    return graph.write(
        "Conv",
        inputs,
        torch.empty((x.shape[0], weight.shape[0], *sides), dtype=x.dtype, device="meta"),
        dilations=gaps,
        group=groups,
        kernel_shape=kernel,
        pads=pads * 2,
        strides=steps,
    )


def _linear(graph: Graph, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    result = torch.empty((*x.shape[:-1], weight.shape[0]), dtype=x.dtype, device="meta")
    if bias is not None and x.dim() == 2:
        return graph.write("Gemm", [graph.read(x), graph.read(weight), graph.read(bias)], result, transB=1)
    product = graph.write("MatMul", [graph.read(x), graph.read(weight, is_transposed=True)], result)
    if bias is None:
        return product
    return graph.write("Add", [graph.read(bias), graph.read(product)], torch.empty_like(product))


def _batch_norm(
    graph: Graph,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if training or running_mean is None or running_var is None or weight is None or bias is None:
        raise UnwrittenError("a BatchNorm in training or without statistics")
    inputs = [graph.read(t) for t in (x, weight, bias, running_mean, running_var)]
    return graph.write("BatchNormalization", inputs, torch.empty_like(x), epsilon=eps)


def _layer_norm(
    graph: Graph,
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    if weight is None or bias is None:
        raise UnwrittenError("a LayerNorm without weights")
    inputs = [graph.read(t) for t in (x, weight, bias)]
    result = torch.empty(x.shape, dtype=x.dtype, device="meta")
    return graph.write("LayerNormalization", inputs, result, axis=-len(normalized_shape), epsilon=eps)


def _unary(op: str) -> Writer:
    def write(graph: Graph, x: Tensor, inplace: bool = False) -> Tensor:
        if inplace:
            raise UnwrittenError(f"{op} in place")
        return graph.write(op, [graph.read(x)], torch.empty_like(x))

    return write


def _binary(op: str, function: Callable[..., Tensor]) -> Writer:
    def write(graph: Graph, x: Any, y: Any) -> Tensor:
        result: Tensor = _blank(function, x, y)
        names = []
        for side in (x, y):
            if isinstance(side, Tensor) and side.dtype != result.dtype:
                raise UnwrittenError(f"{op} of two types")
            names.append(graph.read(side) if isinstance(side, Tensor) else graph.scalar(side, result))
        return graph.write(op, names, result)

    return write


def _max_pool(
    graph: Graph,
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if ceil_mode or return_indices:
        raise UnwrittenError("a maximum with places, or over half a window")
    kernel, pads = _pair(kernel_size), _pair(padding)
    result = _blank(functional.max_pool2d, x, kernel, stride, pads, dilation)
    return graph.write(
        "MaxPool",
        [graph.read(x)],
        result,
        ceil_mode=0,
        dilations=_pair(dilation),
        kernel_shape=kernel,
        pads=pads * 2,
        strides=kernel if stride is None else _pair(stride),
    )


def _silu(graph: Graph, x: Tensor, inplace: bool = False) -> Tensor:
    gate = _unary("Sigmoid")(graph, x, inplace)
    return graph.write("Mul", [graph.read(x), graph.read(gate)], torch.empty_like(x))


def _gelu(graph: Graph, x: Tensor, approximate: str = "none") -> Tensor:
    """x·Φ(x) by the error function, or by tanh; runtimes know both patterns and run them as one kernel."""

    def step(op: str, *operands: Tensor | float) -> Tensor:
        names = [graph.read(o) if isinstance(o, Tensor) else graph.scalar(o, x) for o in operands]
        return graph.write(op, names, torch.empty_like(x))

    if approximate == "none":
        gate = step("Add", step("Erf", step("Div", x, math.sqrt(2))), 1.0)
        return step("Mul", step("Mul", x, gate), 0.5)
    cubed = step("Mul", 0.044715, step("Mul", x, step("Mul", x, x)))
    gate = step("Add", 1.0, step("Tanh", step("Mul", math.sqrt(2 / math.pi), step("Add", x, cubed))))
    return step("Mul", 0.5, step("Mul", x, gate))


def _softmax(graph: Graph, x: Tensor, dim: int, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    if dtype not in (None, x.dtype):
        raise UnwrittenError("a softmax in another type")
    return graph.write("Softmax", [graph.read(x)], torch.empty_like(x), axis=dim)


def _normalize(
    graph: Graph, x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x over its length, which is at least `eps`."""
    if p != 2 or out is not None:
        raise UnwrittenError("a norm other than the Euclidean")
    length = _blank(torch.mean, x, dim, keepdim=True)
    graph.write("ReduceL2", [graph.read(x)], length, axes=[dim], keepdims=1)
    bounded = graph.write("Clip", [graph.read(length), graph.scalar(eps, x), ""], torch.empty_like(length))
    spread = graph.write("Expand", [graph.read(bounded), graph.ints(x.shape)], torch.empty_like(x))
    return graph.write("Div", [graph.read(x), graph.read(spread)], torch.empty_like(x))


def _matmul(graph: Graph, x: Tensor, y: Tensor) -> Tensor:
    return graph.write("MatMul", [graph.read(x), graph.read(y)], _blank(torch.matmul, x, y))


def _mean(graph: Graph, x: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    axes = [dim] if isinstance(dim, int) else list(dim)
    result = _blank(torch.mean, x, dim, keepdim=keepdim)
    return graph.write("ReduceMean", [graph.read(x)], result, axes=axes, keepdims=int(keepdim))


def _to(graph: Graph, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    if dtype is x.dtype:
        return x
    if dtype not in _CASTS:
        raise UnwrittenError(f"a cast to {dtype}")
    return graph.write("Cast", [graph.read(x)], torch.empty_like(x, dtype=dtype), to=_CASTS[dtype])


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


_CASTS = {torch.float32: 1, torch.float16: 10}

WRITERS: dict[Any, Writer] = {
    functional.conv2d: _conv2d,
    functional.linear: _linear,
    functional.batch_norm: _batch_norm,
    functional.layer_norm: _layer_norm,
    functional.relu: _unary("Relu"),
    functional.hardswish: _unary("HardSwish"),
    functional.silu: _silu,
    functional.gelu: _gelu,
    functional.max_pool2d: _max_pool,
    torch.sigmoid: _unary("Sigmoid"),
    functional.softmax: _softmax,
    functional.normalize: _normalize,
    Tensor.add: _binary("Add", torch.add),
    Tensor.sub: _binary("Sub", torch.sub),
    Tensor.mul: _binary("Mul", torch.mul),
    Tensor.div: _binary("Div", torch.div),
    Tensor.matmul: _matmul,
    Tensor.mean: _mean,
    Tensor.to: _to,
    Tensor.float: _to,
    **MOVERS,
}
"""Call → how it is written."""
