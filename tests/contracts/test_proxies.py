"""Every row of PROXIES keeps the contract: finite, repeatable, on all families and on hybrids, nothing touched."""

import dataclasses
import functools
import math
import random

import pytest
import torch

from archlab import space
from archlab.errors import ProxyError, UnknownNameError
from archlab.families import published
from archlab.proxy import DEFAULT, PROXIES, Proxy, ProxyScore, Subject, score, score_side, scores
from archlab.proxy.passes import READS
from archlab.proxy.row import NEEDS
from archlab.spec import ArchSpec

FREE = [name for name, row in PROXIES.items() if not row.trains]
"""Training-free scores."""

SMALLEST = ["convnext_atto", "edgenext_xx_small", "edgenext_xx_small_bn_hs", "efficientvit_b0", "efficientvit_m0"]
OTHERS = ["deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"]

COUNTING = ["naswot_params", "naswot", "synflow", "tf_tas", "zen", "zico", "az_expressivity", "az_complexity", "params",
            "macs", "activations"]  # fmt: skip
"""Scores that grow with width and depth by what they are; the others may prefer a smaller network."""


def shallow(spec: ArchSpec) -> ArchSpec:
    """At most two blocks of every stage: each kind is there, at a fraction of the work."""
    stages = tuple(dataclasses.replace(stage, blocks=stage.blocks[:2]) for stage in spec.stages)
    return spec.replace(stages=stages)


@functools.cache
def all_scores(spec: ArchSpec, batch_size: int = 4) -> dict[str, ProxyScore]:
    found = scores(FREE, spec, resolution=None, batch_size=batch_size)
    return {row.proxy: row for row in found}


@functools.cache
def hybrids() -> tuple[ArchSpec, ...]:
    hybrid, rng = space.load("hybrid"), random.Random(4)
    return tuple(shallow(hybrid.decode(hybrid.sample(rng))) for _ in range(4))


@pytest.mark.parametrize("name", PROXIES)
def test_a_row_says_what_it_is(name: str) -> None:
    row = PROXIES[name]
    assert isinstance(row, Proxy)
    assert row.name == name
    assert row.needs in NEEDS
    assert row.reads <= READS.keys()
    assert row.title
    assert row.source
    assert row.note


def test_enough_scores_apply_to_every_family() -> None:
    """At least 14, params, MACs and activations among them."""
    for model in [*SMALLEST, *OTHERS]:
        assert len(all_scores(shallow(published(model).spec))) == len(FREE) >= 14


@pytest.mark.parametrize("model", [*SMALLEST, *OTHERS])
@pytest.mark.parametrize("name", FREE)
def test_finite_on_every_family(name: str, model: str) -> None:
    found = all_scores(shallow(published(model).spec))[name]
    assert math.isfinite(found.score)
    assert found.seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("model", [*SMALLEST, *OTHERS])
def test_finite_on_whole_networks(model: str) -> None:
    found = all_scores(published(model).spec)
    assert found.keys() == set(FREE)
    assert all(math.isfinite(row.score) for row in found.values())


@pytest.mark.parametrize("name", FREE)
def test_repeatable_alone_and_among_others(name: str) -> None:
    """The global random state and threads are left alone; a shared pass gives what an own one gives."""
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    spec = shallow(published("edgenext_xx_small").spec)
    alone = score(name, spec, batch_size=4)
    assert (alone.proxy, alone.score) == (name, pytest.approx(all_scores(spec)[name].score, rel=1e-4))
    assert score(name, spec, batch_size=4).score == alone.score
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", FREE)
def test_hybrids_have_a_score(name: str) -> None:
    # four images draw no more than 16 patterns, which every network reaches
    one_by_one = name == "swap"
    found = {(score(name, spec) if one_by_one else all_scores(spec)[name]).score for spec in hybrids()}
    assert len(found) == len(hybrids())
    assert all(math.isfinite(value) for value in found)


def test_a_backbone_without_a_classifier_has_scores() -> None:
    """All but the one that was learnt from classifiers, which says so."""
    spec = shallow(published("edgenext_xx_small").spec.replace(head=None, classes=0))
    skipped: list[str] = []
    found = scores(FREE, spec, batch_size=4, on_skip=lambda name, error: skipped.append(name))
    assert all(math.isfinite(row.score) for row in found)
    assert skipped == ["published"]


@pytest.mark.parametrize("name", COUNTING)
def test_more_of_the_same_is_better(name: str) -> None:
    """B2 is B1 with wider and deeper stages."""
    small, large = (published(f"efficientvit_b{i}").spec for i in (1, 2))
    assert score(name, large, batch_size=4).score > score(name, small, batch_size=4).score


def test_the_default_is_a_row() -> None:
    assert DEFAULT in PROXIES


def test_a_larger_input_is_scored_on_larger_images() -> None:
    """Scores that depend on the images grow with a network's own resolution, though all are shown 64 pixels."""
    spec = published("edgenext_xx_small").spec
    for name in ("naswot", "naswot_params", "macs", "activations"):
        values = [score(name, spec.replace(resolution=side), batch_size=4).score for side in (192, 224, 256)]
        assert values == sorted(set(values)), name
    assert score_side(spec) == 64
    assert score_side(spec.replace(resolution=32)) == 32


@pytest.mark.parametrize("name", ["naswot", "naswot_params"])
def test_the_small_side_stands_for_the_own_one(name: str) -> None:
    """What is added for the area is what the score really grows by, to a tenth of a unit per image."""
    spec = published("edgenext_xx_small_bn_hs").spec.replace(resolution=128)
    images = 4 if name == "naswot" else 1
    small = score(name, spec, resolution=64, batch_size=4).score
    own = score(name, spec, resolution=128, batch_size=4).score
    assert small == pytest.approx(own, abs=0.15 * images)


def test_a_network_that_cannot_shrink_is_scored_at_its_own_side() -> None:
    """Patches of 3 divide 96 pixels, not 64."""
    spec = published("convnext_atto").spec
    first = spec.stages[0]
    odd = spec.replace(
        resolution=96,
        stages=(
            dataclasses.replace(first, entry=dataclasses.replace(first.entry, stride=3, kernels=(3,))),
            *spec.stages[1:],
        ),
    )
    assert score_side(odd) == 96
    assert math.isfinite(score("naswot", odd, batch_size=4).score)


def test_an_unknown_proxy() -> None:
    with pytest.raises(UnknownNameError, match=r"no proxy 'synflw'.*did you mean 'synflow'"):
        scores(["params", "synflw"], published("edgenext_xx_small").spec)


@pytest.mark.parametrize(
    ("word", "error"),
    [("not enough memory", RuntimeError("not enough\nmemory")), ("one value", ValueError("one value"))],
)
def test_a_network_that_cannot_be_scored_says_so(monkeypatch: pytest.MonkeyPatch, word: str, error: Exception) -> None:
    def fail(subject: Subject) -> float:
        raise error

    monkeypatch.setitem(PROXIES, "broken", dataclasses.replace(PROXIES["naswot"], name="broken", score=fail))
    wanted = rf"broken cannot score the network \w+; given: {word}; allowed: .*; choose another"
    with pytest.raises(ProxyError, match=wanted):
        score("broken", published("efficientvit_m0").spec, batch_size=4)
    assert torch.get_num_threads() >= 1


def test_one_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = dataclasses.replace(PROXIES["params"], name="endless", score=lambda subject: math.inf)
    monkeypatch.setitem(PROXIES, "endless", endless)
    reasons: list[tuple[str, str]] = []
    found = scores(
        ["endless", "params"],
        published("efficientvit_m0").spec,
        on_skip=lambda name, error: reasons.append((name, str(error))),
    )
    assert [row.proxy for row in found] == ["params"]
    (reason,) = reasons
    assert reason[0] == "endless"
    assert "given: inf; allowed: a finite score" in reason[1]
