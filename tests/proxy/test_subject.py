"""What proxies are shown: images with a 1/f spectrum, networks without closed gates."""

import numpy as np
import pytest
import torch
from torch import nn

from archlab.families import published
from archlab.model.build import build
from archlab.proxy.subject import fresh, images, reinitialise


def test_images_have_the_spectrum_of_nature() -> None:
    batch = images(32, 64, 0)
    assert batch.shape == (32, 3, 64, 64)
    power = np.abs(np.fft.rfft2(batch[:, 0].numpy())) ** 2
    rows, columns = np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)[None, :]
    radius = np.hypot(rows, columns)
    inside = (radius > 0.03) & (radius < 0.4)
    slope = np.polyfit(np.log(radius[inside]), np.log(power.mean(axis=0)[inside]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.15)  # amplitude 1/f


def test_images_are_standardised_seeded_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    batch = images(4, 33, 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert batch.mean(dim=(0, 2, 3)).numpy() == pytest.approx([0, 0, 0], abs=1e-5)
    assert batch.std(dim=(0, 2, 3)).numpy() == pytest.approx([1, 1, 1], abs=1e-5)
    assert torch.equal(batch, images(4, 33, 1))
    assert not torch.equal(batch, images(4, 33, 2))
    channels = np.corrcoef(batch.transpose(0, 1).reshape(3, -1).numpy())
    assert channels[0, 1] > 0.8  # colours mostly move together


@pytest.mark.parametrize("name", ["efficientvit_m0", "convnext_atto", "edgenext_xx_small", "efficientvit_b0"])
def test_no_gate_stays_closed(name: str) -> None:
    """BatchNorm weights of 0 (MSRA) and layer scales of 1e-6 (ConvNeXt, EdgeNeXt) would hide the blocks."""
    net = reinitialise(build(published(name).spec), 0)
    for path, parameter in net.named_parameters():
        if parameter.dim() == 1 and not path.endswith("bias"):
            assert bool((parameter.abs() > 0.5).all()), path


@pytest.mark.parametrize("name", ["efficientvit_m0", "efficientvit_b0", "edgenext_xx_small"])
def test_building_afresh_is_building_and_initialising(name: str) -> None:
    spec = published(name).spec.replace(resolution=64)
    quick, whole = fresh(spec, 5).state_dict(), reinitialise(build(spec, seed=5), 5).state_dict()
    assert list(quick) == list(whole)
    for key, value in whole.items():
        assert bool(torch.isfinite(quick[key]).all()), key
        assert quick[key].shape == value.shape
        if key.endswith("conv.weight"):
            assert torch.equal(quick[key], value), key


def test_weights_are_he_normal_and_biases_zero() -> None:
    net = nn.Sequential(nn.Conv2d(16, 64, 3, groups=2), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(512, 256))
    reinitialise(net, 3)
    assert float(net[0].weight.detach().std()) == pytest.approx((2 / (8 * 9)) ** 0.5, rel=0.05)  # type: ignore[operator]
    assert float(net[3].weight.detach().std()) == pytest.approx((2 / 512) ** 0.5, rel=0.05)  # type: ignore[operator]
    assert float(net[0].bias.detach().abs().sum()) == 0  # type: ignore[operator, union-attr]
    again = nn.Sequential(nn.Conv2d(16, 64, 3, groups=2), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(512, 256))
    assert torch.equal(reinitialise(again, 3).get_parameter("0.weight"), net.get_parameter("0.weight"))
