"""Operators of hand-made layers, counted on paper."""

from archlab.cost.rows import ConvAttrs
from archlab.cost.trace import trace
from archlab.families import published
from archlab.latency.operators import Light, Operator, operators


def only(net):
    (layer,) = operators(net.trace())
    return layer


def test_a_convolution_with_what_runs_inside_its_kernel(sketch):
    """(1, 16, 8, 8) → 3×3, stride 2, 32 channels: 4·4 positions, each 16·9 products for 32 channels."""
    net = sketch(1, 16, 8, 8)
    conv = net.norm(net.conv(-1, 32, 3, stride=2), "native_batch_norm")
    net.add("relu", "activation", conv)
    layer = only(net)
    (found,) = layer.heavy
    assert found == Operator(
        kind="conv",
        items=1,
        rows=16,
        depth=16,
        width=32,
        kernel=3,
        stride=2,
        groups=1,
        in_elems=1024,
        tail="relu",
    )
    assert (found.macs, found.out_elems, found.weight_elems) == (16 * 32 * 144, 512, 4608)
    assert layer.light == {
        "conv+native_batch_norm": Light(count=1, elems=512 + 64),
        "conv+relu": Light(count=1, elems=512),
    }


def test_kinds_of_convolutions(sketch):
    net = sketch(1, 16, 4, 4)
    last = net.conv(net.conv(net.conv(-1, 16, 3, groups=16), 16, 3, groups=2), 32)
    net.conv(net.add("mean", "reduce", last, out=(1, 32, 1, 1)), 8)
    layer = only(net)
    assert [one.kind for one in layer.heavy] == ["depthwise", "grouped", "pointwise", "vector"]
    assert [one.depth for one in layer.heavy] == [1, 8, 16, 32]
    assert [one.macs for one in layer.heavy] == [16 * 16 * 9, 16 * 16 * 8 * 9, 16 * 16 * 32, 32 * 8]


def test_a_linear_layer_and_a_product(sketch):
    """(3, 5, 8) through 8 → 6, then each 5×6 by its own 6×4."""
    net = sketch(3, 5, 8)
    rows = net.linear(-1, 6)
    other = net.add("clone", "copy", -1, out=(3, 6, 4))
    net.product(rows, other)
    linear, product = only(net).heavy
    assert (linear.kind, linear.items, linear.rows, linear.depth, linear.width) == ("linear", 1, 15, 8, 6)
    assert (product.kind, product.items, product.rows, product.depth, product.width) == ("product", 3, 5, 6, 4)
    assert (linear.macs, product.macs) == (15 * 8 * 6, 3 * 5 * 6 * 4)


def test_changes_of_layout_count_once_per_value(sketch):
    """A map read by two norms is turned into tokens once, and once back for the convolution after them."""
    net = sketch(1, 16, 4, 4)
    conv = net.conv(-1, 16, 3)
    first, second = net.norm(conv), net.norm(conv)
    net.conv(net.add("add", "elementwise", first, second), 16)
    light = only(net).light
    assert light["to tokens"] == Light(count=1, elems=256)
    assert light["to map"] == Light(count=1, elems=256)


def test_what_is_constant_does_not_run_and_a_view_moves_nothing(sketch):
    net = sketch(1, 16, 4, 4)
    attrs = ConvAttrs(kernel=(1, 1), stride=(1, 1), groups=1)
    net.add("convolution", "conv", -1, weights=((16, 16, 1, 1),), macs=4096, attrs=attrs, is_constant=True)
    net.conv(net.add("view", "view", -1), 16)
    layer = only(net)
    assert len(layer.heavy) == 1
    assert layer.light == {"view": Light(count=1, elems=0)}


def test_all_multiply_adds_of_a_network_are_there():
    found = trace(published("edgenext_xx_small").spec)
    layers = operators(found)
    assert [layer.prefix for layer in layers] == [segment.prefix for segment in found.segments]
    heavy = sum(one.macs for layer in layers for one in layer.heavy)
    assert heavy == sum(row.macs for row in found.rows if not row.is_constant)
