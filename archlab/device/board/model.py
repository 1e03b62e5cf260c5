"""Which ONNX file does a board's runtime take? By its version, and by who decides the precision.

TensorRT up to 10 is told the precision by a flag and gets the file in FP32; since 11 it does what the file says, which
is then written in the precision that was asked for. Before 8.6 it knows no LayerNormalization, and before 8.2 little
above opset 13; such a board gets the older operators.
"""

import copy
from typing import Any

import torch

from archlab.device.board.agent import Refused, check_onnx
from archlab.device.catalog import RunSpec
from archlab.device.runtime import Workload
from archlab.errors import EngineBuildError, four_parts
from archlab.model.export import OPSET, to_onnx

__all__ = ["board_onnx"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_OPSETS = (((8, 6), OPSET), ((8, 2), 15), ((0, 0), 13))


def board_onnx(workload: Workload, run: RunSpec, runtime: dict[str, Any]) -> bytes:
    """Write a network for a board.

    Args:
        workload: The network.
        run: The precision asked for.
        runtime: What the agent says of the runtime: its `version` and, for trtexec, its `dialect`.

    Raises:
        EngineBuildError: For a file that keeps data outside of itself; the agent would refuse it as well.
    """
    onnx = workload.onnx if run.runtime != "trtexec" else _for_tensorrt(workload, run, runtime)
    try:
        check_onnx(onnx)
    except Refused as refusal:
        raise EngineBuildError(
            four_parts(
                "this network is not sent to a board",
                given=refusal.detail,
                allowed="ONNX files with their weights inside",
                do="write the file again with the weights inside",
            )
        ) from None
    return onnx


def _for_tensorrt(workload: Workload, run: RunSpec, runtime: dict[str, Any]) -> bytes:
    version = tuple(int(part) for part in str(runtime["version"]).split(".")[:2])
    opset = next(opset for least, opset in _OPSETS if version >= least)
    is_typed = int(runtime["dialect"]) >= 11 and run.precision != "fp32"
    if not is_typed and opset == OPSET:
        return workload.onnx
    dtype = _DTYPES[run.precision] if is_typed else torch.float32
    return to_onnx(copy.deepcopy(workload.module).to(dtype), workload.input_shape, opset=opset)
