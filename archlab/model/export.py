"""Take a network out of Python: ONNX (static shapes, weights inside) and safetensors.

torch's TorchScript exporter writes the graph: half a second a network, where the newer one takes about four. It calls
itself deprecated; its warnings are silenced here and nowhere else. Shapes are static, so what its tracer bakes in is
what is asked for.
"""

import hashlib
import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
import safetensors.torch
import torch
from onnx import numpy_helper
from torch import nn

from archlab.files import write_bytes

__all__ = ["OPSET", "graph_hash", "save_safetensors", "to_onnx"]

OPSET = 17
"""Old enough for TensorRT 8.5 and later, new enough for LayerNormalization."""


def to_onnx(module: nn.Module, input_shape: tuple[int, ...], path: Path | None = None) -> bytes:
    """Write a network as ONNX, in eval mode, with static shapes and the weights inside.

    Args:
        module: The network; give it as it shall run, e.g. from `deploy`. It stays as it is.
        input_shape: `(B, C, H, W)`.
        path: Also write the file there, in one step.

    Returns:
        The file's bytes. The input is called ``input``.
    """
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        _silence_exporter()
        torch.onnx.export(
            module,
            (torch.zeros(input_shape, dtype=dtype),),
            stream,  # type: ignore[arg-type]  # the TorchScript exporter writes to streams
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
        )
    data = stream.getvalue()
    if path is not None:
        write_bytes(path, data)
    return data


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
    array = numpy_helper.to_array(tensor)
    is_whole = array.dtype.kind in "iub"
    if is_whole or (array.size == 1 and not is_weight):
        yield hashlib.sha256(array.tobytes()).hexdigest()


def _shape(tensor_type: Any) -> Iterator[str]:
    yield f"{tensor_type.elem_type} {[d.dim_value or d.dim_param for d in tensor_type.shape.dim]}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _silence_exporter() -> None:
    warnings.filterwarnings("ignore", message="You are using the legacy TorchScript-based ONNX export")
    warnings.filterwarnings("ignore", message="The feature will be removed. Please remove usage of this function")
    warnings.filterwarnings("ignore", message="Constant folding")
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
