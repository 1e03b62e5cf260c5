"""Every row of PROXIES keeps the contract: finite, repeatable, on all families and on hybrids, nothing touched."""

import dataclasses
import math
import random

import pytest
import torch

from archlab import space
from archlab.errors import ProxyError, UnknownNameError
from archlab.families import published
from archlab.proxy import DEFAULT, PROXIES, Proxy, Subject, score, score_side
from archlab.proxy.passes import READS
from archlab.proxy.row import NEEDS

FREE = [name for name, row in PROXIES.items() if row.needs != "data"]
"""Scores that train have their own suite, `test_short_train`: they take minutes."""
SMALLEST = ["convnext_atto", "edgenext_xx_small", "edgenext_xx_small_bn_hs", "efficientvit_b0", "efficientvit_m0"]


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


@pytest.mark.parametrize("model", SMALLEST)
@pytest.mark.parametrize("name", FREE)
def test_finite_and_repeatable_on_every_family(name: str, model: str) -> None:
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = score(name, published(model).spec, resolution=64, batch_size=4)
    again = score(name, published(model).spec, resolution=64, batch_size=4)
    assert math.isfinite(first.score)
    assert (first.proxy, first.score) == (name, again.score)
    assert first.seconds > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", FREE)
def test_hybrids_have_a_score(name: str) -> None:
    hybrid = space.load("hybrid")
    rng = random.Random(4)
    found = {score(name, hybrid.decode(hybrid.sample(rng)), resolution=64, batch_size=4).score for _ in range(4)}
    assert len(found) == 4
    assert all(math.isfinite(value) for value in found)


@pytest.mark.parametrize("name", FREE)
def test_a_backbone_without_a_classifier_has_a_score(name: str) -> None:
    spec = published("edgenext_xx_small").spec.replace(head=None, classes=0)
    assert math.isfinite(score(name, spec, resolution=64, batch_size=4).score)


@pytest.mark.parametrize("name", FREE)
def test_more_of_the_same_is_better(name: str) -> None:
    """B2 is B1 with wider and deeper stages: no proxy worth its name prefers B1."""
    small, large = (published(f"efficientvit_b{i}").spec for i in (1, 2))
    assert score(name, large, resolution=64, batch_size=4).score > score(name, small, resolution=64, batch_size=4).score


def test_the_default_is_a_row() -> None:
    assert DEFAULT in FREE


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
        score("synflw", published("edgenext_xx_small").spec)


def test_a_network_that_cannot_be_scored_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(subject: Subject) -> float:
        raise RuntimeError("not enough\nmemory")

    monkeypatch.setitem(PROXIES, "broken", dataclasses.replace(PROXIES["naswot"], name="broken", score=fail))
    with pytest.raises(
        ProxyError, match=r"broken cannot score the network \w+; given: not enough memory; allowed: .*; choose another"
    ):
        score("broken", published("efficientvit_m0").spec, resolution=64, batch_size=4)
    assert torch.get_num_threads() >= 1
