"""Take a network out of Python: ONNX (static shapes, weights inside) and safetensors.

archlab's own networks are written by one walk (`export_walk`), in a seventh of the time that torch's exporter takes;
other modules, and blocks that make calls the walk does not know, go through torch's exporter (`export_torch`). A
runtime makes the same graph of both files.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
import safetensors.torch
import torch
from onnx import numpy_helper
from torch import nn

from archlab.errors import SpecError, four_parts
from archlab.files import write_bytes
from archlab.model.block import Block
from archlab.model.build import Backbone
from archlab.model.export_graph import UnwrittenError
from archlab.model.export_torch import trace_onnx
from archlab.model.export_walk import write_onnx
from archlab.model.heads import Head

__all__ = ["OPSET", "graph_hash", "save_safetensors", "to_onnx"]

OPSET = 17
"""Old enough for TensorRT 8.5 and later, new enough for LayerNormalization."""
_OURS = (Backbone, Block, Head)
_MAX_BYTES = 2**31 - 1
_FLOATS = {onnx.TensorProto.DataType.Value(name) for name in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")}


def to_onnx(module: nn.Module, input_shape: tuple[int, ...], path: Path | None = None, *, opset: int = OPSET) -> bytes:
    """Write a network as ONNX, in eval mode, with static shapes and the weights inside.

    Args:
        module: The network; give it as it shall run, e.g. from `deploy`. It stays as it is.
        input_shape: `(B, C, H, W)`.
        path: Also write the file there, in one step.
        opset: ONNX's version of operators; another than `OPSET` is for runtimes too old for it.

    Returns:
        The file's bytes. The input is called ``input``; nodes are called after the modules they come from.

    Raises:
        SpecError: For a network whose weights do not fit into one ONNX file (2 GB).
    """
    _check_size(module)
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    with _eval_mode(module):
        data = _written(module, input_shape, dtype, opset)
    if path is not None:
        write_bytes(path, data)
    return data


def _written(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype, opset: int) -> bytes:
    if isinstance(module, _OURS) and opset == OPSET:
        with contextlib.suppress(UnwrittenError):
            return write_onnx(module, input_shape, dtype, opset)
    return trace_onnx(module, input_shape, dtype, opset)


@contextlib.contextmanager
def _eval_mode(module: nn.Module) -> Iterator[None]:
    """Every part in eval mode; the modes are put back afterwards."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _check_size(module: nn.Module) -> None:
    size_bytes = sum(t.numel() * t.element_size() for t in [*module.parameters(), *module.buffers()])
    if size_bytes > _MAX_BYTES:
        raise SpecError(
            four_parts(
                "the network is too large for one ONNX file",
                given=f"{size_bytes} bytes of weights",
                allowed=f"at most {_MAX_BYTES} bytes",
                do="choose smaller widths, or half precision",
            )
        )


def save_safetensors(module: nn.Module, path: Path) -> None:
    """Write the weights and buffers under their dotted names, in one step."""
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors, metadata={"format": "pt"}))


def graph_hash(onnx_bytes: bytes) -> str:
    """Hash what a network computes, not with which weights: operators, attributes, shapes and how they are joined.

    Left out: floating weights' values, the names of nodes and tensors, the order of nodes, and whether two weights
    share their storage. Integer constants count (axes, sizes, index tables), and so do single floating constants
    (exponents, scales) that the graph holds outside its weights.

    Returns:
        The sha256 in hex, 64 digits.
    """
    model = onnx.load_model_from_string(onnx_bytes)
    versions = sorted((entry.domain, entry.version) for entry in model.opset_import)
    return _digest(["model", repr(versions), _hash_graph(model.graph, {})])


def _hash_graph(graph: Any, outer: dict[str, str]) -> str:
    """Hash of a graph: each tensor is known by the hash of how it is made."""
    known = {**outer, "": "none"}
    for tensor in graph.initializer:
        known[tensor.name] = _digest(["weight", *_tensor(tensor, is_weight=True)])
    for index, entry in enumerate(graph.input):
        known.setdefault(entry.name, _digest(["input", str(index), *_shape(entry.type.tensor_type)]))
    made = []
    for node in graph.node:
        if node.op_type == "Identity":  # the exporter's mark of weights that happen to be equal
            known[node.output[0]] = known[node.input[0]]
            continue
        parts = [node.domain, node.op_type, *_attributes(node.attribute, known), *(known[name] for name in node.input)]
        made.append(_digest(["node", *parts]))
        for index, name in enumerate(node.output):
            known[name] = _digest(["output", str(index), made[-1]])
    return _digest(["graph", *(known[entry.name] for entry in graph.output), *sorted(made)])


def _attributes(attributes: Iterable[Any], known: dict[str, str]) -> Iterator[str]:
    for attribute in sorted(attributes, key=lambda a: str(a.name)):
        yield str(attribute.name)
        if attribute.type == onnx.AttributeProto.TENSOR:
            yield from _tensor(attribute.t, is_weight=False)
        elif attribute.type == onnx.AttributeProto.GRAPH:
            yield _hash_graph(attribute.g, known)
        else:
            yield repr(onnx.helper.get_attribute_value(attribute))


def _tensor(tensor: Any, *, is_weight: bool) -> Iterator[str]:
    yield f"{tensor.data_type} {list(tensor.dims)}"
    if tensor.data_type not in _FLOATS or (math.prod(tensor.dims) == 1 and not is_weight):
        yield hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest()


def _shape(tensor_type: Any) -> Iterator[str]:
    yield f"{tensor_type.elem_type} {[d.dim_value or d.dim_param for d in tensor_type.shape.dim]}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
