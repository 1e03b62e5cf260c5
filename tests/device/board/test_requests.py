"""Requests that nobody sends by mistake: whatever they hold is refused in words, nothing else."""

import random

import pytest
import torch
from torch import nn

from archlab.device.board import agent
from archlab.model.export import to_onnx

ODD = [None, True, 0, -1, 1.5, 1e400, float("nan"), "../../etc/passwd", [], {}, ["hello"], {"a": 1}, 10**40, "x" * 1000]
NAMES = sorted({name for fields in agent.FIELDS.values() for name in fields} | {"path"})


@pytest.mark.parametrize("op", [*agent.FIELDS, None, [], {}, "__class__", 7])
def test_odd_requests_are_refused(op: object) -> None:
    draw = random.Random(str(op))
    for _ in range(300):
        doc = {"op": op, **{name: draw.choice(ODD) for name in NAMES if draw.random() < 0.5}}
        if set(doc) == {"op"} and op in ("probe", "telemetry", "bye"):
            continue
        with pytest.raises(agent.Refused):
            agent.checked(doc)


@pytest.mark.parametrize("line", [b"[" * 60000, b"\xff", b'{"a":' * 9000, b"1" * 60000, b"", b"{} {}"])
def test_lines_that_are_no_json_end_the_agent(line: bytes) -> None:
    with pytest.raises(agent.Ended, match="a line is no JSON"):
        agent._parsed(line)


def test_broken_models_are_refused_or_taken_and_never_crash() -> None:
    draw = random.Random(0)
    sound = to_onnx(nn.Sequential(nn.Conv2d(3, 2, 1)).eval(), (1, 3, 4, 4))
    agent.check_onnx(sound)
    refused = 0
    for _ in range(500):
        data = bytearray(sound[: draw.randrange(1, len(sound))] if draw.random() < 0.5 else sound)
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            agent.check_onnx(bytes(data))
        except agent.Refused as refusal:
            assert refusal.code in {"bad_model", "external_data"}
            refused += 1
    assert refused > 100


def test_half_precision_and_large_weights_are_sound_models() -> None:
    half = nn.Conv2d(3, 64, 3).eval().to(torch.float16)
    agent.check_onnx(to_onnx(half, (1, 3, 8, 8)))
