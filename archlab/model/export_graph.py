"""An ONNX graph in the making: values by the tensors that stand for them, weights, nodes with the path of their module.

What the network computes from its input stands for itself as a tensor on the meta device, with a shape and no data;
every other tensor is a constant. A node is called ``/<module path>/<operator>``, so that a runtime's profile can be
read module by module; weights keep their names in the module. The file is put together by hand around the weights,
which are copied once: protobuf's own way would copy them four times, and that copying is most of the work.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

__all__ = ["Graph", "UnwrittenError"]

_TYPES = {
    torch.float32: TensorProto.FLOAT,
    torch.float16: TensorProto.FLOAT16,
    torch.float64: TensorProto.DOUBLE,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.bool: TensorProto.BOOL,
}
_IR_VERSION = 8
"""The oldest that may hold opset 17."""
_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9
"""Numbers of fields in onnx.proto; they are fixed for ever."""


class UnwrittenError(Exception):
    """This call has no writer; never leaves the exporter, which then takes torch's way."""


class Graph:
    """Collects nodes and weights; `model` gives the file."""

    def __init__(self, module: nn.Module) -> None:
        self.scope = [""]
        """Path of the module that is running, innermost last."""
        self._paths = {id(t): name for name, t in [*module.named_buffers(), *module.named_parameters()]}
        self._proto = onnx.GraphProto(name="archlab")  # all but the weights
        self._tensors: list[tuple[TensorProto, memoryview]] = []
        self._names: dict[int, str] = {}
        self._alive: list[Tensor] = []  # an id is a tensor's name only while it lives
        self._weights: dict[tuple[int, bool], str] = {}
        self._ints: dict[tuple[int, ...], str] = {}
        self._count: dict[str, int] = {}

    def begin(self, name: str, x: Tensor) -> None:
        """Name the input."""
        self._proto.input.append(_typed(name, x))
        self._hold(x, name)

    def reaches(self, tensor: object) -> bool:
        """Whether the input of the network takes part in this value."""
        return isinstance(tensor, Tensor) and id(tensor) in self._names

    def read(self, tensor: Tensor, *, is_transposed: bool = False) -> str:
        """Name a tensor; one that no node has made is written down as a weight, on demand with its axes reversed.

        Raises:
            UnwrittenError: For a constant without data.
        """
        if id(tensor) in self._names:
            return self._names[id(tensor)]
        key = id(tensor), is_transposed
        if key not in self._weights:
            self._weights[key] = self._write_weight(tensor, is_transposed)
        return self._weights[key]

    def ints(self, values: Sequence[int]) -> str:
        """Name a list of whole numbers: a shape, axes, bounds."""
        key = tuple(int(v) for v in values)
        if key not in self._ints:
            self._ints[key] = "ints_" + "_".join(map(str, key))
            self._weight_proto(self._ints[key], torch.tensor(key, dtype=torch.int64))
        return self._ints[key]

    def scalar(self, value: float, like: Tensor) -> str:
        """Name a number of the type of `like`: a node of its own, since it belongs to what is computed."""
        tensor = torch.tensor(value, dtype=like.dtype)
        proto = TensorProto(data_type=_TYPES[like.dtype], raw_data=bytes(_data(tensor)))
        return self._node("Constant", [], 1, {"value": proto})[0]

    def write(self, op: str, inputs: Sequence[str], result: Tensor, **attributes: Any) -> Tensor:
        """Add a node with one output, which `result` stands for."""
        self._hold(result, self._node(op, inputs, 1, attributes)[0])
        return result

    def write_all(self, op: str, inputs: Sequence[str], results: Sequence[Tensor], **attributes: Any) -> None:
        """Add a node with one output per tensor of `results`."""
        for tensor, name in zip(results, self._node(op, inputs, len(results), attributes), strict=True):
            self._hold(tensor, name)

    def end(self, results: Sequence[Tensor]) -> None:
        """Name the outputs.

        Raises:
            UnwrittenError: For an output that no node has made, or that is given twice.
        """
        names = [self._names.get(id(x), "") for x in results]
        made = {name for node in self._proto.node for name in node.output}
        if len(set(names)) < len(names) or not made.issuperset(names):
            raise UnwrittenError("outputs")
        self._proto.output.extend(_typed(name, x) for name, x in zip(names, results, strict=True))

    def model(self, opset: int) -> bytes:
        """Give the file's bytes."""
        versions = [onnx.OperatorSetIdProto(domain="", version=opset)]
        model = onnx.ModelProto(ir_version=_IR_VERSION, producer_name="archlab", opset_import=versions)
        return b"".join([model.SerializeToString(), *_field(_MODEL_GRAPH, list(self._graph_parts()))])

    def _graph_parts(self) -> Iterator[bytes | memoryview]:
        yield self._proto.SerializeToString()
        for tensor, data in self._tensors:
            yield from _field(_GRAPH_INITIALIZER, [tensor.SerializeToString(), *_field(_TENSOR_RAW_DATA, [data])])

    def _hold(self, tensor: Tensor, name: str) -> None:
        self._names[id(tensor)] = name
        self._alive.append(tensor)

    def _node(self, op: str, inputs: Sequence[str], outputs: int, attributes: Mapping[str, Any]) -> list[str]:
        path = "/".join(("", self.scope[-1], op)) if self.scope[-1] else f"/{op}"
        self._count[path] = self._count.get(path, -1) + 1
        name = f"{path}_{self._count[path]}" if self._count[path] else path
        names = [f"{name}_output_{i}" for i in range(outputs)]
        self._proto.node.append(onnx.helper.make_node(op, inputs, names, name, **attributes))
        return names

    def _write_weight(self, tensor: Tensor, is_transposed: bool) -> str:
        if tensor.is_meta or tensor.dtype not in _TYPES:
            raise UnwrittenError(f"a constant of {tensor.dtype} on {tensor.device}")
        self._alive.append(tensor)
        name = self._paths.get(id(tensor)) or f"{self.scope[-1] or 'network'}.constant_{len(self._weights)}"
        name += ".T" if is_transposed else ""
        self._weight_proto(name, tensor.detach().T if is_transposed else tensor.detach())
        return name

    def _weight_proto(self, name: str, tensor: Tensor) -> None:
        proto = TensorProto(name=name, data_type=_TYPES[tensor.dtype], dims=tensor.shape)
        self._tensors.append((proto, _data(tensor)))


def _data(tensor: Tensor) -> memoryview:
    """The values as they lie in memory, row-major."""
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _typed(name: str, tensor: Tensor) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, _TYPES[tensor.dtype], list(tensor.shape))


def _field(number: int, parts: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """One length-delimited field of a protobuf message: tag, length, content."""
    yield _varint(number << 3 | 2)
    yield _varint(sum(len(part) for part in parts))
    yield from parts


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
