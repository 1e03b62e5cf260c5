"""Numbers of hand-made nets, counted on paper; and the carried table must be what the extractor gives today."""

import dataclasses

import numpy as np
import pytest

from archlab.cost.rows import Segment
from archlab.cost.trace import Memo, trace
from archlab.errors import UnknownNameError
from archlab.families import published
from archlab.latency import features as public_features
from archlab.latency.features import COLUMNS, features
from archlab.latency.kernels import KINDS
from archlab.latency.tables import networks


def kinds(net):
    return [KINDS[code] for code in features(net.trace()).kinds]


def row(net, index):
    return dict(zip(COLUMNS, features(net.trace()).table[index], strict=True))


def test_one_convolution_counted_by_hand(sketch):
    """6 → 12 channels, 3×3, on 10×10: padded to 8 and 16, bias folded with the norm, activation inside."""
    net = sketch(1, 6, 10, 10)
    net.add("relu", "activation", net.norm(net.conv(-1, 12, 3), "native_batch_norm"))
    assert row(net, 0) == {
        "count": 1,
        "macs": 100 * 12 * 6 * 9,
        "padded_macs": 100 * 16 * 8 * 9,
        "depth": 6 * 9,
        "read_elems": 600,
        "write_elems": 1200,
        "weight_elems": 12 * 6 * 9,
        "score_elems": 0,
        "biased_score_elems": 0,
        "scaled_score_elems": 0,
        "crossings": 0,
        "crossing_elems": 0,
    }


def test_a_residual_is_read_once_more(sketch):
    net = sketch(1, 8, 4, 4)
    net.add("add", "elementwise", net.conv(-1, 8, 3), -1)
    assert row(net, 0)["read_elems"] == 2 * 128
    assert row(net, 0)["write_elems"] == 128


def test_grouped_and_depthwise_convolutions(sketch):
    net = sketch(1, 16, 4, 4)
    net.conv(net.conv(net.conv(-1, 16, 3, groups=16), 16, 3, groups=2), 16, 1)
    assert kinds(net) == ["depthwise", "grouped", "pointwise"]
    assert row(net, 0)["padded_macs"] == row(net, 0)["macs"] == 16 * 16 * 9
    assert row(net, 1)["macs"] == 16 * 16 * 8 * 9
    assert row(net, 1)["depth"] == 8 * 9


@pytest.mark.parametrize(
    ("inner", "outer", "kind"), [(16, 24, "pointwise"), (12, 24, "pointwise_even"), (16, 49, "pointwise_odd")]
)
def test_tensor_cores_want_widths_that_are_multiples_of_8(sketch, inner, outer, kind):
    net = sketch(1, 5, inner)
    net.linear(-1, outer)
    assert kinds(net) == [kind]
    assert row(net, 0)["padded_macs"] == 5 * (-(-inner // 8) * 8) * (-(-outer // 8) * 8)


def test_a_convolution_pads_by_itself_and_a_vector_needs_no_tile(sketch):
    net = sketch(1, 12, 4, 4)
    net.conv(-1, 20, 1)
    head = sketch(1, 12)
    head.linear(-1, 10)
    assert kinds(net) == kinds(head) == ["pointwise"]


def test_only_the_first_norm_after_a_convolution_or_a_copy_is_a_first_norm(sketch):
    net = sketch(1, 8, 8, 8)
    tokens = net.norm(net.linear(net.norm(net.conv(-1, 8, 3)), 8))
    net.norm(net.linear(net.norm(net.add("roll", "copy", tokens)), 8))
    assert kinds(net) == ["conv", "first_norm", "pointwise", "norm", "copy", "first_norm", "pointwise", "norm"]


def test_a_value_crosses_once_into_tokens_and_once_back(sketch):
    """conv → norm → linear → conv: the norm reads a map, the last convolution tokens; linear layers do not mind."""
    net = sketch(1, 8, 8, 8)
    net.conv(net.linear(net.norm(net.conv(-1, 8, 3)), 8), 8, 3)
    crossings = features(net.trace()).column("crossings").tolist()
    assert crossings == [0, 1, 0, 1]
    assert features(net.trace()).column("crossing_elems").tolist() == [0, 512, 0, 512]


def test_scores_are_counted_by_what_happens_to_them(sketch):
    def scores(**extra):
        net = sketch(4, 16, 8)
        raw = net.product(net.linear(-1, 8), net.add("clone", "copy", net.linear(-1, 8), out=(4, 8, 16)))
        for op, shape in extra.items():
            raw = net.add(op, "elementwise", raw, weights=(shape,))
        net.product(net.add("_softmax", "softmax", raw), net.linear(-1, 8))
        found = features(net.trace())
        return [found.column(f"{name}score_elems").sum() for name in ("", "biased_", "scaled_")]

    assert scores() == [4 * 16 * 16, 0, 0]
    assert scores(add=(4, 16, 16)) == [0, 4 * 16 * 16, 0]
    assert scores(mul=(4, 1, 1)) == [0, 0, 4 * 16 * 16]


def test_merging_keeps_every_sum(sketch):
    net = sketch(1, 8, 4, 4)
    last = -1
    for _ in range(5):
        last = net.conv(last, 8, 3)
    net.conv(last, 16, 1)
    found = features(net.trace())
    merged = found.merged()
    assert (found.count(), merged.count()) == (6, 6)
    assert len(merged.kinds) == 2
    assert merged.count("conv") == 5
    total = merged.column("count") @ merged.column("macs")
    assert total == found.column("macs").sum()


def test_a_layer_knows_what_came_before_it(sketch):
    """The same layer costs a crossing after a convolution and none after tokens."""
    image, after_map, after_tokens = (sketch(1, 8, 8, 8) for _ in range(3))
    image.conv(-1, 8, 3)
    after_map.norm(-1)
    after_tokens.linear(after_tokens.norm(-1), 8)
    parts = [net.trace().segments[0].layer for net in (image, after_map, after_tokens)]
    places = [Segment(prefix=str(i), first=i, source=i - 1, layer=layer) for i, layer in enumerate(parts)]
    whole = dataclasses.replace(image.trace(), segments=tuple(places))
    found = features(whole)
    assert [KINDS[code] for code in found.kinds] == ["conv", "first_norm", "norm", "pointwise"]
    assert found.column("crossings").tolist() == [0, 1, 0, 0]
    assert found.anchors.tolist() == [0, 1, 2, 3]


def test_layers_remembered_give_what_layers_fresh_give():
    spec = published("edgenext_xx_small").spec
    first, again, fresh = trace(spec), trace(spec), trace(spec, memo=Memo())
    for other in (again, fresh):
        np.testing.assert_array_equal(features(first).table, features(other).table)


def test_the_public_name_is_the_extractor(sketch):
    net = sketch(1, 8, 4, 4)
    net.conv(-1, 8, 3)
    assert public_features(net.trace()).count("conv") == 1
    with pytest.raises(UnknownNameError, match="no fusion runtime 'tvm'"):
        public_features(net.trace(), "tvm")


@pytest.mark.parametrize(
    ("name", "side"),
    [("convnext_tiny", 224), ("edgenext_xx_small", 256), ("efficientvit_b1", 288), ("efficientvit_l2", 384)],
)
def test_the_carried_table_is_what_the_extractor_gives_today(name, side):
    """If this fails, the rules or the blocks changed: trace again and refit (`studies/calibration`)."""
    carried = networks()[name, side, 1000].groups
    fresh = features(trace(published(name).spec.replace(resolution=side))).merged()
    np.testing.assert_array_equal(carried.kinds, fresh.kinds)
    np.testing.assert_array_equal(carried.table, fresh.table)
