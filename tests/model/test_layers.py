import pytest
import torch
from torch import nn
from torch.nn import functional as F

from archlab.model.folding import fold_norm_into_next, fold_norm_into_previous, fold_scale_into_previous
from archlab.model.layers import ACTS, ConvNorm, LayerNorm2d, norm_2d
from archlab.model.positions import RelativeBias, fourier_table
from archlab.model.windows import from_windows, to_windows


def test_layer_norm_of_maps_is_over_channels() -> None:
    norm = LayerNorm2d(5, eps=1e-6)
    with torch.no_grad():
        norm.weight.uniform_()
        norm.bias.uniform_()
    x = torch.randn(2, 5, 3, 4)
    centred = x - x.mean(1, keepdim=True)
    normal = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    wanted = normal * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), wanted)


@pytest.mark.parametrize(("norm", "bias", "eps"), [("bn", False, 1e-5), ("ln", True, 1e-6), (None, True, None)])
def test_a_convolution_has_a_bias_unless_a_batchnorm_follows(norm: str | None, bias: bool, eps: float | None) -> None:
    layer = ConvNorm(4, 6, 3, norm=norm)
    assert (layer.conv.bias is not None) == bias
    assert getattr(layer.norm, "eps", None) == eps


def test_epsilon_of_the_spec_comes_first() -> None:
    assert [norm_2d(word, 3, 1e-7).eps for word in ("bn", "ln")] == [1e-7, 1e-7]


def test_words_for_activations() -> None:
    x = torch.linspace(-4, 4, 50)
    functions = {
        "gelu": F.gelu,
        "gelu_tanh": lambda v: F.gelu(v, approximate="tanh"),
        "hardswish": F.hardswish,
        "relu": torch.relu,
        "silu": F.silu,
    }
    assert functions.keys() == ACTS.keys()
    for word, function in functions.items():
        assert torch.equal(ACTS[word]()(x), function(x))


def scrambled(norm: nn.BatchNorm2d | nn.BatchNorm1d) -> nn.BatchNorm2d | nn.BatchNorm1d:
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.uniform_(0.5, 2.0)
    return norm.eval()


@pytest.mark.parametrize("bias", [True, False])
def test_a_batchnorm_folds_into_the_layer_before(bias: bool) -> None:
    conv, norm = nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=bias), scrambled(nn.BatchNorm2d(6))
    x = torch.randn(2, 4, 5, 5)
    wanted = norm(conv(x))
    fold_norm_into_previous(conv, norm)
    torch.testing.assert_close(conv(x), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_batchnorm_folds_into_the_layer_after(bias: bool) -> None:
    conv, norm = nn.Conv2d(4, 6, 2, stride=2, bias=bias), scrambled(nn.BatchNorm2d(4))
    x = torch.randn(2, 4, 6, 6)
    wanted = conv(norm(x))
    fold_norm_into_next(norm, conv)
    torch.testing.assert_close(conv(x), wanted, rtol=1e-5, atol=1e-5)
    layer, norm = nn.Linear(4, 3, bias=bias), scrambled(nn.BatchNorm1d(4))
    wanted = layer(norm(x.mean((2, 3))))
    fold_norm_into_next(norm, layer)
    torch.testing.assert_close(layer(x.mean((2, 3))), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("conv", [nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 2, stride=2, groups=4)])
def test_what_does_not_fold_exactly_is_a_mistake_of_ours(conv: nn.Conv2d) -> None:
    with pytest.raises(AssertionError):
        fold_norm_into_next(nn.BatchNorm2d(4), conv)


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Linear(4, 3, bias=False)])
def test_a_factor_per_channel_folds_into_the_layer_before(layer: nn.Linear) -> None:
    gamma, x = torch.rand(3), torch.randn(5, 4)
    wanted = layer(x) * gamma
    fold_scale_into_previous(layer, gamma)
    torch.testing.assert_close(layer(x), wanted)


def test_fourier_table_by_hand() -> None:
    table = fourier_table(3, 5, torch.device("cpu"))
    assert table.shape == (1, 64, 3, 5)
    y = torch.tensor(2 * 2 * torch.pi / (3 + 1e-6))  # second row
    x = torch.tensor(4 * 2 * torch.pi / (5 + 1e-6))  # fourth column
    third = 10000 ** (2 / 32)
    wanted = torch.stack([y.sin(), y.cos(), (y / third).sin(), (y / third).cos()])
    torch.testing.assert_close(table[0, :4, 1, 3], wanted)
    wanted = torch.stack([x.sin(), x.cos(), (x / third).sin(), (x / third).cos()])
    torch.testing.assert_close(table[0, 32:36, 1, 3], wanted)


def test_relative_bias_numbers_the_offsets() -> None:
    bias = RelativeBias(1, 2)
    with torch.no_grad():
        bias.reset(torch.Generator())
    assert torch.equal(bias(), torch.zeros(1, 4, 4))
    with torch.no_grad():
        bias.table_hO.copy_(torch.tensor([[0.0, 1.0, 2.0, 3.0]]))
    # positions (0,0) (0,1) (1,0) (1,1); offset number = 2·|Δrow| + |Δcolumn|
    wanted = torch.tensor([[[0.0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]])
    assert torch.equal(bias(), wanted)
    bias.fold()
    with torch.no_grad():
        bias.table_hO.zero_()
    assert torch.equal(bias(), wanted), "gathered once"


def test_windows_by_hand() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    windows = to_windows(x, 4, 2)
    assert windows[:, 0].tolist() == [
        [[0, 1], [4, 5]],
        [[2, 3], [6, 7]],
        [[8, 9], [12, 13]],
        [[10, 11], [14, 15]],
    ]
    assert torch.equal(from_windows(windows, 4, 2), x)


@pytest.mark.parametrize(("side", "window"), [(6, 3), (7, 3), (5, 4), (9, 2)])
def test_windows_pad_with_zeros_and_come_back(side: int, window: int) -> None:
    x = torch.randn(2, 3, side, side)
    windows = to_windows(x, side, window)
    count = -(-side // window)
    assert windows.shape == (2 * count * count, 3, window, window)
    torch.testing.assert_close(windows.sum(), x.sum(), rtol=1e-4, atol=1e-4)
    assert torch.equal(from_windows(windows, side, window), x)
