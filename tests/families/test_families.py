"""Every family: `axes_of` inverts `make`, published rows are complete, other networks are refused."""

import dataclasses

import pytest

from archlab.errors import SpecError, UnknownNameError
from archlab.families import FAMILIES, Published, all_published, published
from archlab.spec import ArchSpec, BlockSpec, StageSpec

ROWS = {row.name: row for row in all_published()}

SIZES = {
    "convnext": ("convnext", "atto femto pico nano tiny small base large xlarge"),
    "deit": ("deit", "tiny_patch16_224 small_patch16_224 base_patch16_224"),
    "edgenext": ("edgenext", "xx_small x_small small base xx_small_bn_hs x_small_bn_hs small_bn_hs"),
    "efficientvit_mit": ("efficientvit", "b0 b1 b2 b3 l0 l1 l2 l3"),
    "efficientvit_msra": ("efficientvit", "m0 m1 m2 m3 m4 m5"),
    "hybrid": ("hybrid", ""),
    "roadmap": ("", "resnet50 resnet200"),
    "swin": ("swin", "tiny_patch4_window7_224 small_patch4_window7_224 base_patch4_window7_224"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_publish_what_timm_and_the_authors_name(family: str) -> None:
    prefix, sizes = SIZES[family]
    assert [row.name for row in FAMILIES[family].published] == [
        f"{prefix}_{size}".lstrip("_") for size in sizes.split()
    ]
    assert FAMILIES[family].name == family
    assert all(row.family == family for row in FAMILIES[family].published)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_axes_of_inverts_make_on_published_networks(row: Published) -> None:
    family = FAMILIES[row.family]
    axes = family.axes_of(row.spec)
    assert family.make(**axes) == row.spec
    assert all(axes[name] == value for name, value in row.axes.items() if name in axes)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_accuracies_have_a_source(row: Published) -> None:
    assert row.source
    assert (row.top1 is None) == (row.name in {"convnext_xlarge", "efficientvit_l0"})
    assert row.top1 is None or 60 < row.top1 < 90


def test_known_accuracies() -> None:
    found = {
        name: ROWS[name].top1 for name in ("edgenext_small", "efficientvit_m5", "efficientvit_b1", "convnext_tiny")
    }
    assert found == {"edgenext_small": 79.41, "efficientvit_m5": 77.1, "efficientvit_b1": 79.39, "convnext_tiny": 82.1}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_knob_changes_a_network_or_is_refused(family: str) -> None:
    """No knob is a word without meaning: for each, some value on some start gives another network."""
    make, axes = FAMILIES[family].make, FAMILIES[family].axes
    starts: list[dict[str, object]] = [{}, *(dict(row.axes) for row in FAMILIES[family].published), *_STARTS[family]]
    for name, knob in axes.items():
        assert any(_moves(make, start, name, value) for start in starts for value in _others(knob)), name


_HYBRID_STAGES = ["s4", "s8", "s16", "s32", "s64"]
_STARTS: dict[str, list[dict[str, object]]] = {
    "convnext": [],
    "deit": [],
    "edgenext": [{f"sdta_{i}": 1 for i in range(4)}],
    "efficientvit_mit": [{f"mixer_{i}": "msla" for i in range(1, 5)}],
    "efficientvit_msra": [],
    "hybrid": [
        {f"{knob}_{stage}": value for stage in _HYBRID_STAGES for knob, value in base.items()} | {"stem": stem} | rest
        for base in (
            {"attention": "one", "mixer": "sdta"},
            {"attention": "one", "mixer": "cga", "width": 96, "local": "dw_ffn"},
            {"attention": "all", "mixer": "msla"},
            {"attention": "all", "mixer": "wmsa", "width": 96},
        )
        for stem in ("conv", "overlap16")
        for rest in ({}, {"head": "conv"})
    ],
    "roadmap": [{"block": "dw_lean", "ends": "narrow"}],
    "swin": [],
}


def _others(knob: object) -> list[object]:
    default, words = knob.default, knob.words  # type: ignore[attr-defined]
    if words:
        return [word for word in words if word != default]
    if isinstance(default, str):
        return ["1-1-1-1", "1-1-2-1-1", "3", "8-9"]
    return [default * 2, default + 1, default - 2, default / 2]


def _moves(make: object, start: dict[str, object], name: str, value: object) -> bool:
    try:
        return make(**start) != make(**{**start, name: value})  # type: ignore[operator]
    except SpecError:
        return False


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no published network 'edgenext_smal'.*did you mean 'edgenext_small'"):
        published("edgenext_smal")
    with pytest.raises(UnknownNameError, match="did you mean 'kernel_1'"):
        FAMILIES["edgenext"].make(kernl_1=5)


FOREIGN = ArchSpec(
    resolution=64,
    stages=(
        StageSpec(
            entry=BlockSpec(kind="patchify", width=16, stride=4, kernels=(4,), norm="ln"),
            blocks=(BlockSpec(kind="dw", width=16, kernels=(3,), norm="bn"),),
        ),
    ),
)


@pytest.mark.parametrize("family", FAMILIES)
def test_other_networks_are_refused(family: str) -> None:
    refusal = f"this network is no point of the family {family}; given: 1 stages of dw, patchify"
    with pytest.raises(SpecError, match=refusal):
        FAMILIES[family].axes_of(FOREIGN)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_reading_any_network_gives_it_back_or_refuses(family: str, row: Published) -> None:
    try:
        axes = FAMILIES[family].axes_of(row.spec)
    except SpecError:
        assert family != row.family
    else:
        assert FAMILIES[family].make(**axes) == row.spec


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_one_changed_block_is_seen(row: Published) -> None:
    """A network that differs in one inner width, in the middle of a stage, is not of the family."""
    i = max(range(len(row.spec.stages)), key=lambda i: row.spec.stages[i].depth)
    stage = row.spec.stages[i]
    blocks = list(stage.blocks)
    j = next(j for j in range(len(blocks) // 2, len(blocks)) if blocks[j].hidden)
    blocks[j] = dataclasses.replace(blocks[j], hidden=(blocks[j].hidden or 0) + 1)
    stages = list(row.spec.stages)
    stages[i] = StageSpec(entry=stage.entry, blocks=tuple(blocks))
    with pytest.raises(SpecError, match="is no point of the family"):
        FAMILIES[row.family].axes_of(row.spec.replace(stages=tuple(stages)))


@pytest.mark.parametrize(
    ("family", "axes", "message"),
    [
        ("edgenext", {"heads_1": 5}, "heads do not divide the width; given: 5 in 96 channels"),
        ("edgenext", {"width_1": 40, "splits_1": 12}, "12 splits leave an empty channel group"),
        ("edgenext", {"sdta_1": 4}, "stage 1 has more SDTA encoders than encoders; given: 4 of 3"),
        ("edgenext", {"kernel_0": 4}, "a kernel has no middle; given: 4; allowed: odd sides; use 5"),
        (
            "edgenext",
            {"resolution": 250},
            "does not divide into patches; given: 250; allowed: multiples of 32; use 256",
        ),
        ("convnext", {"growth": "2-4-8-16"}, "growth is not in lowest terms"),
        ("convnext", {"stem": "overlap", "width": 33, "growth": "1-2-4-8"}, "halvings of the stem do not divide"),
        ("efficientvit_msra", {"heads_0": 3}, "heads do not divide the width; given: 3 in 128 channels"),
        ("efficientvit_msra", {"value_ratio_0": 0.3}, "the value ratio is no whole number of channels"),
        ("efficientvit_mit", {"key_dim_3": 48}, "head widths do not divide the width; given: 48 in 128 channels"),
        ("hybrid", {"attention_s8": "one", "mixer_s8": "cga", "heads_s8": 5}, "heads do not divide the width"),
        ("hybrid", {"width_s4": 100_000}, "hybrid cannot take this width_s4"),
    ],
)
def test_impossible_networks_say_why(family: str, axes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        FAMILIES[family].make(**axes)
    assert str(caught.value).count("; ") >= 3
