"""One knob at a time: which networks come out, and that nothing else changes."""

import dataclasses

import numpy as np
import pytest

from archlab.analysis.intervals import bootstrap, of_repeats, share_text
from archlab.analysis.knobs import KNOBS, Change, changes
from archlab.analysis.shares import with_attention_share, with_ffns
from archlab.errors import UnknownNameError
from archlab.families import FAMILIES, published
from archlab.model.check import check
from archlab.spec import ArchSpec, BlockSpec, StageSpec

A = BlockSpec(kind="mhsa", width=8, heads=2, key_dim=4, norm="bn")
F = BlockSpec(kind="ffn", width=8, hidden=16, norm="bn", act="relu")
D = BlockSpec(kind="dw", width=8, kernels=(3,), norm="bn")
ENTRY = BlockSpec(kind="patchify", width=8, stride=4, kernels=(4,), norm="bn")


def stage(*blocks: BlockSpec) -> StageSpec:
    return StageSpec(entry=ENTRY, blocks=blocks)


def own(*blocks: BlockSpec) -> ArchSpec:
    """A network of no family."""
    return ArchSpec(resolution=32, stages=(stage(*blocks),), classes=0)


def told(found: list[Change]) -> list[tuple[str, str, str, str]]:
    return [(c.knob, c.place, c.before, c.after) for c in found]


def test_through_the_axes_of_a_family() -> None:
    spec = published("efficientvit_m4").spec
    found = changes(spec, "efficientvit_msra", ("key_dim",))
    wanted = [("key_dim", f"stage {i}", "16", str(v)) for i in range(3) for v in (4, 8, 32)]
    assert told(found) == wanted
    make, axes_of = FAMILIES["efficientvit_msra"].make, FAMILIES["efficientvit_msra"].axes_of
    assert found[0].spec == make(**{**axes_of(spec), "key_dim_0": 4})


def test_through_the_blocks_where_the_family_has_no_such_knob() -> None:
    spec = published("edgenext_small").spec
    found = changes(spec, "edgenext", ("key_dim",))
    assert told(found)[:2] == [("key_dim", "stage 1", "12", "4"), ("key_dim", "stage 1", "12", "8")]
    for change in found:
        for before, after in zip(spec.layers(), change.spec.layers(), strict=True):
            assert after[1] == before[1] or dataclasses.replace(after[1], key_dim=before[1].key_dim) == before[1]


def test_a_network_of_no_family() -> None:
    found = changes(own(D, F, A, D, F))
    by_knob = {knob: [(c.before, c.after) for c in found if c.knob == knob] for knob in KNOBS}
    assert by_knob["kernel"] == [("3", "5"), ("3", "7"), ("3", "9")]
    assert by_knob["expansion"] == [("2", "1"), ("2", "3"), ("2", "4")]
    assert by_knob["heads"] == [("2", "1"), ("2", "4"), ("2", "8")]
    assert by_knob["key_dim"] == [("4", "8"), ("4", "16"), ("4", "32")]
    assert by_knob["value_ratio"] == [("1", "0.5"), ("1", "0.75"), ("1", "1.25")]  # 2, 3 and 5 of 4 channels a head
    assert by_knob["mhsa_share"] == [("33 %", "0 %"), ("33 %", "67 %")]
    assert by_knob["ffns"] == [("2", "3"), ("2", "4")]
    assert by_knob["norm"] == [("bn", "ln")]
    assert by_knob["act"] == [("relu", a) for a in ("gelu", "gelu_tanh", "hardswish", "silu")]
    assert by_knob["position"] == [("none", "bias"), ("none", "fourier")]
    assert by_knob["splits"] == []


def test_no_network_comes_twice() -> None:
    digests = [change.spec.digest for change in changes(own(D, F, A, D, F))]
    assert len(digests) == len(set(digests))


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row.published])
def test_every_change_of_every_family_is_a_network(family: str) -> None:
    spec = FAMILIES[family].published[0].spec
    found = changes(spec, family)
    assert len(found) > 10
    for change in found:
        check(change.spec)
        assert change.before != change.after
        assert (change.spec.resolution, change.spec.classes) == (spec.resolution, spec.classes)


def test_an_unknown_knob() -> None:
    with pytest.raises(UnknownNameError, match=r"no knob 'kernal'.*did you mean 'kernel'"):
        changes(own(D), knobs=("kernal",))


@pytest.mark.parametrize(
    ("share", "wanted"),
    [
        (0.0, (D, F, F, F, F)),
        (0.25, (D, F, F, A, F)),
        (0.5, (D, A, F, A, F)),
        (0.75, (D, A, F, A, A)),
        (1.0, (D, A, A, A, A)),
    ],
)
def test_the_share_of_attention(share: float, wanted: tuple[BlockSpec, ...]) -> None:
    assert with_attention_share(stage(D, A, F, A, F), share).blocks == wanted


def test_a_stage_without_attention_stays() -> None:
    assert with_attention_share(stage(D, F), 0.6) == stage(D, F)


def test_attention_alone_gets_an_ffn_four_times_as_wide() -> None:
    (block,) = with_attention_share(stage(A), 0.0).blocks
    assert (block.kind, block.hidden, block.norm) == ("ffn", 32, "bn")


def test_ffns_after_each_attention() -> None:
    assert with_ffns(stage(A, F, A, F), 2).blocks == (A, F, F, A, F, F)
    assert with_ffns(stage(D, F, A, D, F, D, F), 1).blocks == (D, F, A, D, F)
    assert with_ffns(stage(A, A), 3).blocks == (A, A)
    assert with_ffns(stage(A, D), 3).blocks == (A, D)


def test_students_interval() -> None:
    mean, low, high = of_repeats(np.array([0.1, 0.2, 0.3]))
    assert mean == pytest.approx(0.2)
    assert high - mean == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert mean - low == pytest.approx(high - mean)
    assert share_text((0.163, 0.161, 0.165)) == "16.3 % (16.1 to 16.5)"
    assert share_text(of_repeats(np.array([0.5]))) == "50.0 %"


def test_the_bootstrap_of_many_values_is_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5, 2, 4000)
    mean, low, high = bootstrap(values)
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 4000**0.5, rel=0.1)
    assert bootstrap(values) == (mean, low, high)
