"""The general way to ONNX: torch's TorchScript exporter, for any module that can be traced.

Half a second a network, where torch's newer exporter takes about four and knows no opset below 18. It calls itself
deprecated; its warnings are silenced here and nowhere else. Shapes are static, so what its tracer bakes in is what is
asked for.
"""

import io
import warnings

import torch
from torch import nn

from archlab.model.attention import written_out

__all__ = ["trace_onnx"]


def trace_onnx(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype, opset: int) -> bytes:
    """Trace a module in eval mode on zeros and write it with static shapes and the weights inside.

    Args:
        module: The network; its input is called ``input``.
        input_shape: `(B, C, H, W)`.
        dtype: Of the input.
        opset: ONNX's version of operators.
    """
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad(), written_out():
        _silence_exporter()
        torch.onnx.export(
            module,
            (torch.zeros(input_shape, dtype=dtype),),
            stream,  # type: ignore[arg-type]  # the TorchScript exporter writes to streams
            dynamo=False,
            opset_version=opset,
            input_names=["input"],
        )
    return stream.getvalue()


def _silence_exporter() -> None:
    warnings.filterwarnings("ignore", message="You are using the legacy TorchScript-based ONNX export")
    warnings.filterwarnings("ignore", message="The feature will be removed. Please remove usage of this function")
    warnings.filterwarnings("ignore", message="Constant folding")
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
