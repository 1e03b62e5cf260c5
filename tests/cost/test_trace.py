"""Our networks layer by layer against the walk over the whole, and other people's networks against torch's counter."""

import random
import warnings

import pytest
import torch
from torch import nn

from archlab.cost.count import count
from archlab.cost.crosscheck import torch_macs
from archlab.cost.trace import Memo, on_meta, trace, trace_module
from archlab.cost.walk import walk
from archlab.errors import SpecError
from archlab.families import all_published, published
from archlab.model import timm_gate
from archlab.model.build import build
from archlab.model.deploy import deploy
from archlab.space import default, names
from archlab.spec import ArchSpec, BlockSpec, StageSpec

NAMES = [row.name for row in all_published()]

_QUICK = """
coat_tiny deit_tiny_patch16_224 edgenext_xx_small efficientformer_l1 ghostnet_050 mobilenetv3_small_050 mobilevit_xxs
poolformerv2_s12 regnety_002 resnet10t swin_tiny_patch4_window7_224 xcit_nano_12_p8_224
"""
_SLOW = """
cait_xxs24_224 convit_tiny convmixer_768_32 convnext_zepto_rms cpubone_nano crossvit_tiny_240 cs3darknet_focus_s
davit_tiny densenet121 dla46x_c dpn48b efficientformerv2_s0 efficientnet_b0 efficientvit_b0 efficientvit_m0
eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny gmlp_ti16_224 halonet_h1 hardcorenas_b
hgnetv2_b0 hiera_tiny_224 hrnet_w18_small inception_next_atto lcnetv2_small legacy_seresnet18 levit_128s lowformer_b0
coatnet_pico_rw_224 maxvit_pico_rw_256 mixer_s32_224 mobileone_s1 mobilevitv2_050 mvitv2_tiny nest_tiny nextvit_small
nf_regnet_b0 pit_ti_224 pvt_v2_b0 rdnet_tiny repghostnet_050 repvit_m1 res2next50 resnest14d resnetv2_18 rexnet_100
selecsls42 sequencer2d_s shvit_s1 skresnet18 starnet_s050 swiftformer_xs swinv2_tiny_window8_256 swinv2_cr_tiny_224
tiny_vit_5m_224 tnt_s_legacy_patch16_224 tresnet_m twins_svt_small visformer_tiny vit_tiny_r_s16_p8_224
vit_srelpos_small_patch16_224 vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw
"""
QUICK_MODELS, SLOW_MODELS = _QUICK.split(), _SLOW.split()
NEEDS_DATA_TO_BUILD = {"regnety_002"}


@pytest.mark.parametrize("name", NAMES)
def test_layer_by_layer_gives_the_rows_of_the_whole(name: str) -> None:
    spec = published(name).spec
    layered, whole = trace(spec, memo=Memo()), trace(build(spec, device="meta"))
    assert layered.rows == whole.rows
    assert layered.params == whole.params == published(name).params
    assert layered.unread == whole.unread == ()
    assert (layered.resolution, layered.batch, layered.digest) == (spec.resolution, 1, spec.digest)
    assert count(layered).macs == count(whole).macs == sum(row.macs for row in layered.rows)


@pytest.mark.parametrize("name", names())
def test_random_points_of_every_space_agree_three_ways(name: str) -> None:
    space, rng = default(name), random.Random(7)
    for _ in range(6):
        spec = space.decode(space.sample(rng))
        module = build(spec, device="meta")
        layered = trace(spec, memo=Memo())
        assert layered.rows == trace(module).rows
        assert layered.params == sum(parameter.numel() for parameter in module.parameters())
        shape = (1, 3, spec.resolution, spec.resolution)
        assert count(layered).macs == sum(torch_macs(module, shape).values())


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("edgenext_x_small", 224),
        ("convnext_pico", 192),
        ("efficientvit_m1", 257),
        ("efficientvit_b1", 239),
        ("deit_tiny_patch16_224", 160),
    ],
)
def test_other_sides_and_batches(name: str, side: int) -> None:
    """After the same network at its own side, by one memo: a map of tokens does not tell their number by its side."""
    spec = published(name).spec
    memo = Memo()
    trace(spec, batch=3, memo=memo)
    layered = trace(spec, resolution=side, batch=3, memo=memo)
    whole = trace(build(spec.replace(resolution=side), device="meta"), batch=3)
    assert layered.rows == whole.rows
    assert (layered.resolution, layered.batch) == (side, 3)
    assert layered.digest == spec.replace(resolution=side).digest
    once = trace(spec, resolution=side)
    fixed = 28 * 28 * 64 * 64 if name == "edgenext_x_small" else 0  # the encoding of positions, whatever the batch
    assert sum(row.macs for row in once.rows if row.is_constant) == fixed
    assert count(layered).macs == 3 * (count(once).macs - fixed) + fixed
    assert layered.params == once.params


def test_a_backbone_has_no_head_rows() -> None:
    spec = published("edgenext_xx_small").spec
    for bare in (spec.replace(head=None), spec.replace(classes=0)):
        assert trace(bare).rows == trace(build(bare, device="meta")).rows
        assert {row.stage for row in trace(bare).rows} == {f"stages.{i}" for i in range(4)}


def test_equal_layers_are_walked_once() -> None:
    spec = published("convnext_small").spec
    memo = Memo()
    first = trace(spec, memo=memo)
    assert len(memo) == len({*[(b, i) for i, s in enumerate(spec.stages) for b in (s.entry, *s.blocks)]}) + 1 == 9
    assert trace(spec, memo=memo).rows == first.rows
    assert len(memo) == 9
    trace(spec, memo=memo, batch=2)
    assert len(memo) == 18


def test_a_full_memo_forgets_the_oldest_and_stays_right() -> None:
    spec = published("edgenext_xx_small").spec
    memo = Memo(max_layers=2)
    assert trace(spec, memo=memo).rows == trace(spec, memo=Memo()).rows
    assert len(memo) == 2


def test_the_traced_rows_name_stage_and_module() -> None:
    rows = trace(published("edgenext_xx_small").spec).rows
    stages = list(dict.fromkeys(row.stage for row in rows))
    assert stages == ["stages.0", "stages.1", "stages.2", "stages.3", "head"]
    modules = {name for name, _ in build(published("edgenext_xx_small").spec, device="meta").named_modules()}
    assert {row.module for row in rows} <= modules


def test_folding_for_deployment_removes_norms_and_keeps_macs() -> None:
    module = build(published("efficientvit_m0").spec)
    before, after = trace(module), trace(deploy(module))
    assert sum(row.macs for row in before.rows) == sum(row.macs for row in after.rows)
    norms = [[row for row in t.rows if row.kind == "norm"] for t in (before, after)]
    assert len(norms[1]) < len(norms[0]) / 4


def test_a_module_without_a_spec_needs_a_resolution() -> None:
    with pytest.raises(SpecError) as caught:
        trace(nn.Conv2d(3, 4, 3))
    text = str(caught.value)
    assert "no input size to trace at; given: a Conv2d without a spec; allowed: any side in pixels" in text
    assert "give resolution=224" in text
    assert trace(nn.Conv2d(3, 4, 3), resolution=10, batch=2).rows[0].outputs == ((2, 4, 8, 8),)


def test_an_impossible_spec_is_refused_before_anything_is_walked() -> None:
    entry = BlockSpec(kind="patchify", width=30, stride=4, kernels=(4,), norm="ln")
    block = BlockSpec(kind="mhsa", width=30, heads=4, norm="ln")
    memo = Memo()
    with pytest.raises(SpecError):
        trace(ArchSpec(resolution=32, stages=(StageSpec(entry=entry, blocks=(block,)),)), memo=memo)
    assert len(memo) == 0


@pytest.mark.parametrize("name", NAMES)
def test_shortcuts_change_nothing(name: str) -> None:
    spec = published(name).spec
    module = build(spec, device="meta").eval()
    images = [torch.empty(2, 3, spec.resolution, spec.resolution, device="meta")]
    assert walk(module, images) == walk(module, images, is_quick=False)


def other_network(name: str) -> tuple[nn.Module, int]:
    with warnings.catch_warnings(), torch.device("cpu" if name in NEEDS_DATA_TO_BUILD else "meta"):
        warnings.simplefilter("ignore")
        module = timm_gate.create(name)
    return module, module.default_cfg["input_size"][-1]


def check_other_network(name: str) -> None:
    module, side = other_network(name)
    shape = (1, 3, side, side)
    seen = trace_module(module, shape)
    assert sum(row.macs for row in seen.rows) == sum(torch_macs(module, shape).values()) > 0
    params = sum(parameter.numel() for parameter in module.parameters())
    assert seen.params == params
    assert sum(row.params for row in seen.rows) + sum(elems for _, elems in seen.unread) == params


@pytest.mark.parametrize("name", QUICK_MODELS)
def test_networks_of_others_count_as_torch_counts_them(name: str) -> None:
    check_other_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW_MODELS)
def test_many_networks_of_others_count_as_torch_counts_them(name: str) -> None:
    check_other_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK_MODELS)
def test_shortcuts_change_nothing_in_networks_of_others(name: str) -> None:
    module, side = other_network(name)
    images = [torch.empty(2, 3, side, side, device="meta")]
    assert walk(on_meta(module), images) == walk(on_meta(module), images, is_quick=False)
