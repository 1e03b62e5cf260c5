"""From a network to its ONNX file by one walk: the module runs once on shapes alone, and every call is written down.

What does not depend on the input is computed as it comes (a positional table, a reshaped layer scale) and goes out as
a weight. Nothing is traced twice and nothing is optimised afterwards, so a network of 200 nodes takes a few hundredths
of a second, most of it the copying of its weights.
"""

import inspect
import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.overrides import TorchFunctionMode

from archlab.model.export_graph import Graph, UnwrittenError
from archlab.model.export_ops import QUESTIONS, WRITERS

__all__ = ["write_onnx"]

_SIGNATURES = {function: inspect.signature(writer) for function, writer in WRITERS.items()}


def write_onnx(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype, opset: int) -> bytes:
    """Write a network down, with static shapes and the weights inside.

    Args:
        module: In eval mode.
        input_shape: `(B, C, H, W)`.
        dtype: Of the input.
        opset: Version that the file claims; the nodes are those of 17.

    Raises:
        UnwrittenError: When the network makes a call that has no writer.
    """
    graph = Graph(module)
    walk = _Walk(graph, module)
    hooks = (
        nn_module.register_module_forward_pre_hook(walk.enter),
        nn_module.register_module_forward_hook(walk.leave),
    )
    x_BCHW = torch.empty(input_shape, dtype=dtype, device="meta")
    graph.begin("input", x_BCHW)
    try:
        with torch.no_grad(), walk:
            result = module(x_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    graph.end([result] if isinstance(result, Tensor) else list(result))
    return graph.model(opset)


class _Walk(TorchFunctionMode):
    """Hands each call that the input reaches to its writer."""

    def __init__(self, graph: Graph, module: nn.Module) -> None:
        super().__init__()
        self._graph = graph
        self._thread = threading.get_ident()
        self._paths = {id(part): path for path, part in module.named_modules()}

    def enter(self, module: nn.Module, args: Any) -> None:
        """Note that a module begins; one that the network does not own counts for its caller."""
        if threading.get_ident() == self._thread:  # torch's hooks fire in every thread
            self._graph.scope.append(self._paths.get(id(module), self._graph.scope[-1]))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """Note that a module has ended."""
        if threading.get_ident() == self._thread:
            self._graph.scope.pop()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        if func in QUESTIONS or not self._is_reached((*args, *options.values())):
            return func(*args, **options)
        if func not in WRITERS:
            raise UnwrittenError(torch.overrides.resolve_name(func))
        try:
            _SIGNATURES[func].bind(self._graph, *args, **options)
        except TypeError as error:
            raise UnwrittenError(f"{torch.overrides.resolve_name(func)}: {error}") from None
        return WRITERS[func](self._graph, *args, **options)

    def _is_reached(self, operands: tuple[Any, ...]) -> bool:
        for operand in operands:
            members = operand if isinstance(operand, list | tuple) else (operand,)
            if any(self._graph.reaches(member) for member in members):
                return True
        return False
