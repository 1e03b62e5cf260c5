"""The rate follows its formula, decay leaves norms and biases alone, the average is the written sum."""

import math

import pytest
import torch
from torch import nn

from archlab.model.build import build
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec
from archlab.training.optimise import Average, adamw, rate


def test_the_rate_by_hand() -> None:
    found = [rate(step, steps=8, warmup_steps=4, lr=2.0) for step in range(9)]
    half = math.sqrt(0.5)
    assert found == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 1 + half, 1.0, 1 - half, 0.0])
    assert rate(0, steps=1, warmup_steps=0, lr=2.0) == 2.0


def test_norms_biases_and_positions_do_not_decay() -> None:
    attention = BlockSpec(kind="mhsa", width=8, heads=2, norm="bn", position="bias")
    stage = StageSpec(
        entry=BlockSpec(kind="conv", width=8, stride=2, kernels=(3,), norm="bn", act="relu"), blocks=(attention,)
    )
    module = build(ArchSpec(resolution=8, stages=(stage,), classes=3, head=HeadSpec(kind="pool", norm="bn")))
    decayed, free = adamw(module, lr=1.0, weight_decay=0.1).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in module.named_parameters()}
    assert {names[id(p)].rpartition(".")[2] for p in decayed["params"]} == {"weight"}
    assert all(p.ndim > 1 for p in decayed["params"])
    tables = [name for name, p in module.named_parameters() if "bias." in name]
    assert tables
    assert {id(p) for p in free["params"]} >= {id(dict(module.named_parameters())[name]) for name in tables}
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_one_step_of_adamw_by_hand() -> None:
    module = nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(2.0)
        module.bias.fill_(2.0)
    optimizer = adamw(nn.Sequential(module), lr=0.1, weight_decay=0.5)
    (3 * module.weight.sum() + 3 * module.bias.sum()).backward()
    optimizer.step()
    assert module.bias.item() == pytest.approx(2.0 - 0.1)  # Adam's first step is the rate along the sign
    assert module.weight.item() == pytest.approx(2.0 - 0.1)  # one weight is one axis: no decay


def test_the_average_by_hand() -> None:
    module = nn.BatchNorm1d(1)
    average = Average(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
        module.running_mean.fill_(10.0)  # type: ignore[union-attr]
        module.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    average.update(0)  # decay min(0.5, 1/10)
    state = average.module.state_dict()
    assert state["weight"].item() == pytest.approx(0.1 * 1 + 0.9 * 3)
    assert state["running_mean"].item() == pytest.approx(9.0)
    assert state["num_batches_tracked"].item() == 7
    average.update(1000)
    assert average.module.state_dict()["weight"].item() == pytest.approx(0.5 * 2.8 + 0.5 * 3)
