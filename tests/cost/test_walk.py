"""Tiny networks whose operators, costs and data flow are known by hand."""

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlab.cost.rows import OpRow
from archlab.cost.trace import OpTrace, trace_module
from archlab.errors import CostRuleError


class Net(nn.Module):
    """A network from a function; parts become children under their names."""

    def __init__(self, forward: Callable[..., object], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Tensor) -> object:
        return self.function(self, *inputs)


def macs(trace: OpTrace) -> int:
    return sum(row.macs for row in trace.rows)


def only(trace: OpTrace, op: str) -> OpRow:
    (row,) = [row for row in trace.rows if row.op == op]
    return row


def work(trace: OpTrace) -> list[tuple[int, OpRow]]:
    return [(i, row) for i, row in enumerate(trace.rows) if row.kind != "view"]


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 3), (2, 3, 10, 12), 2 * (8 * 10) * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, padding=1, stride=2), (2, 3, 10, 12), 2 * (5 * 6) * 8 * 3 * 9),
        (nn.Conv2d(8, 4, 3, groups=2, bias=False), (1, 8, 5, 5), (3 * 3) * 4 * 4 * 9),
        (nn.Conv2d(8, 8, 5, groups=8, padding=2), (1, 8, 6, 7), (6 * 7) * 8 * 25),
        (nn.Conv2d(8, 8, 3, dilation=2), (1, 8, 9, 9), (5 * 5) * 8 * 8 * 9),
        (nn.Conv1d(4, 6, 3), (2, 4, 10), 2 * 8 * 6 * 4 * 3),
        (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 27 * 3 * 2 * 8),
        (nn.ConvTranspose2d(6, 4, 3, stride=2), (2, 6, 5, 5), 2 * 25 * 6 * 4 * 9),
        (nn.Linear(10, 7), (5, 10), 5 * 10 * 7),
        (nn.Linear(10, 7), (2, 3, 4, 10), 24 * 10 * 7),
        (nn.Linear(10, 7, bias=False), (2, 3, 10), 6 * 10 * 7),
        (nn.BatchNorm2d(8), (2, 8, 4, 4), 0),
        (nn.LayerNorm(8), (2, 5, 8), 0),
        (nn.GroupNorm(2, 8), (2, 8, 4, 4), 0),
        (nn.GELU(), (2, 8), 0),
        (nn.Softmax(dim=-1), (2, 8), 0),
        (nn.MaxPool2d(2), (1, 8, 4, 4), 0),
        (nn.AvgPool2d(2), (1, 8, 4, 4), 0),
        (nn.AdaptiveAvgPool2d(1), (1, 8, 4, 4), 0),
    ],
    ids=str,
)
def test_macs_of_one_layer(layer: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    trace = trace_module(layer, shape)
    assert macs(trace) == expected
    assert trace.params == sum(p.numel() for p in layer.parameters()) == sum(row.params for row in trace.rows)


def test_a_convolution_in_numbers() -> None:
    row = only(trace_module(nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2), (2, 6, 8, 8)), "convolution")
    assert row.kind == "conv"
    assert row.inputs == ((2, 6, 8, 8), (8, 3, 3, 3), (8,))
    assert row.outputs == ((2, 8, 4, 4),)
    assert row.weight_elems == row.params == 8 * 3 * 9 + 8
    assert row.read_elems == 2 * 6 * 64 + 8 * 3 * 9 + 8
    assert row.write_elems == row.activation_elems == 2 * 8 * 16
    assert row.attrs is not None
    assert (row.attrs.kernel, row.attrs.stride, row.attrs.groups) == ((3, 3), (2, 2), 2)


@pytest.mark.parametrize(("width", "groups", "kind"), [(8, 8, "depthwise"), (8, 4, "conv"), (1, 1, "conv")])
def test_depthwise_is_a_kind_of_its_own(width: int, groups: int, kind: str) -> None:
    assert only(trace_module(nn.Conv2d(width, width, 3, groups=groups), (1, width, 8, 8)), "convolution").kind == kind


def test_einsum_and_products_without_parameters() -> None:
    net = Net(lambda net, x: torch.einsum("bnd,bmd->bnm", x, x) @ x)
    trace = trace_module(net, (2, 5, 3))
    assert macs(trace) == 2 * 5 * 5 * 3 * 2
    assert {row.kind for row in trace.rows if row.macs} == {"matmul"}


def test_sources_look_through_views_and_leave_parameters_out() -> None:
    def forward(net: Net, x: Tensor) -> object:
        y = net.conv(x)
        tokens = y.flatten(2).transpose(1, 2)
        z = net.fc(tokens).transpose(1, 2).reshape(2, 8, 6, 6)
        return y + z

    net = Net(forward, conv=nn.Conv2d(3, 8, 3), fc=nn.Linear(8, 8, bias=False))
    rows = dict(work(trace_module(net, (2, 3, 8, 8))))
    index = {row.op: i for i, row in rows.items()}
    assert rows[index["convolution"]].sources == (-1,)
    assert rows[index["clone"]].sources == (index["convolution"],)
    assert rows[index["mm"]].sources == (index["clone"],)
    assert rows[index["add"]].sources == (index["convolution"], index["mm"])
    assert [rows[i].module for i in index.values()] == ["conv", "fc", "fc", ""]


def test_views_do_no_work() -> None:
    trace = trace_module(Net(lambda net, x: x.view(2, 3, 4).transpose(1, 2)[:, :2].unsqueeze(0).chunk(2, -1)), (2, 12))
    assert len(trace.rows) >= 4
    for row in trace.rows:
        assert (row.kind, row.macs, row.read_elems, row.write_elems) == ("view", 0, 0, 0)
        assert row.sources == (-1,)


def test_what_an_expand_repeats_is_read_once() -> None:
    trace = trace_module(Net(lambda net, x: x[:, :1].expand(4, 100) + x), (4, 100))
    row = only(trace, "add")
    assert row.inputs == ((4, 100), (4, 100))
    assert row.read_elems == 4 + 400


def test_in_place_work_changes_who_made_a_tensor() -> None:
    def forward(net: Net, x: Tensor) -> object:
        y = x * 2
        half = y[:, :2]
        half += 1
        return y.relu_()

    trace = trace_module(Net(forward), (3, 4))
    (i, _), (j, added), (_, relu) = work(trace)
    assert (added.op, added.sources) == ("add", (i,))
    assert (relu.op, relu.sources) == ("relu", (j,))


def test_overwriting_does_not_read_what_was_there() -> None:
    def forward(net: Net, x: Tensor) -> object:
        y = torch.zeros(3, 8, device=x.device)
        y[:, :4] = x
        return y

    trace = trace_module(Net(forward), (3, 4))
    (zeros, made), (_, copied) = work(trace)
    assert (made.op, made.read_elems, made.write_elems) == ("zeros", 0, 24)
    assert (copied.op, copied.read_elems, copied.write_elems) == ("copy", 12, 12)
    assert copied.sources == (-1, zeros)


def test_constants_are_told_from_what_depends_on_the_input() -> None:
    def forward(net: Net, x: Tensor) -> object:
        bias = net.table[net.index]
        return x + bias.sigmoid()

    net = Net(forward, table=nn.Parameter(torch.zeros(9, 4)))
    net.register_buffer("index", torch.arange(5))
    trace = trace_module(net, (5, 4))
    flags = {row.op: row.is_constant for row in trace.rows}
    assert flags["index"]
    assert flags["sigmoid"]
    assert not flags["add"]
    assert only(trace, "index").weight_elems == 9 * 4 + 5
    assert only(trace, "index").params == 9 * 4
    assert only(trace, "index").sources == ()


def test_a_shared_module_counts_each_time_and_owns_its_parameters_once() -> None:
    shared = nn.Linear(6, 6)
    net = Net(lambda net, x: net.b(net.a(x)), a=shared, b=shared)
    trace = trace_module(net, (2, 6))
    rows = [row for row in trace.rows if row.op == "addmm"]
    assert [(row.macs, row.params, row.weight_elems) for row in rows] == [(72, 42, 42), (72, 0, 42)]
    assert [row.module for row in rows] == ["a", "a"]
    assert trace.params == 42


def test_tied_parameters_count_once() -> None:
    first, second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
    second.weight = first.weight
    trace = trace_module(nn.Sequential(first, second), (1, 6))
    assert trace.params == 36
    assert macs(trace) == 72


def test_parameters_that_nothing_reads_are_named() -> None:
    net = Net(lambda net, x: net.used(x), used=nn.Linear(4, 4), idle=nn.Sequential(nn.Linear(4, 2)))
    trace = trace_module(net, (1, 4))
    assert trace.params == 20 + 10
    assert trace.unread == (("idle.0", 8), ("idle.0", 2))
    assert sum(row.params for row in trace.rows) == 20


def test_a_side_door_counts_for_the_caller() -> None:
    net = Net(lambda net, x: F.linear(x, net.inner.weight), inner=nn.Linear(4, 2, bias=False))
    assert only(trace_module(net, (1, 4)), "mm").module == ""


def test_statistics_of_norms_and_indices_of_pools_are_not_written() -> None:
    norm = only(trace_module(nn.LayerNorm(8), (2, 5, 8)), "native_layer_norm")
    assert (norm.outputs, norm.write_elems) == (((2, 5, 8),), 80)
    pool = only(trace_module(nn.MaxPool2d(2), (1, 3, 4, 4)), "max_pool2d_with_indices")
    assert (pool.outputs, pool.write_elems) == (((1, 3, 2, 2),), 12)


def test_batch_norm_reads_its_statistics() -> None:
    row = only(trace_module(nn.BatchNorm2d(8), (2, 8, 4, 4)), "native_batch_norm")
    assert (row.params, row.weight_elems, row.read_elems) == (16, 32, 2 * 8 * 16 + 32)


def test_several_inputs() -> None:
    row = only(trace_module(Net(lambda net, x, y: x @ y), (4, 5), (5, 6)), "mm")
    assert row.macs == 4 * 5 * 6
    assert row.sources == (-1,)


def test_unknown_operators_raise_in_four_parts() -> None:
    net = nn.Sequential(nn.Identity(), Net(lambda net, x: torch.fft.rfft(x)))
    with pytest.raises(CostRuleError) as caught:
        trace_module(net, (4, 8))
    text = str(caught.value)
    assert "no counting rule for operator '_fft_r2c'" in text
    assert "given: called in module '1'" in text
    assert "allowed: the " in text
    assert "RULES['_fft_r2c'] = Rule(" in text


def test_a_network_that_looks_at_values_is_refused_in_four_parts() -> None:
    net = Net(lambda net, x: x * 2 if x.sum() > 0 else x)
    with pytest.raises(CostRuleError, match=r"Net cannot be walked without data; given: input \(4, 8\)") as caught:
        trace_module(net, (4, 8))
    assert "allowed: networks that run on the meta device" in str(caught.value)
    assert "try another resolution" in str(caught.value)


def test_the_network_and_torch_are_left_as_they_were() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(CostRuleError):
        trace_module(nn.Sequential(net, Net(lambda net, x: torch.fft.rfft(x))), (1, 3, 8, 8))
    trace_module(net, (1, 3, 8, 8))
    assert all(part.training for part in net.modules())
    assert all(p.requires_grad and p.device.type == "cpu" for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.is_grad_enabled()
    assert not nn.modules.module._global_forward_pre_hooks
    assert not nn.modules.module._global_forward_hooks


def test_dropout_is_gone_in_eval_mode() -> None:
    assert not trace_module(nn.Dropout(), (2, 3)).rows


def test_factories_and_autocast_inside_a_network_work_without_a_device() -> None:
    def forward(net: Net, x: Tensor) -> object:
        with torch.autocast(device_type=x.device.type, enabled=False):
            return x * torch.arange(4)

    row = only(trace_module(Net(forward), (2, 4)), "mul")
    assert row.read_elems == 12


def test_a_network_in_another_thread_does_not_disturb_the_paths() -> None:
    other = nn.Sequential(nn.Linear(2, 2))

    def forward(net: Net, x: Tensor) -> object:
        thread = threading.Thread(target=lambda: [other(torch.zeros(1, 2)) for _ in range(3)])
        thread.start()
        thread.join()
        return net.fc(x)

    trace = trace_module(Net(forward, fc=nn.Linear(4, 4)), (1, 4))
    assert [row.module for row in trace.rows] == ["fc", "fc"]
