"""Which file is sent to a board."""

import dataclasses

import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from archlab.device.board.model import board_onnx
from archlab.device.catalog import RunSpec
from archlab.device.runtime import Workload
from archlab.errors import EngineBuildError
from archlab.model.export import to_onnx

SHAPE = (1, 8, 4, 4)


@pytest.fixture
def workload() -> Workload:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 8, 1), nn.LayerNorm([8, 4, 4])).eval()
    return Workload(module=net, onnx=to_onnx(net, SHAPE), input_shape=SHAPE)


@pytest.mark.parametrize(
    ("version", "dialect", "opset", "has_norm"),
    [("8.2.1", 10, 15, False), ("8.5.2", 10, 15, False), ("8.6.1", 10, 17, True), ("10.3.0", 10, 17, True)],
)
def test_older_tensorrt_gets_older_operators(
    workload: Workload, version: str, dialect: int, opset: int, has_norm: bool
) -> None:
    run = RunSpec(runtime="trtexec", precision="fp16")
    sent = onnx.load_model_from_string(board_onnx(workload, run, {"version": version, "dialect": dialect}))
    assert sent.opset_import[0].version == opset
    assert ("LayerNormalization" in {node.op_type for node in sent.graph.node}) == has_norm
    assert {w.data_type for w in sent.graph.initializer if w.dims} <= {TensorProto.FLOAT, TensorProto.INT64}


@pytest.mark.parametrize(
    ("precision", "kind"),
    [("fp32", TensorProto.FLOAT), ("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)],
)
def test_since_11_the_file_says_the_precision(workload: Workload, precision: str, kind: int) -> None:
    run = RunSpec(runtime="trtexec", precision=precision)
    sent = onnx.load_model_from_string(board_onnx(workload, run, {"version": "11.1.0", "dialect": 11}))
    assert next(w for w in sent.graph.initializer if list(w.dims) == [8, 8, 1, 1]).data_type == kind
    assert sent.graph.input[0].type.tensor_type.elem_type == kind
    assert next(workload.module.parameters()).dtype == torch.float32  # ours stays as it is


def test_a_file_with_data_outside_stays_here(workload: Workload) -> None:
    proto = onnx.load_model_from_string(workload.onnx)
    weight = proto.graph.initializer[0]
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    outside = dataclasses.replace(workload, onnx=proto.SerializeToString())
    with pytest.raises(
        EngineBuildError,
        match=r"this network is not sent to a board; given: .*outside its file.*; allowed: ONNX files with .*inside",
    ):
        board_onnx(outside, RunSpec(runtime="ort"), {"version": "1.20"})
