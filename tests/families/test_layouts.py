"""What `make` builds, against layouts written down by hand from the papers."""

import itertools

import pytest

from archlab.errors import SpecError
from archlab.families import FAMILIES, published
from archlab.families.hybrid import axes_of, make
from archlab.spec import BlockSpec, HeadSpec


def kinds(name: str, stage: int) -> list[str]:
    return [block.kind for block in published(name).spec.stages[stage].blocks]


def test_edgenext_small() -> None:
    spec = published("edgenext_small").spec
    assert (spec.widths, spec.depths, spec.strides) == ((48, 96, 160, 304), (3, 3, 9, 3), (4, 8, 16, 32))
    assert [stage.entry.kind for stage in spec.stages] == ["patchify", "norm_patch", "norm_patch", "norm_patch"]
    assert kinds("edgenext_small", 0) == ["convnext"] * 3
    assert kinds("edgenext_small", 2) == ["convnext"] * 8 + ["sdta"]
    assert [stage.blocks[0].kernels for stage in spec.stages] == [(3,), (5,), (7,), (9,)]
    assert [(s.blocks[-1].splits, s.blocks[-1].heads, s.blocks[-1].position) for s in spec.stages[1:]] == [
        (2, 8, "fourier"),
        (3, 8, None),
        (4, 8, None),
    ]
    assert spec.stages[3].blocks[2] == BlockSpec(
        kind="sdta", width=304, hidden=1216, kernels=(3,), splits=4, heads=8, norm="ln", act="gelu"
    )
    assert spec.head == HeadSpec(kind="pool", norm="ln")


def test_edgenext_with_batch_norm_has_no_layer_norm_left() -> None:
    spec = published("edgenext_x_small_bn_hs").spec
    assert {layer.norm for _, layer in spec.layers()} == {"bn"}
    assert {layer.act for _, layer in spec.layers()} == {None, "hardswish"}
    assert spec.head == HeadSpec(kind="norm_pool", norm="bn")


def test_efficientvit_m1() -> None:
    spec = published("efficientvit_m1").spec
    cell, pair = ["dw", "ffn", "cga", "dw", "ffn"], ["dw", "ffn"]
    assert [kinds("efficientvit_m1", i) for i in range(3)] == [cell + pair, pair + cell * 2 + pair, pair + cell * 3]
    assert (spec.widths, spec.strides) == ((128, 144, 192), (16, 32, 64))
    mixers = [next(block for block in stage.blocks if block.kind == "cga") for stage in spec.stages]
    assert [(m.heads, m.kernels, m.key_dim, m.window, m.position) for m in mixers] == [
        (2, (7, 5), 16, 7, "bias"),
        (3, (7, 5, 3), 16, 7, "bias"),
        (3, (7, 5, 3), 16, 7, "bias"),
    ]
    assert [stage.entry.hidden for stage in spec.stages] == [None, 512, 576]
    assert {block.hidden for block in spec.stages[1].blocks if block.kind == "ffn"} == {288}


def test_efficientvit_m0_has_one_kernel_in_all_heads() -> None:
    mixer = published("efficientvit_m0").spec.stages[0].blocks[2]
    assert (mixer.kind, mixer.kernels) == ("cga", (5, 5, 5, 5))


def test_efficientvit_b1() -> None:
    spec = published("efficientvit_b1").spec
    assert (spec.widths, spec.strides) == ((16, 32, 64, 128, 256), (2, 4, 8, 16, 32))
    assert [kinds("efficientvit_b1", i) for i in range(3)] == [["dsconv"], ["mbconv"], ["mbconv"] * 2]
    assert kinds("efficientvit_b1", 4) == ["msla", "mbconv"] * 4
    assert [stage.entry.norm for stage in spec.stages] == ["bn", "bn", "bn", "bn_last", "bn_last"]
    assert [stage.entry.hidden for stage in spec.stages[1:]] == [64, 128, 256, 512]
    mixer = spec.stages[4].blocks[0]
    assert (mixer.heads, mixer.key_dim, mixer.kernels, mixer.eps) == (16, 16, (5,), None)
    assert spec.head == HeadSpec(kind="conv", norm="bn", widths=(1536, 1600), act="hardswish", eps=1e-5)


def test_efficientvit_l1() -> None:
    spec = published("efficientvit_l1").spec
    assert [kinds("efficientvit_l1", i) for i in range(4)] == [
        ["resconv"],
        ["fused_mbconv"],
        ["fused_mbconv"],
        ["mbconv"] * 6,
    ]
    assert kinds("efficientvit_l1", 4) == ["msla", "mbconv"] * 6
    assert [stage.entry.hidden for stage in spec.stages[1:]] == [512, 1024, 2048, 6144]
    assert {layer.eps for _, layer in spec.layers()} == {1e-7}
    assert spec.stages[4].blocks[1].hidden == 3072


def test_efficientvit_l0_is_a_backbone() -> None:
    spec = published("efficientvit_l0").spec
    assert (spec.head, spec.classes, spec.depths) == (None, 0, (1, 1, 1, 4, 8))


def test_convnext_nano() -> None:
    spec = published("convnext_nano").spec
    assert (spec.widths, spec.depths) == ((80, 160, 320, 640), (2, 2, 8, 2))
    assert spec.stages[2].blocks[7] == BlockSpec(
        kind="convnext", width=320, hidden=1280, kernels=(7,), norm="ln", act="gelu"
    )


def test_falling_head_kernels_stop_at_three() -> None:
    spec = FAMILIES["efficientvit_msra"].make(heads_0=8, kernel_0=9, kernel_step_0=2)
    assert spec.stages[0].blocks[2].kernels == (9, 7, 5, 3, 3, 3, 3, 3)


def test_value_ratio_changes_the_values_only() -> None:
    block = FAMILIES["efficientvit_msra"].make(value_ratio_0=0.5).stages[0].blocks[2]
    assert (block.width, block.heads, block.value_dim) == (128, 4, 16)


IN_HYBRID = (
    [f"convnext_{size}" for size in ["atto", "femto", "pico", "nano", "tiny", "small", "base", "large", "xlarge"]]
    + [row.name for row in FAMILIES["edgenext"].published]
    + [row.name for row in FAMILIES["efficientvit_msra"].published]
    + [f"efficientvit_b{i}" for i in range(4)]
)


@pytest.mark.parametrize("name", IN_HYBRID)
def test_published_networks_are_hybrids(name: str) -> None:
    assert make(**axes_of(published(name).spec)) == published(name).spec


@pytest.mark.parametrize("name", ["efficientvit_l0", "efficientvit_l1", "efficientvit_l2", "efficientvit_l3"])
def test_the_large_mit_networks_are_no_hybrids(name: str) -> None:
    with pytest.raises(SpecError, match="is no point of the family hybrid"):
        axes_of(published(name).spec)


@pytest.mark.parametrize("stem", ["patchify", "overlap", "overlap16", "conv"])
@pytest.mark.parametrize("downsample", ["norm_patch", "patch_merge", "mbconv"])
@pytest.mark.parametrize("mixer", ["sdta", "cga", "msla", "mhsa"])
@pytest.mark.parametrize("local", ["convnext", "dw_ffn", "mbconv", "fused_mbconv"])
def test_hybrid_stages_read_back(stem: str, downsample: str, mixer: str, local: str) -> None:
    """All arrangements of a stage at stride 32, under every neighbourhood."""
    for place, ffns, (depth, attention) in itertools.product(
        ("start", "end"),
        (1, 2),
        ((1, "all"), (2, "one"), (3, "one"), (4, "half"), (5, "half"), (3, "all"), (2, "none")),
    ):
        axes = {
            "stem": stem,
            "downsample": downsample,
            "width_s32": 192,
            "depth_s32": depth,
            "attention_s32": attention,
        }
        if attention != "none":
            axes |= {"mixer_s32": mixer} | ({"ffns_s32": ffns} if mixer in ("cga", "mhsa") else {})
        if attention != "all":
            axes["local_s32"] = local
        if attention in ("one", "half"):
            axes["place_s32"] = place
        assert axes.items() <= axes_of(make(**axes)).items()


def test_hybrid_half_stage_in_full() -> None:
    spec = make(
        stem="patchify", width_s16=64, depth_s16=5, attention_s16="half", mixer_s16="mhsa", local_s16="dw_ffn",
        kernel_s16=3, place_s16="start", ffns_s16=2, heads_s16=4, position_s16="every", value_ratio_s16=0.5,
    )  # fmt: skip
    mixed, plain = ["mhsa", "ffn", "ffn"], ["dw", "ffn"]
    assert [block.kind for block in spec.stages[2].blocks] == mixed * 2 + plain * 3
    assert spec.stages[2].blocks[0] == BlockSpec(
        kind="mhsa", width=64, heads=4, key_dim=16, value_dim=8, position="bias", norm="ln"
    )


def test_hybrid_windows_follow_the_resolution() -> None:
    spec = make(resolution=288, attention_s16="all", mixer_s16="cga", width_s16=128)
    assert spec.stages[2].blocks[2].window == 9
