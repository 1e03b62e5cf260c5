"""timm is the oracle: same parameter count, its own files load, and the logits agree to 1e-4."""

import gc
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from archlab.families import Published, all_published, published
from archlab.model import weights
from archlab.model.build import build
from archlab.model.timm_gate import create

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm, the oracle, is not installed", allow_module_level=True)

NOT_IN_TIMM = {"edgenext_xx_small_bn_hs", "edgenext_x_small_bn_hs", "edgenext_small_bn_hs", "efficientvit_l0"}
MAX_FAST_PARAMS = 13_000_000
TOLERANCE = 1e-4

ROWS = [row for row in all_published() if row.name not in NOT_IN_TIMM]
COUNTS = {  # of all published networks, as the papers' code and timm have them
    "convnext_atto": 3_695_520,
    "convnext_femto": 5_217_784,
    "convnext_pico": 9_045_672,
    "convnext_nano": 15_593_560,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
    "convnext_large": 197_767_336,
    "convnext_xlarge": 350_196_968,
    "edgenext_xx_small": 1_327_216,
    "edgenext_x_small": 2_336_804,
    "edgenext_small": 5_586_832,
    "edgenext_base": 18_511_292,
    "edgenext_xx_small_bn_hs": 1_326_184,
    "edgenext_x_small_bn_hs": 2_335_008,
    "edgenext_small_bn_hs": 5_584_000,
    "efficientvit_m0": 2_349_436,
    "efficientvit_m1": 2_980_560,
    "efficientvit_m2": 4_187_554,
    "efficientvit_m3": 6_900_722,
    "efficientvit_m4": 8_804_228,
    "efficientvit_m5": 12_473_772,
    "efficientvit_b0": 3_410_008,
    "efficientvit_b1": 9_102_024,
    "efficientvit_b2": 24_330_712,
    "efficientvit_b3": 48_646_056,
    "efficientvit_l0": 27_805_472,
    "efficientvit_l1": 52_654_088,
    "efficientvit_l2": 63_707_016,
    "efficientvit_l3": 246_037_288,
    "resnet50": 25_557_032,
    "resnet200": 64_673_832,
    "deit_tiny_patch16_224": 5_717_416,
    "deit_small_patch16_224": 22_050_664,
    "deit_base_patch16_224": 86_567_656,
    "swin_tiny_patch4_window7_224": 28_288_354,
    "swin_small_patch4_window7_224": 49_606_258,
    "swin_base_patch4_window7_224": 87_768_224,
}
FIXED = {"deit", "efficientvit_msra", "swin"}
"""Families whose networks take one side only."""


def num_params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def sides(row: Published) -> list[int]:
    return [row.resolution] if row.family in FIXED else [row.resolution, row.resolution - 64]


def parity_cases() -> list[object]:
    return [pytest.param(r, id=r.name, marks=[pytest.mark.slow] * (r.params > MAX_FAST_PARAMS)) for r in ROWS]


def test_every_published_network_is_counted() -> None:
    assert {row.name for row in all_published()} >= set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_count(name: str) -> None:
    assert num_params(build(published(name).spec, device="meta")) == COUNTS[name]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_timm_has_as_many_parameters(row: Published) -> None:
    with torch.device("meta"):
        assert num_params(create(row.name)) == COUNTS[row.name]


@pytest.mark.parametrize("row", parity_cases())
def test_logits_agree_with_timm(row: Published, tmp_path: Path, randomise: Callable[..., nn.Module]) -> None:
    oracle = randomise(create(row.name, num_classes=17), 224 if row.family in FIXED else 96)
    file = tmp_path / "timm.safetensors"
    safetensors.torch.save_file(oracle.state_dict(), file)
    images = [torch.randn(2, 3, s, s, generator=torch.Generator().manual_seed(s)) for s in sides(row)]
    with torch.no_grad():
        wanted = [oracle(x) for x in images]
    del oracle
    gc.collect()
    ours = build(row.spec.replace(classes=17)).eval()
    weights.load(ours, file, family=row.family)
    for x, logits in zip(images, wanted, strict=True):
        assert (logits[0] - logits[1]).abs().max() > 0.1, "the image must matter, or nothing is tested"
        with torch.no_grad():
            torch.testing.assert_close(ours(x), logits, rtol=0, atol=TOLERANCE)
    file.unlink()


@pytest.mark.parametrize("name", ["edgenext_x_small", "efficientvit_b0", "convnext_atto"])
def test_a_network_built_for_another_side_agrees_too(name: str, randomise: Callable[..., nn.Module]) -> None:
    oracle = randomise(create(name, num_classes=5), 96)
    spec = published(name).spec.replace(classes=5, resolution=160)
    ours = build(spec).eval()
    ours.load_state_dict(weights.convert(spec, oracle.state_dict()))
    x = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), oracle(x), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("efficientvit_m0", 320),
        ("swin_tiny_patch4_window7_224", 64),
        ("swin_tiny_patch4_window7_224", 128),
        ("deit_tiny_patch16_224", 64),
    ],
)
def test_other_sides_agree_with_timm(name: str, side: int, randomise: Callable[..., nn.Module]) -> None:
    """Maps of 20, 10, 5, or 16, 8, 4, or 32: windows of 7 need padding right and below, or one window is all."""
    oracle = randomise(create(name, num_classes=5, img_size=side), side)
    spec = published(name).spec.replace(classes=5, resolution=side)
    ours = build(spec).eval()
    ours.load_state_dict(weights.convert(spec, oracle.state_dict()))
    x = torch.randn(1, 3, side, side)
    with torch.no_grad():
        wanted = oracle(x)
        torch.testing.assert_close(ours(x), wanted, rtol=0, atol=TOLERANCE)
