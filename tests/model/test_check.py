import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archlab.errors import SpecError, UnknownNameError
from archlab.families import all_published, published
from archlab.families.roadmap import step
from archlab.model.blocks import BLOCKS
from archlab.model.build import build
from archlab.model.check import check
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

STEM = BlockSpec(kind="patchify", width=24, stride=4, kernels=(4,), norm="ln")
DOWN = BlockSpec(kind="norm_patch", width=48, stride=2, kernels=(2,), norm="ln")
CONV = BlockSpec(kind="convnext", width=24, hidden=96, kernels=(7,), norm="ln", act="gelu")
SDTA = BlockSpec(kind="sdta", width=48, hidden=192, kernels=(3,), splits=2, heads=4, norm="ln", act="gelu")
CGA = BlockSpec(kind="cga", width=48, heads=4, key_dim=16, kernels=(5, 5, 5, 5), window=7, norm="bn", act="relu")
MHSA = BlockSpec(kind="mhsa", width=48, heads=4, norm="ln")
POOL = HeadSpec(kind="pool", norm="ln")


TOKENS = BlockSpec(kind="patch_tokens", width=48, stride=8, kernels=(8,), position="learned")
TOKEN = HeadSpec(kind="token", norm="ln")
WMSA = BlockSpec(kind="wmsa", width=48, heads=4, window=4, norm="ln")
MERGE = BlockSpec(kind="swin_merge", width=48, stride=2, norm="ln")


def sequence(*blocks: BlockSpec, head: HeadSpec | None = TOKEN) -> ArchSpec:
    """A network of patches with a class token."""
    return ArchSpec(resolution=64, stages=(StageSpec(entry=TOKENS, blocks=blocks),), head=head, classes=10)


def net(*blocks: BlockSpec, entry: BlockSpec = DOWN, head: HeadSpec | None = POOL, resolution: int = 64) -> ArchSpec:
    """A network whose second stage, on 8 rows, holds the blocks in question."""
    stages = (StageSpec(entry=STEM, blocks=(CONV,)), StageSpec(entry=entry, blocks=blocks))
    return ArchSpec(resolution=resolution, stages=stages, head=head, classes=10)


def but(spec: BlockSpec, **changes: Any) -> BlockSpec:
    return dataclasses.replace(spec, **changes)


IMPOSSIBLE: list[tuple[ArchSpec, str]] = [
    (
        net(but(SDTA, heads=5)),
        r"blocks\.0: 48 channels do not divide into 5 heads; given: heads 5, width 48; allowed: heads that divide 48",
    ),
    (
        net(but(SDTA, splits=1)),
        r"stages\.1\.blocks\.0: 48 channels do not cut into 1 splits; given: splits 1.*here 2, 3, 4, 5, 6, 7, 8",
    ),
    (
        net(but(SDTA, width=9, splits=7, heads=3), entry=but(DOWN, width=9)),  # groups of 2: five are enough
        r"9 channels do not cut into 7 splits.*here 2, 3, 5; choose",
    ),
    (
        net(but(CGA, heads=5, kernels=(3,) * 5)),
        r"48 channels do not divide into 5 heads.*allowed: heads that divide 48",
    ),
    (
        net(but(CGA, kernels=(3, 3))),
        r"kernels is not given for every head; given: 2 values for 4 heads; allowed: 4 val",
    ),
    (net(but(CGA, key_dim=(8, 8))), r"key_dim is not given for every head"),
    (net(but(MHSA, heads=5)), r"48 channels do not divide into 5 heads.*or give key_dim and value_dim"),
    (net(but(MHSA, heads=5, key_dim=8)), r"48 channels do not divide into 5 heads"),
    (net(but(MHSA, key_dim=(8, 8, 8, 8))), r"heads of kind 'mhsa' have one key_dim"),
    (net(but(MHSA, position="bias"), resolution=1024), r"attention over too many positions; given: 128×128"),
    (net(but(CONV, width=48, kernels=(6,))), r"a kernel of side 6 has no middle; given: kernels \[6\]; allowed: odd"),
    (net(but(CONV, width=48, kernels=(3, 5))), r"kind 'convnext' has one kernel; given: kernels \[3, 5\]"),
    (net(but(CONV, width=48, kernels=())), r"kernels has no or too many values; given: 0 values"),
    (net(but(CONV, width=48, kernels=(-3,))), r"kernels is out of range; given: -3; allowed: 1 to 127"),
    (net(but(CONV, width=48, hidden=0)), r"hidden is out of range; given: 0"),
    (net(but(CONV, width=48, hidden=10**30)), r"hidden is out of range; given: 1000000"),
    (net(but(CONV, width=48, eps=0.0)), r"eps is out of range; given: 0\.0; allowed: more than 0"),
    (net(but(CONV, width=48, eps=float("nan"))), r"eps is out of range; given: nan"),
    (
        net(CONV),
        r"stages\.1\.blocks\.0: a block keeps the width of its stage; given: width 24 after 48; allowed: width 48",
    ),
    (net(but(CONV, width=48, stride=2)), r"a block keeps the side; given: stride 2"),
    (
        net(DOWN),
        r"kind 'norm_patch' cannot be a block after the entry; given: norm_patch; allowed: bottleneck, cga, conv",
    ),
    (
        net(entry=CONV),
        r"stages\.1\.entry: kind 'convnext' cannot be the entry of a stage; .*allowed: bottleneck, conv, ",
    ),
    (
        net(entry=BlockSpec(kind="mbconv", width=48, hidden=96, kernels=(3,), norm="bn", act="relu")),
        r"'mbconv' as an entry has no skip and must reduce the side; given: stride 1; allowed: stride 2 or more",
    ),
    (
        net(entry=BlockSpec(kind="conv_pool", width=48, stride=3, kernels=(3,), norm="bn", act="relu")),
        r"the pooling of the stem has stride 2; given: stride 3; allowed: even strides",
    ),
    (net(entry=but(DOWN, kernels=(3,))), r"patches overlap or leave gaps; given: kernels \(3,\) at stride 2"),
    (
        net(entry=but(DOWN, stride=3, kernels=(3,))),
        r"a map of side 16 does not divide into patches; given: patches of 3",
    ),
    (net(entry=but(DOWN, stride=32, kernels=(32,))), r"the map is smaller than the stride; given: side 16, stride 32"),
    (net(resolution=66), r"stages\.0\.entry: a map of side 66 does not divide into patches"),
    (
        net(entry=BlockSpec(kind="overlap_stem", width=48, stride=8, kernels=(3, 3), norm="bn", act="relu")),
        r"stride and number of stem convolutions disagree; given: stride 8 with 2 kernels",
    ),
    (
        net(entry=BlockSpec(kind="overlap_stem", width=50, stride=8, kernels=(3, 3, 3), norm="bn", act="relu")),
        r"the stem's width cannot be halved that often; given: width 50 with 3 convolutions; allowed: multiples of 4",
    ),
    (net(but(CONV, width=48, window=7)), r"kind 'convnext' does not use window; given: window 7"),
    (net(but(CGA, position="fourier")), r"kind 'cga' has no position 'fourier'; given: fourier; allowed: bias"),
    (net(but(SDTA, position="bias")), r"kind 'sdta' has no position 'bias'"),
    (net(head=HeadSpec(kind="pool", norm="ln", widths=(8,))), r"head: head kind 'pool' takes 0 hidden widths"),
    (net(head=HeadSpec(kind="conv", norm="bn", widths=(8,), act="relu")), r"head kind 'conv' takes 2 hidden widths"),
    (net(head=HeadSpec(kind="conv", norm="bn", widths=(8, 8))), r"head kind 'conv' needs an activation"),
    (net(head=HeadSpec(kind="pool", norm="ln", act="relu")), r"head kind 'pool' has no activation"),
    (net(head=HeadSpec(kind="conv", norm="ln", widths=(8, 8), act="relu")), r"head kind 'conv' has no norm 'ln'"),
    (net(head=HeadSpec(kind="pool", norm="ln", eps=2.0)), r"head: eps is out of range"),
    (net(but(WMSA, heads=5)), r"48 channels do not divide into 5 heads.*or give key_dim and value_dim"),
    (net(but(WMSA, window=None)), r"kind 'wmsa' needs window"),
    (net(entry=but(TOKENS, norm="ln")), r"kind 'patch_tokens' has no norm 'ln'; given: ln; allowed: no norm"),
    (
        sequence(but(CONV, width=48)),
        r"stages\.0\.blocks\.0: kind 'convnext' needs a map, but a sequence with a class token .*allowed: mhsa without",
    ),
    (sequence(but(MHSA, window=4)), r"kind 'mhsa' needs a map.*given: kind 'mhsa', window 4"),
    (sequence(but(MHSA, position="bias")), r"kind 'mhsa' needs a map.*position 'bias'"),
    (
        sequence(MHSA, head=POOL),
        r"head: head kind 'pool' cannot read a sequence with a class token; .*allowed: token; choose a head that reads",
    ),
    (net(head=TOKEN), r"head kind 'token' cannot read a map; given: a map; allowed: conv, linear, norm_pool, pool"),
]


@pytest.mark.parametrize(("spec", "message"), IMPOSSIBLE)
def test_the_impossible_is_said_in_four_parts(spec: ArchSpec, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        check(spec)
    assert str(caught.value).count("; ") >= 3
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError):
        build(spec, device="meta")


UNKNOWN: list[tuple[ArchSpec, str]] = [
    (net(but(CONV, kind="convnex")), r"stages\.1\.blocks\.0: no block kind 'convnex'.*did you mean 'convnext'"),
    (net(but(CONV, width=48, act="gellu")), r"no act 'gellu'.*did you mean 'gelu'"),
    (net(but(CONV, width=48, norm="lnn")), r"no norm 'lnn'.*did you mean 'ln'"),
    (net(but(SDTA, position="furier")), r"no position 'furier'.*did you mean 'fourier'"),
    (net(head=HeadSpec(kind="pol", norm="ln")), r"head: no head kind 'pol'.*did you mean 'pool'"),
    (net(head=HeadSpec(kind="pool", norm="lm")), r"head: no norm 'lm'.*did you mean 'ln'"),
    (net(head=HeadSpec(kind="conv", norm="bn", widths=(8, 8), act="rellu")), r"head: no act 'rellu'.*'relu'"),
]


@pytest.mark.parametrize(("spec", "message"), UNKNOWN)
def test_unknown_words_are_named_with_the_nearest(spec: ArchSpec, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        check(spec)


@pytest.mark.parametrize("block", [but(CONV, width=48), SDTA, CGA, MHSA, but(MHSA, heads=5, key_dim=8, value_dim=3)])
def test_the_possible_passes(block: BlockSpec) -> None:
    check(net(block))
    assert build(net(block), device="meta")(torch.empty(1, 3, 64, 64, device="meta")).shape == (1, 10)


def test_every_published_network_passes() -> None:
    for row in all_published():
        check(row.spec)


def test_too_large_for_any_device_is_said_before_memory_is_taken() -> None:
    giant = net(but(CONV, width=65_536, hidden=262_144), entry=but(DOWN, width=65_536))
    with pytest.raises(SpecError, match=r"the network is too large to build; given: 3\d{10} parameters; allowed"):
        build(giant)


NUMBERS = st.one_of(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 16, 24, 48, 96]), st.integers(-5, 70_000), st.just(10**25))
WORDS = st.sampled_from(
    ["bn", "ln", "bn_last", "relu", "gelu", "hardswish", "bias", "fourier", "pool", "conv", "zz", ""]
)
TUPLES = st.lists(NUMBERS, max_size=5).map(tuple)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from([*BLOCKS, "convnxt"]),
    "width": st.one_of(st.sampled_from([8, 24, 48, 96]), st.integers(1, 65_536)),
    "stride": st.one_of(st.sampled_from([1, 2, 4, 16]), st.integers(-3, 70)),
    "hidden": st.none() | NUMBERS,
    "kernels": st.none() | st.sampled_from([(3,), (2,), (7,), (3, 3), (3, 3, 3, 3)]) | TUPLES,
    "splits": st.none() | NUMBERS,
    "heads": st.none() | NUMBERS,
    "key_dim": st.none() | NUMBERS | TUPLES,
    "value_dim": st.none() | NUMBERS | TUPLES,
    "window": st.none() | NUMBERS,
    "position": st.none() | WORDS,
    "norm": st.none() | WORDS,
    "act": st.none() | WORDS,
    "eps": st.none() | st.floats(),
}
SMALL = ("convnext_atto", "edgenext_xx_small", "edgenext_x_small_bn_hs", "efficientvit_m0", "efficientvit_b0")
BASES = [published(name).spec for name in SMALL]
BASES += [net(but(MHSA, position="bias", window=4), CGA), net(SDTA, but(MHSA, position="fourier"))]
BASES += [
    net(WMSA, but(WMSA, kind="swmsa", position="bias"), but(CGA, kind="split"), entry=MERGE),
    step("t", 5, width=8, depths="1-2-1-2", resolution=64),
    *(step("t", order, width=16, depths="1-1-2-1", resolution=64) for order in (1, 7, 14)),
    sequence(MHSA, BlockSpec(kind="ffn", width=48, hidden=96, norm="ln", act="gelu")),
]


def _mutated(block: BlockSpec, draw: Any) -> BlockSpec:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True))
    return dataclasses.replace(block, **{name: draw(VALUES[name]) for name in names})


@st.composite
def malformed(draw: Any) -> ArchSpec:
    """A working network with a few fields of a few layers overwritten by anything."""
    base = draw(st.sampled_from(BASES))
    stages = list(base.stages)
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, len(stages) - 1))
        blocks = list(stages[i].blocks)
        j = draw(st.integers(-1, len(blocks) - 1))
        if j < 0:
            stages[i] = dataclasses.replace(stages[i], entry=_mutated(stages[i].entry, draw))
            continue
        blocks[j] = _mutated(blocks[j], draw)
        stages[i] = dataclasses.replace(stages[i], blocks=tuple(blocks))
    head = draw(st.sampled_from([base.head, None, HeadSpec(kind="pool", norm="zz"), HeadSpec(kind="conv", norm="bn")]))
    resolution = draw(st.one_of(st.just(base.resolution), st.integers(8, 4096)))
    classes = draw(st.sampled_from([0, 1, 1000, 1_000_000]))
    return ArchSpec(resolution=resolution, stages=tuple(stages), head=head, classes=classes)


@settings(max_examples=1000, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(spec=malformed())
def test_malformed_specs_end_in_a_message_or_run(spec: ArchSpec) -> None:
    try:
        check(spec)
    except (SpecError, UnknownNameError) as error:
        assert "given: " in str(error)
        assert "\n" not in str(error)
        return
    side = spec.resolution
    output = build(spec, device="meta").eval()(torch.empty(1, 3, side, side, device="meta"))
    if spec.head is not None and spec.classes:
        assert output.shape == (1, spec.classes)
    else:
        assert output.shape[:2] == (1, spec.widths[-1])


def test_the_bases_of_the_mutations_are_possible() -> None:
    assert {layer.kind for spec in BASES for _, layer in spec.layers()} >= set(BLOCKS) - {"fused_mbconv", "resconv"}
    for spec in BASES:
        check(spec)
