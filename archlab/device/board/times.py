"""TensorRT's layers, as its own tool times them, put down to the network's modules."""

import re
from typing import Any

from archlab.device.ort_profile import module_path
from archlab.device.runtime import OpTime

__all__ = ["layer_times"]

_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_NODE = re.compile(r"/[^\s+,:\]\[(){}]+")


def layer_times(rows: list[dict[str, Any]], layers: list[Any]) -> tuple[OpTime, ...]:
    """Turn the profile of trtexec into one row per layer, in its order.

    Args:
        rows: Entries with `name` and `medianMs`, or `averageMs` alone before TensorRT 8.4.
        layers: What the engine says of its layers, in detail: `Name`, `LayerType`, and `Metadata` with the names of the
            ONNX nodes that went in; names alone, or nothing, where the tool tells no more.

    Returns:
        Median time of each layer in ms. `module` is that of the first ONNX node that went in.
    """
    known = {layer["Name"]: layer for layer in layers if isinstance(layer, dict) and "Name" in layer}
    found = []
    for row in rows:
        layer = known.get(row["name"], {})
        nodes = _ONNX_LAYER.findall(str(layer.get("Metadata", ""))) or _NODE.findall(row["name"])
        ms = row.get("medianMs", row.get("averageMs", 0.0))
        module = module_path(nodes[0]) if nodes else ""
        found.append(
            OpTime(op=str(layer.get("LayerType", "layer")), node=row["name"], module=module, ms=float(ms), calls=1)
        )
    return tuple(found)
