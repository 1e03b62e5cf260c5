"""Walk one module once on the meta device and note every operator that the dispatcher sees.

Nothing is computed: tensors on the meta device have shapes and strides, no data. Fused attention falls apart into its
two products there, so it counts in full.
"""

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import TorchDispatchMode

from archlab.cost.rows import LayerTrace, OpRow, Shape
from archlab.cost.rules import Rule, conv_attrs, rule_for
from archlab.cost.shortcuts import SHORTCUTS, Shortcut

__all__ = ["walk"]

_NAMES: dict[Any, tuple[str, bool]] = {}
"""Operator overload → (aten name, whether it works in place); grows to the few hundred operators that exist."""


def walk(module: nn.Module, inputs: Sequence[torch.Tensor], *, is_quick: bool = True) -> LayerTrace:
    """Run `module` once and return a row per operator.

    Args:
        module: In eval mode with parameters and buffers on the meta device.
        inputs: Tensors on the meta device.
        is_quick: Take the shapes of common operators from `shortcuts.py`; the rows are the same without.

    Raises:
        CostRuleError: For an operator without a rule.
    """
    mode = _Walk(module, inputs, SHORTCUTS if is_quick else {})
    hooks = (
        nn_module.register_module_forward_pre_hook(mode.enter),
        nn_module.register_module_forward_hook(mode.leave),
    )
    try:
        with torch.no_grad(), mode:
            result = module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return mode.finish(module, result)


class _Walk(TorchDispatchMode):
    """Rows as they happen. A tensor's maker is found by its storage, which all its views share."""

    def __init__(self, module: nn.Module, inputs: Sequence[torch.Tensor], shortcuts: Mapping[str, Shortcut]) -> None:
        super().__init__()
        self._shortcuts = shortcuts
        self._thread = threading.get_ident()
        self._rows: list[OpRow] = []
        self._paths: dict[int, str] = {}
        self._path = [""]
        self._constant: set[int] = set()  # rows that no input of the network reaches
        self._alive: list[torch.Tensor] = []  # a storage's address is its name only while it lives
        self._maker = {_storage(x): -1 for x in inputs}
        self._unread: dict[int, int] = {}
        self._homes: dict[int, str] = {}
        self._owned: set[int] = set()
        for path, child in module.named_modules():
            self._paths[id(child)] = path
            self._own(path, child)
        self._params = sum(self._unread.values())

    def _own(self, path: str, module: nn.Module) -> None:
        """Note the module's own parameters and buffers; one that two modules share belongs to the first."""
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in self._homes:
                key = _storage(parameter)
                self._homes[id(parameter)] = path
                self._owned.add(key)
                self._unread[key] = self._unread.get(key, 0) + parameter.numel()
        self._owned.update([_storage(buffer) for buffer in module._buffers.values() if buffer is not None])

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: nothing is compiled here, and torch's wrapper would load its compiler, a second at first use."""
        return False

    def enter(self, module: nn.Module, args: Any) -> None:
        """Note that a module begins; one that the network does not own counts for its caller."""
        if threading.get_ident() == self._thread:  # torch's hooks fire in every thread
            self._path.append(self._paths.get(id(module), self._path[-1]))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        """Note that a module has ended."""
        if threading.get_ident() == self._thread:
            self._path.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op, is_in_place = _NAMES.get(func) or _name(func)
        rule = rule_for(op, self._path[-1])
        result = self._short(op, is_in_place, args)
        if result is None:
            result = func(*args, **(kwargs or {}))
        if rule.kind is None:
            self._alive.extend(_tensors((result,)))
        elif rule.kind == "view":
            self._add_view(op, args, result)
        else:
            self._add(op, rule, args, (*args, *kwargs.values()) if kwargs else args, result)
        return result

    def _short(self, op: str, is_in_place: bool, args: Any) -> Any:
        """The result as the operator's shortcut makes it, or None."""
        shortcut = self._shortcuts.get(op)
        result = shortcut(args) if shortcut else None
        if is_in_place and result is not None:
            return args[0] if result.shape == args[0].shape else None
        return result

    def _add_view(self, op: str, args: Any, result: Any) -> None:
        base, results = args[0], _tensors((result,))
        self._alive.extend(results)
        maker = self._maker.get(_storage(base))
        sources = () if maker is None else (maker,)
        self._rows.append(
            OpRow(
                op=op,
                kind="view",
                module=self._path[-1],
                inputs=(tuple(base.shape),),
                outputs=tuple([tuple(r.shape) for r in results]),
                sources=sources,
                is_constant=self._constant.issuperset(sources),
            )
        )

    def _add(self, op: str, rule: Rule, args: Any, operands: Any, result: Any) -> None:
        tensors, results = _tensors(operands), _tensors((result,))
        sources, weight_elems, params, read_elems = self._read(tensors[1:] if rule.is_overwritten else tensors)
        if rule.is_overwritten and (before := self._maker.get(_storage(tensors[0]))) is not None:
            sources = (*sources, before)
        is_constant = self._constant.issuperset(sources)
        if is_constant:
            self._constant.add(len(self._rows))
        inputs = tuple([tuple(t.shape) for t in tensors])
        outputs = tuple([tuple(r.shape) for r in results[: rule.writes]])
        written = sum([math.prod(shape) for shape in outputs])
        self._rows.append(
            OpRow(
                op=op,
                kind=_kind(rule, inputs, args, weight_elems),
                module=self._path[-1],
                inputs=inputs,
                outputs=outputs,
                sources=tuple(dict.fromkeys(sources)),
                weight_elems=weight_elems,
                params=params,
                macs=rule.macs(inputs, outputs, args) if rule.macs else 0,
                activation_elems=written,
                read_elems=read_elems,
                write_elems=written,
                is_constant=is_constant,
                attrs=conv_attrs(inputs, args) if rule.kind == "conv" else None,
            )
        )
        for made in results:
            self._maker[_storage(made)] = len(self._rows) - 1
        self._alive.extend(results)

    def _read(self, tensors: Iterable[torch.Tensor]) -> tuple[tuple[int, ...], int, int, int]:
        """Makers of the activations, elements of weights, parameters first read here, elements in all."""
        sources: list[int] = []
        weight_elems = params = read_elems = 0
        for tensor in tensors:
            key, elems = _storage(tensor), _stored(tensor)
            read_elems += elems
            maker = self._maker.get(key)
            if maker is not None:
                sources.append(maker)
            elif key in self._owned:
                weight_elems += elems
                params += self._unread.pop(key, 0)
        return tuple(sources), weight_elems, params, read_elems

    def finish(self, module: nn.Module, result: Any) -> LayerTrace:
        """The rows, with the parameters that none of them read."""
        first = _first(result)
        unread = [p for p in module.parameters() if _storage(p) in self._unread] if self._unread else []
        return LayerTrace(
            rows=tuple(self._rows),
            params=self._params,
            unread=tuple((self._homes[id(p)], p.numel()) for p in unread),
            output=self._maker.get(_storage(first), -1),
            output_shape=tuple(first.shape),
        )


def _name(func: Any) -> tuple[str, bool]:
    """`aten::add_.Tensor` → (`add`, in place); operators of other libraries keep their namespace."""
    name = func._schema.name.removeprefix("aten::")
    is_in_place = name.endswith("_") and not name.endswith("__")
    return _NAMES.setdefault(func, (name[:-1] if is_in_place else name, is_in_place))


def _kind(rule: Rule, inputs: tuple[Shape, ...], args: Any, weight_elems: int) -> str:
    assert rule.kind is not None
    if rule.kind == "conv" and args[8] > 1 and args[8] == inputs[0][1]:
        return "depthwise"
    return "linear" if rule.kind == "matmul" and weight_elems else rule.kind


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _stored(tensor: torch.Tensor) -> int:
    """Elements in memory: what an expand repeats is there once."""
    strides = tensor.stride()
    if 0 not in strides:
        return tensor.numel()
    elems = 1
    for size, stride in zip(tensor.shape, strides, strict=True):
        elems *= size if stride else 1
    return elems


_LISTS = (list, tuple)


def _tensors(values: Iterable[Any]) -> list[torch.Tensor]:
    """The tensors among some operands, one list deep (`cat` takes a list)."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, _LISTS):
            found.extend([v for v in value if isinstance(v, torch.Tensor)])
    return found


def _first(result: Any) -> torch.Tensor:
    while not isinstance(result, torch.Tensor):
        result = next(iter(result.values() if isinstance(result, dict) else result))
    return result
