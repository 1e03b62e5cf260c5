"""What is cut out gives the same logits as what is masked, for every family, and builds again from its YAML."""

import dataclasses
import functools
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from archlab.families import FAMILIES
from archlab.model.build import Backbone, build
from archlab.pruning.groups import Layout, layout_of
from archlab.pruning.importance import random, taylor
from archlab.pruning.shrink import Keep, Macs, Pruned, Target, kept_rows, prune
from archlab.spec import ArchSpec
from tests.pruning.oracle import masked, randomise

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 64
OWNED = {"qk", "q", "kv", "qkv", "v"}


EDGE: dict[str, Any] = {"depth_0": 1, "depth_1": 2, "depth_2": 2, "depth_3": 2}
MSRA: dict[str, Any] = {"width_0": 32, "width_1": 48, "width_2": 64, "depth_2": 2}
MIT: dict[str, Any] = {"width": 8, "depth_3": 1, "depth_4": 2, "key_dim_3": 8, "key_dim_4": 8, "head_widths": "24-32"}

SWIN: dict[str, Any] = {f"attentions_{i}": 1 for i in (0, 1, 3)} | {f"ffns_{i}": 1 for i in range(4)}
SWIN |= {f"width_{i}": width for i, width in enumerate((16, 32, 48, 64))}
SWIN |= {f"heads_{i}": heads for i, heads in enumerate((2, 4, 4, 4))}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "convnext": ("convnext", {"width": 8, "unit": 1}),
    "convnext_bn": ("convnext", {"width": 8, "unit": 1, "norm": "bn", "stem": "overlap"}),
    "edgenext": ("edgenext", {**EDGE, "width_0": 16, "width_1": 24, "width_2": 40, "width_3": 56}),
    "edgenext_bn": (
        "edgenext",
        {**EDGE, "norm": "bn", "act": "hardswish", "stem": "overlap", "width_0": 16, "width_1": 24, "width_2": 40},
    ),
    "msra": ("efficientvit_msra", MSRA),
    "msra_plain": ("efficientvit_msra", {**MSRA, "mixer_1": "mhsa", "mixer_2": "mhsa", "value_ratio_0": 0.5}),
    "msra_wide": ("efficientvit_msra", {**MSRA, "value_ratio_0": 0.5, "value_ratio_1": 1.5, "window": 2}),
    "msra_split": ("efficientvit_msra", {**MSRA, "mixer_1": "split", "mixer_2": "split", "norm": "ln"}),
    "mit": ("efficientvit_mit", MIT),
    "mit_large": ("efficientvit_mit", {**MIT, "local_0": "resconv", "local_1": "fused_mbconv", "scales_3": "3-5"}),
    "roadmap_wide": ("roadmap", {"width": 8, "depths": "1-2-1-2", "block": "dw_bottleneck"}),
    "roadmap_full": ("roadmap", {"width": 8, "depths": "1-2-1-2"}),
    "roadmap_even": ("roadmap", {"width": 16, "depths": "1-2-1-1", "expansion": 1.0}),
    "roadmap_lean": (
        "roadmap",
        {"width": 8, "depths": "1-1-2-1", "block": "dw_lean", "ends": "narrow", "norm": "bn_first", "stem": "patchify"},
    ),
    "deit": ("deit", {"width": 48, "heads": 4, "attentions": 2, "ffns": 2}),
    "swin": ("swin", {**SWIN, "attentions_2": 2, "window": 3}),
}
"""Name → family and knobs of a small network; together they hold every kind of layer that a family makes."""


@functools.cache
def network(name: str) -> Backbone:
    family, knobs = NETWORKS[name]
    module = build(FAMILIES[family].make(resolution=SIDE, classes=10, **knobs))
    randomise(module, images(8))
    return module


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))


def batches() -> list[tuple[Tensor, Tensor]]:
    return [(images(4), torch.tensor([0, 3, 5, 9]))]


def logits(module: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        given = module(images())
    assert isinstance(given, Tensor)
    return given


def agree(module: Backbone, found: Pruned) -> None:
    wanted = logits(masked(module, found.layout, found.gone))
    assert 0.01 < wanted.abs().max() < 20
    torch.testing.assert_close(logits(found.module), wanted, rtol=0, atol=1e-5)


@dataclasses.dataclass
class Furthest:
    """A target that only the last threshold meets."""

    goal: float = 0.5

    def size(self, layout: Layout, gone: frozenset[int]) -> float:
        """Half at the most that can go, else one."""
        self.most = max(getattr(self, "most", 0), len(gone))
        return 0.5 if len(gone) == self.most else 1.0


@pytest.mark.parametrize("target", [Keep(goal=0.7), Macs(goal=0.6), Keep(goal=0.35)], ids=["keep", "macs", "far"])
@pytest.mark.parametrize("name", NETWORKS)
def test_cut_and_masked_networks_agree(name: str, target: Target) -> None:
    module = network(name)
    found = prune(module.spec, module, taylor(batches()), target)
    assert target.size(found.layout, found.gone) <= target.goal
    agree(module, found)
    again = build(ArchSpec.from_dict(yaml.safe_load(yaml.safe_dump(found.spec.to_dict()))))
    again.load_state_dict(found.module.state_dict())
    assert torch.equal(logits(again.eval()), logits(found.module))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_role_can_go_by_itself(name: str) -> None:
    """Channels chosen at random, so that every place of every group is met."""
    module = network(name)
    roles = {row.role for row in kept_rows(layout_of(module.spec), frozenset())}
    for seed, role in enumerate(sorted(roles)):
        found = prune(module.spec, module, random(seed), Furthest(), roles=(role,), floor=0.4)
        lost = {row.role for row in found.kept if row.after < row.before}
        assert lost == ({role, *OWNED} & roles if role == "heads" else {role, "v"} & lost)
        agree(module, found)
