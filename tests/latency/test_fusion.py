"""Groups of hand-made nets are known: each test says which rows must run as one kernel."""

import pytest

from archlab.errors import UnknownNameError
from archlab.latency.fusion import RUNTIMES, fuse, fusion_for


def groups(net, runtime="trt"):
    found, _ = fuse(net.rows, RUNTIMES[runtime])
    return [(group.kind, group.rows) for group in found]


def residual(sketch):
    """conv, BN, relu, conv, BN, + input, relu: two kernels on a real runtime."""
    net = sketch(1, 8, 4, 4)
    first = net.add("relu", "activation", net.norm(net.conv(-1, 8, 3), "native_batch_norm"))
    second = net.norm(net.conv(first, 8, 3), "native_batch_norm")
    net.add("relu", "activation", net.add("add", "elementwise", second, -1))
    return net


def test_convolution_norm_sum_and_activation_are_one_group(sketch):
    assert groups(residual(sketch)) == [("conv", [0, 1, 2]), ("conv", [3, 4, 5, 6])]


def test_onnx_runtime_joins_them_too_and_eager_torch_nothing(sketch):
    net = residual(sketch)
    assert groups(net, "ort") == groups(net)
    kinds = [kind for kind, _ in groups(net, "eager")]
    assert kinds == ["conv", "elementwise", "elementwise", "conv", "elementwise", "elementwise", "elementwise"]


def test_onnx_runtime_runs_gelu_by_itself_and_products_take_no_tail(sketch):
    net = sketch(1, 8, 4, 4)
    net.add("gelu", "activation", net.norm(net.conv(-1, 8, 3), "native_batch_norm"))
    assert groups(net) == [("conv", [0, 1, 2])]
    assert groups(net, "ort") == [("conv", [0, 1]), ("elementwise", [2])]
    net = sketch(1, 8, 16)
    net.add("relu", "activation", net.linear(-1, 16))
    assert groups(net) == [("linear", [0, 1])]
    assert groups(net, "ort") == [("linear", [0]), ("elementwise", [1])]


def test_a_value_with_two_readers_is_written_so_its_tail_stays_apart(sketch):
    net = sketch(1, 8, 4, 4)
    conv = net.conv(-1, 8, 3)
    net.add("relu", "activation", conv)
    net.conv(conv, 8, 3)
    assert groups(net) == [("conv", [0]), ("elementwise", [1]), ("conv", [2])]


def test_a_residual_sum_joins_the_later_branch(sketch):
    net = sketch(1, 8, 4, 4)
    left, right = net.conv(-1, 8, 3), net.conv(-1, 8, 1)
    net.add("add", "elementwise", left, right)
    assert groups(net) == [("conv", [0]), ("conv", [1, 2])]


def test_a_gate_is_its_own_kernel(sketch):
    """Squeeze-excite multiplies a map by a vector: no convolution absorbs that."""
    net = sketch(1, 8, 4, 4)
    body = net.conv(-1, 8, 3)
    squeezed = net.add("mean", "reduce", body, out=(1, 8, 1, 1))
    gate = net.add("sigmoid", "activation", net.conv(squeezed, 8))
    net.add("mul", "elementwise", body, gate)
    assert groups(net) == [("conv", [0]), ("reduce", [1]), ("conv", [2, 3]), ("elementwise", [4])]


def test_layer_scale_is_free_and_a_layer_norm_is_not_folded(sketch):
    net = sketch(1, 16, 8)
    normed = net.norm(-1)
    scaled = net.add("mul", "elementwise", net.linear(normed, 8), weights=((8,),))
    net.add("add", "elementwise", scaled, -1)
    assert groups(net) == [("norm", [0]), ("linear", [1, 2, 3])]


def test_views_and_constants_are_no_work(sketch):
    net = sketch(1, 16, 8)
    table = net.add("index", "copy", out=(16, 8), weights=((31, 8),), is_constant=True)
    seen = net.add("view", "view", -1)
    net.add("add", "elementwise", seen, table)
    assert groups(net) == [("elementwise", [2])]


def attention(sketch, *, bias=False, scale=False):
    """q·k → (× temperature) → (+ table) → softmax → ·v, operands rearranged, q scaled by a number."""
    net = sketch(4, 16, 8)
    query = net.add("clone", "copy", net.add("mul", "elementwise", net.linear(-1, 8)))
    key = net.add("clone", "copy", net.linear(-1, 8), out=(4, 8, 16))
    value = net.linear(-1, 8)
    scores = net.product(query, key)
    if scale:
        scores = net.add("mul", "elementwise", scores, weights=((4, 1, 1),))
    if bias:
        scores = net.add("add", "elementwise", scores, weights=((4, 16, 16),))
    mixed = net.product(net.add("_softmax", "softmax", scores), value)
    net.linear(net.add("clone", "copy", mixed), 8)
    return net


def test_attention_is_one_kernel_with_its_rearrangements(sketch):
    net = attention(sketch)
    assert [kind for kind, _ in groups(net)] == ["linear", "linear", "linear", "attention", "linear"]
    assert [kind for kind, _ in groups(net, "ort")].count("matmul") == 2


def test_bias_and_temperature_are_told_apart(sketch):
    def core(net):
        return next(g for g in fuse(net.rows, RUNTIMES["trt"])[0] if g.kind == "attention")

    plain, biased, scaled = (core(attention(sketch, **how)) for how in ({}, {"bias": True}, {"scale": True}))
    assert (plain.bias, plain.scale) == (False, False)
    assert (biased.bias, biased.scale) == (True, False)
    assert (scaled.bias, scaled.scale) == (False, True)
    assert len(biased.rows) == len(plain.rows) + 1


def test_a_softmax_whose_scores_are_read_twice_is_no_fused_attention(sketch):
    net = sketch(4, 16, 8)
    scores = net.product(net.linear(-1, 8), net.add("clone", "copy", net.linear(-1, 8), out=(4, 8, 16)))
    soft = net.add("_softmax", "softmax", scores)
    net.product(soft, net.linear(-1, 8))
    net.add("mean", "reduce", soft, out=(4, 1, 1))
    assert "attention" not in [kind for kind, _ in groups(net)]


def test_a_pad_that_adds_nothing_vanishes(sketch):
    net = sketch(1, 8, 4, 4)
    net.conv(net.add("constant_pad_nd", "copy", net.conv(-1, 8, 3)), 8, 3)
    assert groups(net) == [("conv", [0]), ("conv", [2])]


def test_an_unknown_runtime_is_refused_in_four_parts():
    with pytest.raises(UnknownNameError, match="no fusion runtime 'tensorrt'; given: 'tensorrt'; allowed: eager, ort"):
        fusion_for("tensorrt")
