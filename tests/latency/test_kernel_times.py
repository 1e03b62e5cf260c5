"""Times of hand-made operators: seen ones are looked up, unseen ones follow the base that made them."""

import numpy as np
import pytest

from archlab.latency.kernel_times import TimedLayer, train
from archlab.latency.operators import LayerOperators, Light, Operator


def pointwise(rows, depth, width, tail=""):
    return Operator(
        kind="pointwise",
        items=1,
        rows=rows,
        depth=depth,
        width=width,
        kernel=1,
        stride=1,
        groups=1,
        in_elems=rows * depth,
        tail=tail,
    )


def truth_ms(one):
    """10 µs, 20 µs per million multiply-adds, 100 µs per million elements moved, 50 µs per million weights."""
    moved = one.in_elems + one.out_elems
    return 0.01 + 0.02 * one.macs / 1e6 + 0.1 * moved / 1e6 + 0.05 * one.weight_elems / 1e6


def timed(heavy, light=None, light_ms=0.0, ms=truth_ms):
    layer = LayerOperators(prefix="", heavy=tuple(heavy), light=light or {})
    return TimedLayer(layer=layer, heavy_ms=tuple(ms(one) for one in heavy), light_ms=light_ms)


SEEN = [pointwise(196, 32, 64), pointwise(3136, 16, 64), pointwise(49, 512, 512), pointwise(784, 64, 16)]


def test_what_was_timed_has_the_mean_of_its_times():
    one = SEEN[0]
    layers = [timed([one], ms=lambda _: 0.2), timed([one], ms=lambda _: 0.4), timed(SEEN[1:])]
    assert train(layers).heavy_ms([one]) == pytest.approx([0.3])


def test_a_kind_with_few_shapes_follows_the_base():
    """196 rows, 64 → 128 channels: 1.605632 M multiply-adds, 37632 elements moved, 8192 weights."""
    found = train([timed(SEEN)])
    asked = pointwise(196, 64, 128)
    expected = 0.01 + 0.02 * 1.605632 + 0.1 * 0.037632 + 0.05 * 0.008192
    assert found.heavy_ms([asked]) == pytest.approx([expected], rel=1e-6)
    assert found.seen_share([asked]) == 0.0
    assert found.seen_share([SEEN[0], SEEN[0]]) == 1.0


def test_a_kind_that_was_never_timed_costs_at_least_the_clocks_grain():
    """Times that multiply-adds alone explain leave no coefficient for a depthwise convolution."""
    found = train([timed(SEEN, ms=lambda one: 1000 * one.macs / 1e6)])
    asked = Operator(
        kind="depthwise", items=1, rows=196, depth=1, width=64, kernel=3, stride=1, groups=64, in_elems=12544, tail=""
    )
    assert found.heavy_ms([asked])[0] >= 1e-3


def test_channels_are_rounded_up_to_a_vector():
    found = train([timed(SEEN)])
    narrow, full = pointwise(196, 32, 49), pointwise(196, 32, 64)
    gap_ms = 0.1 * 196 * 15 / 1e6 + 0.05 * 32 * 15 / 1e6
    assert found.heavy_ms([full, narrow]) @ [1, -1] == pytest.approx(gap_ms, rel=1e-3)


def test_trees_learn_what_the_base_does_not_know():
    """Strides of two cost twice as much in this world; the base has no word for strides."""
    rng = np.random.default_rng(0)
    shapes = [pointwise(int(r) ** 2, int(d) * 16, int(w) * 16) for r, d, w in rng.integers(7, 28, (60, 3))]
    strided = [one.__class__(**{name: getattr(one, name) for name in one.__slots__} | {"stride": 2}) for one in shapes]

    def ms(one):
        return truth_ms(one) * one.stride

    found = train([timed(shapes[:40] + strided[:40], ms=ms)])
    ratio = found.heavy_ms(strided[40:]) / found.heavy_ms(shapes[40:])
    assert ratio.mean() == pytest.approx(2.0, rel=0.1)
    assert np.abs(found.heavy_ms(strided[40:]) / [ms(one) for one in strided[40:]] - 1).mean() < 0.1


def test_light_operators_have_a_cost_each_and_one_per_element():
    """gelu: 2 µs and 500 µs per million elements; layer norms: 30 µs each, whatever their size."""
    layers = []
    for gelus, elems, norms in [(1, 2_000_000, 0), (2, 500_000, 1), (0, 0, 3), (3, 1_000_000, 2)]:
        light = {"gelu": Light(count=gelus, elems=elems), "norm": Light(count=norms, elems=100)}
        layers.append(timed(SEEN, light, 0.002 * gelus + 0.5 * elems / 1e6 + 0.03 * norms))
    found = train(layers)
    asked = {"gelu": Light(count=5, elems=4_000_000), "norm": Light(count=1, elems=100)}
    assert found.light_ms(asked) == pytest.approx(0.01 + 2.0 + 0.03, rel=1e-3)


def test_a_light_operator_that_was_never_timed_costs_what_a_sum_costs():
    light = {"add": Light(count=2, elems=1_000_000)}
    found = train([timed(SEEN, light, 0.3), timed(SEEN, {"add": Light(count=1, elems=0)}, 0.1)])
    assert found.light_ms({"erf": Light(count=1, elems=1_000_000)}) == pytest.approx(0.1 + 0.1, rel=1e-3)
    assert found.light_ms({"view": Light(count=9, elems=0), "conv+erf": Light(count=1, elems=9)}) == 0.0


def test_the_same_layers_give_the_same_times():
    rng = np.random.default_rng(1)
    layers = [timed([pointwise(int(r), int(d), int(w)) for r, d, w in rng.integers(8, 600, (30, 3))])]
    asked = [pointwise(300, 100, 200), pointwise(77, 33, 11)]
    assert train(layers).heavy_ms(asked).tolist() == train(layers).heavy_ms(asked).tolist()
