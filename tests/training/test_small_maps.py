"""Matrix products for small maps give what torch's convolutions give: forward, every gradient, a training's weights."""

import contextlib
from unittest import mock

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archlab.families import published
from archlab.model.build import build
from archlab.spec import ArchSpec
from archlab.training import small_maps, update
from archlab.training.data import load_data
from archlab.training.low_resolution import at_low_resolution
from archlab.training.plan import TrainPlan
from archlab.training.small_maps import SmallMaps
from archlab.training.update import Updater

pairs = st.tuples(st.integers(1, 9), st.integers(1, 9))


def _run(conv: nn.Conv2d, x_BCHW: Tensor, *, is_on: bool) -> list[Tensor | None]:
    x_BCHW = x_BCHW.clone(memory_format=torch.preserve_format).requires_grad_()
    conv.zero_grad()
    with SmallMaps() if is_on else contextlib.nullcontext():
        y_BCHW = conv(x_BCHW)
    weights = torch.linspace(-1, 1, y_BCHW.numel()).reshape(y_BCHW.shape)
    (y_BCHW * weights).sum().backward()
    return [y_BCHW.detach(), x_BCHW.grad, *(None if p.grad is None else p.grad.clone() for p in conv.parameters())]


def _assert_alike(conv: nn.Conv2d, x_BCHW: Tensor) -> None:
    plain, ours = (_run(conv, x_BCHW, is_on=is_on) for is_on in (False, True))
    for theirs, mine in zip(plain, ours, strict=True):
        assert (theirs is None) == (mine is None)
        if theirs is not None and mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def _way(conv: nn.Conv2d, x_BCHW: Tensor) -> str:
    with SmallMaps():
        return type(conv(x_BCHW).grad_fn).__name__


@settings(deadline=None, max_examples=150)
@given(
    map_=pairs,
    kernel=pairs,
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    width=st.integers(2, 5),
    has_bias=st.booleans(),
    is_channels_last=st.booleans(),
)
def test_any_depthwise_convolution(
    map_: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    width: int,
    has_bias: bool,
    is_channels_last: bool,
) -> None:
    # torch has no other convolutions
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in zip(map_, padding, dilation, kernel, strict=True)))
    torch.manual_seed(0)
    conv = nn.Conv2d(width, width, kernel, stride, padding, dilation, groups=width, bias=has_bias)
    x_BCHW = torch.randn(3, width, *map_)
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    _assert_alike(conv, x_BCHW.contiguous(memory_format=layout))


@pytest.mark.parametrize("side", [1, 2, 4, 5])
@pytest.mark.parametrize("has_bias", [True, False])
def test_pointwise_convolutions(side: int, has_bias: bool) -> None:
    torch.manual_seed(0)
    _assert_alike(nn.Conv2d(6, 9, 1, bias=has_bias), torch.randn(3, 6, side, side))


@pytest.mark.parametrize(
    ("conv", "side", "way"),
    [
        (nn.Conv2d(8, 8, 9, padding=4, groups=8), 2, "_DepthwiseBackward"),
        (nn.Conv2d(8, 8, 7, padding=3, groups=8), 8, "_DepthwiseBackward"),
        (nn.Conv2d(8, 8, 7, padding=3, groups=8), 9, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), 2, "_DepthwiseBackward"),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), 4, "ConvolutionBackward0"),
        (nn.Conv2d(8, 16, 9, padding=4, groups=8), 2, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 9, padding="same", groups=8), 2, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 9, padding=4, groups=8).double(), 2, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 1), 4, "PermuteBackward0"),
        (nn.Conv2d(8, 8, 1), 5, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 1, stride=2), 4, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 1, padding=1), 2, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 1, groups=2), 2, "ConvolutionBackward0"),
        (nn.Conv2d(8, 8, 3, padding=1), 2, "ConvolutionBackward0"),
    ],
)
def test_which_convolutions_are_done_otherwise(conv: nn.Conv2d, side: int, way: str) -> None:
    assert _way(conv, torch.randn(2, 8, side, side, dtype=conv.weight.dtype)) == way


def test_a_frozen_weight_and_an_image_get_no_gradient() -> None:
    conv = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    conv.weight.requires_grad_(False)
    with SmallMaps():
        y_BCHW = conv(torch.randn(2, 4, 2, 2))
    y_BCHW.sum().backward()
    assert conv.weight.grad is None
    assert conv.bias is not None
    torch.testing.assert_close(conv.bias.grad, torch.full((4,), 8.0))


@pytest.mark.parametrize("name", ["edgenext_xx_small", "efficientvit_m0"])
@pytest.mark.usefixtures("one_thread")
def test_a_training_goes_the_same_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = at_low_resolution(published(name).spec, 64, classes=10)
    used = mock.Mock(wraps=small_maps._joins)
    monkeypatch.setattr(small_maps, "_joins", used)
    losses = [_losses(spec)]
    assert used.called
    monkeypatch.setattr(update, "SmallMaps", contextlib.nullcontext)
    losses.append(_losses(spec))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][0] != losses[0][-1]


def _losses(spec: ArchSpec) -> list[float]:
    dataset = load_data("digits").first(64, 16)
    plan = TrainPlan(resolution=64, batch=32, epochs=2, ema=0, device="cpu")
    updater = Updater(build(spec, seed=0), dataset, plan)
    updater.module.train()
    return [updater.take(epoch, step, updater.order(epoch)) for epoch in range(2) for step in range(2)]
