"""Kernels of hand-made nets, counted on paper."""

import pytest

from archlab.errors import PlanError, UnknownNameError
from archlab.latency.launches import LAUNCH_KINDS, launches


def kernels(net, runtime="eager_amp", **how):
    """Kind → (count, bytes read, bytes written), sums over the kernels of that kind."""
    found = launches(net.trace(), runtime, **how)
    table = {}
    for code in sorted(set(found.kinds.tolist())):
        at = found.kinds == code
        count = found.column("count")[at]
        sums = [(count * found.column(name)[at]).sum() for name in ("read_bytes", "write_bytes")]
        table[LAUNCH_KINDS[code]] = (int(count.sum()), *map(int, sums))
    return table


def convolution(sketch):
    """A convolution of 3 to 8 channels without bias on 4 × 4, a batch norm, a relu."""
    net = sketch(1, 3, 4, 4)
    net.add("relu", "activation", net.norm(net.conv(-1, 8, 3), "native_batch_norm"))
    return net


def test_autocast_casts_the_image_and_the_weights_and_keeps_16_bits(sketch):
    """48 pixels and 216 weights are cast from 4 to 2 bytes; 128 results of 2 bytes go from kernel to kernel."""
    found = kernels(convolution(sketch))
    assert found["cast"] == (2, 4 * (48 + 216), 2 * (48 + 216))
    assert found["conv"] == (1, 2 * 48, 2 * 128)
    assert found["batch_norm"] == (1, 2 * 128, 2 * 128)
    assert found["activation"] == (1, 2 * 128, 2 * 128)


def test_images_multiply_activations_and_no_weights(sketch):
    net = convolution(sketch)
    one, ten = (launches(net.trace(), "eager_amp", images=images) for images in (1, 10))
    conv = [found.kinds.tolist().index(LAUNCH_KINDS.index("conv")) for found in (one, ten)]
    for name, times in (("macs", 10), ("read_bytes", 10), ("write_bytes", 10), ("rows", 10), ("weight_bytes", 1)):
        assert ten.column(name)[conv[1]] == times * one.column(name)[conv[0]]
    assert one.column("macs")[conv[0]] == 16 * 8 * 27
    assert [one.column(name)[conv[0]] for name in ("rows", "width", "depth", "area")] == [16, 8, 27, 9]


def test_a_layer_norm_of_a_map_is_cast_and_copied_and_turns_its_channels_inside(sketch):
    net = sketch(1, 8, 4, 4)
    seen = net.add("permute", "view", net.conv(-1, 8), out=(1, 4, 4, 8))
    net.conv(net.add("permute", "view", net.norm(seen), out=(1, 8, 4, 4)), 8, 3)
    found = kernels(net)
    assert found["layer_norm"] == (1, 4 * 128, 4 * 128)
    assert found["move"] == (1, 4 * 128, 4 * 128)
    inner = launches(net.trace(), "eager_amp")
    assert inner.column("is_inner")[inner.kinds == LAUNCH_KINDS.index("conv")].tolist() == [1]
    assert inner.column("is_inner")[inner.kinds == LAUNCH_KINDS.index("pointwise")].tolist() == [0]


def test_a_parameter_widens_a_sum_and_the_next_product_casts_it(sketch):
    net = sketch(1, 16, 8)
    net.linear(net.add("add", "elementwise", net.linear(-1, 8), weights=((16, 8),)), 8)
    found = kernels(net)
    assert found["elementwise"] == (1, 2 * 128 + 4 * 128, 4 * 128)
    assert found["cast"] == (4, 4 * (128 + 64 + 128 + 64), 2 * (128 + 64 + 128 + 64))


def test_a_bias_is_a_kernel_of_its_own_and_depthwise_has_none(sketch):
    net = sketch(1, 8, 4, 4)
    for groups in (1, 8):
        row = net.rows[net.conv(-1, 8, 3, groups=groups)]
        inputs = (*row.inputs, (8,))
        net.add("convolution", row.kind, -1, out=row.outputs[0], weights=inputs[1:], attrs=row.attrs)
    assert kernels(net)["bias"] == (1, 2 * 128, 2 * 128)


def test_channels_last_is_told_to_convolutions(sketch):
    found = launches(convolution(sketch).trace(), "eager_amp", is_channels_last=True)
    assert found.column("is_inner")[found.kinds == LAUNCH_KINDS.index("conv")].tolist() == [1]


def test_the_compiler_joins_norm_sum_and_activation_into_one_loop(sketch):
    """Reads the convolution's result and the image, writes once; the 3×3 weights are moved at each call."""
    net = sketch(1, 8, 4, 4)
    made = net.norm(net.conv(-1, 8, 3), "native_batch_norm")
    net.add("relu", "activation", net.add("add", "elementwise", made, -1))
    found = kernels(net, "inductor")
    assert found == {
        "conv": (1, 4 * 128, 4 * 128),
        "cast": (1, 4 * 576, 4 * 576),
        "elementwise": (1, 4 * 256, 4 * 128),
    }
    loop = launches(net.trace(), "inductor")
    at = loop.kinds == LAUNCH_KINDS.index("elementwise")
    assert [loop.column(name)[at].tolist() for name in ("joined", "steps", "operands")] == [[3], [384], [2]]


def test_a_loop_ends_at_a_call_and_never_closes_a_cycle(sketch):
    """a → conv → +, and a → tanh → +: the sum must wait for the convolution, so it is no part of a's loop."""
    net = sketch(1, 8, 4, 4)
    first = net.add("relu", "activation", -1)
    beside = net.add("tanh", "activation", first)
    net.add("add", "elementwise", net.conv(first, 8), beside)
    found = launches(net.trace(), "inductor")
    assert found.count("elementwise") == 2
    assert found.count("pointwise") == 1


def test_norms_and_concatenations_name_their_loop(sketch):
    net = sketch(1, 8, 4, 4)
    pair = net.add("cat", "copy", -1, net.conv(-1, 8), out=(1, 16, 4, 4))
    net.conv(net.add("relu", "activation", pair), 8)
    assert "cat" in kernels(net, "inductor")
    net = sketch(1, 16, 8)
    net.add("gelu", "activation", net.norm(-1))
    assert list(kernels(net, "inductor")) == ["layer_norm"]


def test_a_recurrent_layer_is_its_products(sketch):
    """The same weights, nine times: what is between them belongs to the library's call."""
    for runtime, expected in (("eager_amp", {"linear", "cast"}), ("inductor", {"linear"})):
        net = sketch(1, 4, 8)
        at = -1
        for _ in range(9):
            at = net.add("tanh", "activation", net.linear(at, 8))
        assert set(kernels(net, runtime)) == expected


def test_unknown_runtimes_and_large_traces_are_refused(sketch):
    net = sketch(2, 8, 4, 4)
    net.conv(-1, 8)
    with pytest.raises(UnknownNameError, match="no launching runtime 'eager'; given: 'eager'"):
        launches(net.trace(), "eager")
    trace = net.trace()
    object.__setattr__(trace, "batch", 2)
    with pytest.raises(PlanError, match="counted from a trace of one image; given: a trace of batch 2"):
        launches(trace, "eager_amp")


def test_the_compiler_s_layer_norm_says_whether_a_convolution_reads_it(sketch):
    """Through views and what is joined to it; a linear layer is none."""
    for product, expected in (("conv", 1), ("linear", 0)):
        net = sketch(1, 8, 4, 4)
        seen = net.add("permute", "view", net.conv(-1, 8), out=(1, 4, 4, 8))
        done = net.add("gelu", "activation", net.norm(seen))
        if product == "conv":
            net.conv(net.add("permute", "view", done, out=(1, 8, 4, 4)), 8)
        else:
            net.linear(done, 16)
        found = launches(net.trace(), "inductor")
        assert found.column("is_inner")[found.kinds == LAUNCH_KINDS.index("layer_norm")].tolist() == [expected]
