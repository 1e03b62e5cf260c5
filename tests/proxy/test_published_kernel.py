"""The Gaussian process against formulas written out, and trees walked by hand."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from archlab.proxy.published_data import PATH, Learnt, at_usual, pack, shipped, unpack
from archlab.proxy.published_kernel import (
    COLUMNS,
    GROUPS,
    RECIPE,
    SETTINGS,
    Posterior,
    covariance,
    group_of,
    noisy_covariance,
)
from archlab.proxy.published_trees import NO_TREES, Trees

Floats = npt.NDArray[np.float64]

WIDTH = len(COLUMNS)


def trees() -> Trees:
    """One tree that asks column 1 for 0.5, and one that is a leaf."""
    return Trees(
        first=np.array([0, 3], np.int32),
        column=np.array([1, -1, -1, -1], np.int16),
        threshold=np.array([0.5, -2, -2, -2]),
        left=np.array([1, -1, -1, -1], np.int32),
        right=np.array([2, -1, -1, -1], np.int32),
        value=np.array([9.0, 1.0, 10.0, 0.25]),
        start=70.0,
    )


def test_trees_by_hand() -> None:
    asked = np.zeros((3, WIDTH))
    asked[:, 1] = 0.4, 0.5, 0.6
    assert trees().predict(asked).tolist() == [71.25, 71.25, 80.25]


def test_every_column_has_a_group() -> None:
    assert {group_of(name) for name in COLUMNS} == set(GROUPS)
    assert group_of("is_taught") == "recipe"
    assert group_of("macs_3") == "levels"
    assert group_of("share_dense") == "mixers"


def test_covariance_of_two_networks_by_hand() -> None:
    """They differ by 2 in `stem_kernel`: not in the smooth part; the rough part has weight 0.1 / 3 columns."""
    a = torch.zeros(1, WIDTH, dtype=torch.float64)
    b = a.clone()
    b[0, COLUMNS.index("stem_kernel")] = 2
    far = math.sqrt(3 * 4 * 0.1 / 3 + 1e-9)
    rough = (1 + far) * math.exp(-far)
    found, found_rough = covariance(SETTINGS, a, b)
    assert float(found) == pytest.approx(0.3 + 0.3 * rough, rel=1e-6)
    assert float(found_rough) == pytest.approx(rough, rel=1e-6)


def test_the_smooth_part_and_the_line_by_hand() -> None:
    """Both 1 in `log_macs`, one of eight sizes: no distance, and a line of 0.05 / 8."""
    a = torch.zeros(1, WIDTH, dtype=torch.float64)
    a[0, COLUMNS.index("log_macs")] = 1
    assert float(covariance(SETTINGS, a, a)[0]) == pytest.approx(0.6 + 0.05 / 8, rel=1e-6)
    other = -a
    squared = 4 * 0.3 / 8
    far = math.sqrt(3 * 4 * 0.1 / 8)
    expected = 0.3 * math.exp(-squared / 2) + 0.3 * (1 + far) * math.exp(-far) - 0.05 / 8
    assert float(covariance(SETTINGS, a, other)[0]) == pytest.approx(expected, rel=1e-6)


def test_families_share_and_noise_is_on_the_diagonal() -> None:
    a = torch.zeros(2, WIDTH, dtype=torch.float64)
    alike = noisy_covariance(SETTINGS, a, torch.tensor([0, 0]))
    apart = noisy_covariance(SETTINGS, a, torch.tensor([0, 1]))
    assert float(alike[0, 1] - apart[0, 1]) == pytest.approx(0.02 + 0.05, rel=1e-4)
    assert float(apart[0, 0] - apart[0, 1]) == pytest.approx(0.02 + 0.05 + 0.005, rel=1e-4)


def posterior() -> Posterior:
    generator = torch.Generator().manual_seed(0)
    raw_ND = torch.randn(12, WIDTH, generator=generator, dtype=torch.float64)
    target_N = torch.randn(12, generator=generator, dtype=torch.float64)
    return Posterior.of(SETTINGS, raw_ND, torch.arange(12) // 3, target_N)


def test_a_prediction_is_that_of_the_inverse_covariance() -> None:
    """Equations 2.25 and 2.26 with an explicit inverse instead of a Cholesky factor."""
    known = posterior()
    asked_MD = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scaled_MD = ((asked_MD - known.mean_D) / known.deviation_D).clamp(-3, 3)
    cross_NM, _ = covariance(SETTINGS, known.table_ND, scaled_MD)
    own_M = covariance(SETTINGS, scaled_MD, scaled_MD)[0].diagonal()
    inverse_NN = torch.linalg.inv(noisy_covariance(SETTINGS, known.table_ND, torch.arange(12) // 3))
    mean_M, variance_M, strange_M = known.predict(asked_MD)
    assert torch.allclose(mean_M, cross_NM.T @ known.alpha_N)
    assert torch.allclose(strange_M, own_M - (cross_NM.T @ inverse_NN @ cross_NM).diagonal(), atol=1e-6)
    assert torch.allclose(variance_M - strange_M, torch.full((4,), 0.075, dtype=torch.float64))


def test_a_known_network_is_less_strange_than_another() -> None:
    known = posterior()
    raw_ND = known.table_ND * known.deviation_D + known.mean_D
    assert float(known.predict(raw_ND)[2].max()) < float(known.predict(raw_ND + 5 * known.deviation_D)[2].min())


def learnt(**changes: object) -> Learnt:
    known = Learnt(posterior=posterior(), centre=-3.0, spread=0.4, trees=trees(), family_N=torch.arange(12) // 3)
    return dataclasses.replace(known, **changes)  # type: ignore[arg-type]


def test_what_is_packed_comes_back() -> None:
    known = learnt(stretch=1.5, below=0.5, above=0.25)
    again = unpack(pack(known))
    asked = np.random.default_rng(0).normal(size=(3, WIDTH))
    for one, other in zip(known.predict(asked), again.predict(asked), strict=True):
        assert other == pytest.approx(one, rel=1e-5)
    assert (again.stretch, again.wide, again.limit) == (1.5, 1.0, math.inf)
    assert (again.below, again.above) == (0.5, 0.25)


def usual_network(**columns: float) -> Floats:
    """A network of zeros, trained by the usual recipe."""
    asked = at_usual(np.zeros((1, WIDTH)))
    for name, value in columns.items():
        asked[0, COLUMNS.index(name)] = value
    return asked


def smooth(asked: Floats) -> float:
    mean = float(posterior().predict(torch.from_numpy(asked))[0])
    return 100 - math.exp(3.0 - 0.4 * mean)


def test_the_smooth_half_counts_more() -> None:
    """The trees say 71.25."""
    asked = usual_network()
    assert asked[0, -len(RECIPE) :] == pytest.approx([3, math.log(300), 0, 0])
    assert learnt().predict(asked)[0][0] == pytest.approx(0.7 * smooth(asked) + 0.3 * 71.25)


def test_the_trees_know_one_recipe_and_the_smooth_half_says_what_others_gain() -> None:
    asked = usual_network(strength=0.0)
    gain = smooth(asked) - smooth(usual_network())
    assert learnt().predict(asked)[0][0] == pytest.approx(0.7 * smooth(asked) + 0.3 * (71.25 + gain))
    assert learnt().gain(usual_network(), np.zeros(1)) == [0]


def test_the_trees_fade_out_below_the_sizes_learnt_from() -> None:
    """A quarter of a deviation below: three quarters of their half are left; from one deviation on, nothing."""
    asked, low_D = usual_network(), np.full(WIDTH, -np.inf)
    at = COLUMNS.index("log_macs")
    for far, share in ((0.25, 0.225), (1.0, 0.0), (2.0, 0.0)):
        low_D[at] = far * float(posterior().deviation_D[at])
        found = learnt(low_D=low_D).predict(asked)[0][0]
        assert found == pytest.approx((1 - share) * smooth(asked) + share * 71.25)


@pytest.mark.parametrize(
    ("changes", "times", "is_extrapolated"),
    [
        ({}, 0.25, False),
        ({"wide": 2.0}, 0.25, False),
        ({"wide": 2.0, "limit": 0.0}, 0.5, True),
        ({"above": 0.125, "high_D": True}, 0.25 + 2 * 0.125, True),
        ({"above": 0.125, "wide": 3.0, "limit": 0.0, "high_D": True}, 0.75, True),
        ({"below": 0.125, "high_D": True}, 0.25, True),
    ],
)
def test_how_wide_the_interval_is(changes: dict[str, object], times: float, is_extrapolated: bool) -> None:
    """Logarithms of the errors at both ends are so many deviations away; `log_side` lies 2 beyond."""
    asked, at = usual_network(), COLUMNS.index("log_side")
    if "high_D" in changes:
        high_D = np.full(WIDTH, np.inf)
        high_D[at] = -2 * float(posterior().deviation_D[at])
        changes = {**changes, "high_D": high_D}
    known = learnt(stretch=0.25, **changes)
    found, deviation = known.answer(asked), float(known.predict(asked)[1][0])
    error = 100 - float(found.top1[0])
    assert math.log((100 - float(found.low[0])) / error) == pytest.approx(times * deviation)
    assert math.log((100 - float(found.high[0])) / error) == pytest.approx(-times * deviation)
    assert bool(found.is_extrapolated[0]) == is_extrapolated
    assert np.flatnonzero(found.is_beyond[0]).tolist() == ([at] if "high_D" in changes else [])


def test_no_trees_add_nothing() -> None:
    assert NO_TREES.predict(np.ones((2, WIDTH))).tolist() == [0, 0]


def test_a_file_of_another_version_is_refused() -> None:
    arrays = pack(shipped()) | {"columns": np.array(["log_macs"])}
    with pytest.raises(
        ValueError, match=r"has other columns than published_kernel\.COLUMNS: run studies/published/ship"
    ):
        unpack(arrays)


def test_the_file_is_small_and_holds_no_objects() -> None:
    assert PATH.stat().st_size < 1_000_000
    with np.load(PATH, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
