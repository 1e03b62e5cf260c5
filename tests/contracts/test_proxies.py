"""Every row of PROXIES keeps the contract: finite, repeatable, on all families and on hybrids, nothing touched."""

import math
import random

import pytest
import torch

from archlab import space
from archlab.errors import ProxyError, UnknownNameError
from archlab.families import published
from archlab.proxy import DEFAULT, PROXIES, Proxy, score, score_side

SMALLEST = ["convnext_atto", "edgenext_xx_small", "edgenext_xx_small_bn_hs", "efficientvit_b0", "efficientvit_m0"]


@pytest.mark.parametrize("name", PROXIES)
def test_a_row_says_what_it_is(name: str) -> None:
    row = PROXIES[name]
    assert isinstance(row, Proxy)
    assert row.name == name
    assert row.needs in {"none", "images"}
    assert row.title
    assert row.source
    assert row.note


@pytest.mark.parametrize("model", SMALLEST)
@pytest.mark.parametrize("name", PROXIES)
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


@pytest.mark.parametrize("name", PROXIES)
def test_hybrids_have_a_score(name: str) -> None:
    hybrid = space.load("hybrid")
    rng = random.Random(4)
    found = {score(name, hybrid.decode(hybrid.sample(rng)), resolution=64, batch_size=4).score for _ in range(4)}
    assert len(found) == 4
    assert all(math.isfinite(value) for value in found)


@pytest.mark.parametrize("name", PROXIES)
def test_a_backbone_without_a_classifier_has_a_score(name: str) -> None:
    spec = published("edgenext_xx_small").spec.replace(head=None, classes=0)
    assert math.isfinite(score(name, spec, resolution=64, batch_size=4).score)


@pytest.mark.parametrize("name", PROXIES)
def test_more_of_the_same_is_better(name: str) -> None:
    """B2 is B1 with wider and deeper stages: no proxy worth its name prefers B1."""
    small, large = (published(f"efficientvit_b{i}").spec for i in (1, 2))
    assert score(name, large, resolution=64, batch_size=4).score > score(name, small, resolution=64, batch_size=4).score


def test_the_default_is_a_row() -> None:
    assert DEFAULT in PROXIES


def test_a_larger_input_is_scored_on_larger_images() -> None:
    spec = published("edgenext_xx_small").spec
    sides = [score_side(spec.replace(resolution=side)) for side in (192, 224, 256, 288)]
    assert sides == sorted(set(sides))


def test_an_unknown_proxy() -> None:
    with pytest.raises(UnknownNameError, match=r"no proxy 'synflw'.*did you mean 'synflow'"):
        score("synflw", published("edgenext_xx_small").spec)


def test_a_network_that_cannot_be_scored_says_so() -> None:
    """On one pixel per channel all images of a linear stem have the same code."""
    with pytest.raises(ProxyError, match=r"; given: .*; allowed: .*; choose another --proxy"):
        score("naswot", published("efficientvit_m0").spec, resolution=64, batch_size=600)
