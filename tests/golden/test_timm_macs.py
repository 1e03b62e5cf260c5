"""Every published network against timm's own of that name, counted by torch on the meta device."""

import csv
import warnings
from pathlib import Path

import pytest
import torch

from archlab.cost.count import count
from archlab.cost.crosscheck import torch_macs
from archlab.cost.trace import trace
from archlab.families import all_published
from archlab.model import timm_gate

_PUBLISHED = Path(__file__).parent / "published.csv"
GOLDEN_G = {row["name"]: float(row["macs_g"]) for row in csv.DictReader(_PUBLISHED.read_text().splitlines())}
NOT_IN_TIMM = {"edgenext_xx_small_bn_hs", "edgenext_x_small_bn_hs", "edgenext_small_bn_hs", "efficientvit_l0"}
ROWS = [row for row in all_published() if row.name not in NOT_IN_TIMM]


def test_only_the_named_few_have_no_oracle() -> None:
    assert len(ROWS) == len(all_published()) - len(NOT_IN_TIMM)
    assert {row.name for row in all_published()} >= NOT_IN_TIMM


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_macs_and_params_are_timms(name: str) -> None:
    (row,) = (row for row in ROWS if row.name == name)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = timm_gate.create(name)
    ours = count(trace(row.spec))
    assert ours.params == sum(parameter.numel() for parameter in theirs.parameters())
    shape = (1, 3, row.resolution, row.resolution)
    assert ours.macs == pytest.approx(sum(torch_macs(theirs, shape).values()), rel=0.005)


@pytest.mark.parametrize("name", [row.name for row in all_published()])
def test_macs_are_near_the_reference_table(name: str) -> None:
    (row,) = (row for row in all_published() if row.name == name)
    assert count(trace(row.spec)).macs / 1e9 == pytest.approx(GOLDEN_G[name], rel=0.005, abs=0.00005)
