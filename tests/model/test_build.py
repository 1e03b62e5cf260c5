import dataclasses
import inspect
import time
from typing import Any

import pytest
import torch
from torch import nn

from archlab.errors import SpecError
from archlab.families import published
from archlab.model.build import FeatureInfo, build, build_head, build_layer, initialise
from archlab.spec import ArchSpec, BlockSpec, HeadSpec

XXS = published("edgenext_xx_small").spec
M0 = published("efficientvit_m0").spec
B0 = published("efficientvit_b0").spec


def test_children_have_the_names_of_the_spec() -> None:
    module = build(XXS, device="meta")
    paths = [path for path, _ in XXS.layers()]
    assert len(paths) == 4 + 2 + 2 + 6 + 2
    for path in [*paths, "head"]:
        assert isinstance(module.get_submodule(path), nn.Module)
    assert module.spec is XXS
    assert module.training


def test_a_seed_decides_every_weight_and_nothing_else() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = build(B0, seed=3), build(B0, seed=3), build(B0, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    states = [module.state_dict() for module in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["head.fc.weight"], states[2]["head.fc.weight"])


def test_weights_start_as_in_the_papers() -> None:
    state = build(XXS, seed=1).state_dict()
    for name in ("stages.3.blocks.0.mlp.fc1.weight", "head.fc.weight", "stages.3.entry.conv.weight"):
        assert state[name].mean().abs() < 1e-3
        assert abs(state[name].std().item() - 0.02) < 5e-4
    assert (state["head.fc.bias"] == 0).all()
    assert (state["stages.1.blocks.1.gamma"] == 1e-6).all()
    assert (state["stages.1.blocks.1.gamma_xca"] == 1e-6).all()
    assert (state["stages.1.blocks.1.xca.temperature"] == 1).all()
    assert (state["head.norm.weight"] == 1).all()


def test_residual_branches_of_msra_start_as_nothing() -> None:
    state = build(M0).state_dict()
    zero = {name for name, tensor in state.items() if name.endswith("norm.weight") and (tensor == 0).all()}
    assert "stages.0.blocks.0.dw.norm.weight" in zero
    assert "stages.0.blocks.1.mlp.fc2.norm.weight" in zero
    assert "stages.0.blocks.2.proj.norm.weight" in zero
    assert len(zero) == sum(stage.depth for stage in M0.stages)
    assert (state["stages.0.blocks.2.bias.table_hO"] == 0).all()


def test_before_a_batchnorm_weights_start_as_torch_does() -> None:
    weight = build(B0).state_dict()["stages.4.entry.point_conv.conv.weight"]
    bound = weight[0].numel() ** -0.5
    assert weight.abs().max() <= bound
    assert abs(weight.std().item() - bound / 3**0.5) < 0.03 * bound


@pytest.mark.parametrize("name", ["edgenext_xx_small", "efficientvit_m0", "efficientvit_b0", "efficientvit_l0"])
def test_features_come_with_stride_and_width(name: str) -> None:
    spec = published(name).spec
    module = build(spec, device="meta", features_only=True)
    side = spec.resolution
    maps = module(torch.empty(2, 3, side, side, device="meta"))
    expected = {
        "edgenext_xx_small": [(4, 24), (8, 48), (16, 88), (32, 168)],
        "efficientvit_m0": [(16, 64), (32, 128), (64, 192)],
        "efficientvit_b0": [(2, 8), (4, 16), (8, 32), (16, 64), (32, 128)],
        "efficientvit_l0": [(2, 32), (4, 64), (8, 128), (16, 256), (32, 512)],
    }[name]
    assert module.feature_info == tuple(
        FeatureInfo(stage=i, stride=stride, width=width) for i, (stride, width) in enumerate(expected)
    )
    shapes = [tuple(x.shape) for x in maps]
    assert shapes == [(2, width, -(-side // stride), -(-side // stride)) for stride, width in expected]
    assert module.head is None
    assert not any(key.startswith("head") for key in module.state_dict())


def test_features_are_the_maps_before_the_head() -> None:
    spec = XXS.replace(resolution=64, classes=5)
    whole, backbone = build(spec, seed=2).eval(), build(spec, seed=2, features_only=True).eval()
    backbone.load_state_dict({n: t for n, t in whole.state_dict().items() if not n.startswith("head")})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = backbone(x)
        assert whole.head is not None
        torch.testing.assert_close(whole.head(maps[-1]), whole(x))


@pytest.mark.parametrize("change", [{"head": None}, {"classes": 0}])
def test_without_classifier_the_last_map_comes_out(change: dict[str, Any]) -> None:
    module = build(XXS.replace(**change), device="meta")
    assert module(torch.empty(1, 3, 256, 256, device="meta")).shape == (1, 168, 8, 8)


@pytest.mark.parametrize("name", ["edgenext_x_small_bn_hs", "efficientvit_m3", "efficientvit_l1", "convnext_atto"])
def test_published_networks_run_on_meta(name: str) -> None:
    row = published(name)
    x = torch.empty(2, 3, row.resolution, row.resolution, device="meta")
    assert build(row.spec, device="meta").eval()(x).shape == (2, 1000)


def test_other_sides_run_where_the_network_allows_it() -> None:
    module = build(XXS, device="meta").eval()
    assert module(torch.empty(1, 3, 192, 320, device="meta")).shape == (1, 1000)


def test_a_network_of_one_side_says_so() -> None:
    module = build(M0, device="meta")
    with pytest.raises(SpecError, match=r"takes one input side only; given: 256×224; allowed: 224×224; resize"):
        module(torch.empty(1, 3, 256, 224, device="meta"))


@pytest.mark.parametrize(("changes", "fixed"), [({"window": 7}, True), ({"position": "bias"}, True), ({}, False)])
def test_windows_and_bias_tables_fix_the_side(changes: dict[str, Any], fixed: bool) -> None:
    block = BlockSpec(kind="mhsa", width=168, heads=4, norm="ln", **changes)
    stage = dataclasses.replace(XXS.stages[3], blocks=(block,))
    assert build(XXS.replace(stages=(*XXS.stages[:3], stage)), device="meta").is_fixed_size == fixed


def test_a_layer_of_a_network_is_the_layer_alone() -> None:
    side = {"stages.2.blocks.5": 16, "stages.1.blocks.1": 32, "stages.1.entry": 64}
    network = build(XXS, seed=0)
    layers = dict(XXS.layers())
    for path, in_side in side.items():
        width = 24 if path.endswith("entry") else layers[path].width
        layer = build_layer(layers[path], width, in_side, device="cpu")
        wanted = {n.removeprefix(path + "."): t.shape for n, t in network.state_dict().items() if n.startswith(path)}
        assert {n: t.shape for n, t in layer.state_dict().items()} == wanted


@pytest.mark.parametrize(
    "spec",
    [
        HeadSpec(kind="pool", norm="ln"),
        HeadSpec(kind="pool", norm="bn"),
        HeadSpec(kind="norm_pool", norm="bn"),
        HeadSpec(kind="conv", norm="bn", widths=(20, 30), act="hardswish", eps=1e-7),
    ],
)
def test_heads(spec: HeadSpec) -> None:
    head = build_head(spec, 12, 7)
    initialise(head, seed=0)
    assert head.eval()(torch.randn(2, 12, 5, 5)).shape == (2, 7)
    bias_and_weight = 7 * (13 if spec.kind != "conv" else 31)
    inner = 24 if spec.kind != "conv" else 12 * 20 + 2 * 20 + 20 * 30 + 2 * 30
    assert sum(p.numel() for p in head.parameters()) == bias_and_weight + inner
    norms = [part for part in head.modules() if isinstance(part, nn.LayerNorm | nn.BatchNorm1d | nn.BatchNorm2d)]
    default = 1e-6 if spec.norm == "ln" else 1e-5
    assert {part.eps for part in norms} == {spec.eps or default}


def test_epsilons() -> None:
    def all_eps(spec: ArchSpec) -> set[float]:
        norms = (nn.LayerNorm, nn.BatchNorm2d, nn.BatchNorm1d)
        return {part.eps for part in build(spec, device="meta").modules() if isinstance(part, norms)}

    assert all_eps(XXS) == {1e-6}
    assert all_eps(M0) == {1e-5}
    assert all_eps(B0) == {1e-5}
    assert all_eps(published("efficientvit_l1").spec) == {1e-7}


def test_a_layer_builds_in_no_time() -> None:
    """Counting builds every layer on the meta device; ConvNeXt's takes 0.2 ms, the limit is for crowded machines."""
    block = XXS.stages[1].blocks[0]
    times_s = []
    for _ in range(30):
        start = time.process_time()
        build_layer(block, 48, 32)
        times_s.append(time.process_time() - start)
    assert sorted(times_s)[15] < 2e-3


def test_every_layer_file_has_a_legend() -> None:
    for kind in {type(part) for part in build(M0, device="meta").modules() if "archlab" in type(part).__module__}:
        module = inspect.getmodule(kind)
        assert module is not None
        assert "Legend of the shape suffixes" in (module.__doc__ or "")
