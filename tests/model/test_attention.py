"""The attention maps of every kind of attention, against the formula written out with torch's own functions."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.model.test_block_maths import SIDE, WIDTH, conv_bn, image, made

BATCH = 2
N = SIDE * SIDE


def weights(q: Tensor, k: Tensor) -> Tensor:
    """Softmax of the scaled products of one head; inputs `(B, d, N)`."""
    return torch.softmax(q.mT @ k / math.sqrt(q.shape[1]), dim=-1)


@torch.no_grad()
def maps_of(block: Any, x: Tensor) -> Tensor:
    """The maps; asking for them leaves the block as it was."""
    before = block(x)
    maps = block.attention_maps(x)
    assert torch.equal(block(x), before)
    assert not any(part._forward_hooks for part in block.modules())
    assert isinstance(maps, Tensor)
    return maps


def test_mhsa() -> None:
    block, t = made(kind="mhsa", heads=3, norm="ln")
    x = image()
    tokens = F.layer_norm(x.flatten(2).mT, (WIDTH,), t["norm.weight"], t["norm.bias"], eps=1e-6)
    q, k, _ = F.linear(tokens, t["qkv.weight"], t["qkv.bias"]).mT.chunk(3, dim=1)
    wanted = torch.stack([weights(q[:, 4 * i : 4 * i + 4], k[:, 4 * i : 4 * i + 4]) for i in range(3)], dim=1)
    assert wanted.shape == (BATCH, 3, N, N)
    torch.testing.assert_close(maps_of(block, x), wanted)


def test_windows_of_an_image_follow_each_other() -> None:
    block, t = made(kind="mhsa", heads=2, key_dim=3, value_dim=5, norm="bn", window=3)
    x = image()
    wanted = []
    for b in range(BATCH):
        for top in (0, 3):
            for left in (0, 3):
                qkv = conv_bn(x[b : b + 1, :, top : top + 3, left : left + 3], t, "qkv").flatten(2)
                pairs = [(qkv[:, 3 * i : 3 * i + 3], qkv[:, 6 + 3 * i : 9 + 3 * i]) for i in range(2)]
                wanted.append(torch.cat([weights(q, k) for q, k in pairs]))
    torch.testing.assert_close(maps_of(block, x), torch.stack(wanted))


def test_cga_head_by_head_after_the_cascade() -> None:
    block, t = made(kind="cga", heads=2, key_dim=3, kernels=(3, 5), norm="bn", act="relu")
    x = image()
    first, second = x.split(6, dim=1)
    q, k, v = conv_bn(first, t, "qkvs.0").split([3, 3, 6], dim=1)
    one = weights(conv_bn(q, t, "dws.0", groups=3).flatten(2), k.flatten(2))
    fed = second + (one @ v.flatten(2).mT).mT.reshape(second.shape)
    q, k, _ = conv_bn(fed, t, "qkvs.1").split([3, 3, 6], dim=1)
    two = weights(conv_bn(q, t, "dws.1", groups=3).flatten(2), k.flatten(2))
    torch.testing.assert_close(maps_of(block, x), torch.stack([one, two], dim=1), rtol=1e-4, atol=1e-6)


def test_sdta_relates_the_channels_of_a_head() -> None:
    block, t = made(kind="sdta", hidden=20, kernels=(3,), splits=2, heads=3, norm="ln", act="gelu")
    x = image()
    mixed = torch.cat([F.conv2d(x[:, :6], t["convs.0.weight"], t["convs.0.bias"], padding=1, groups=6), x[:, 6:]], 1)
    tokens = F.layer_norm(mixed.flatten(2).mT, (WIDTH,), t["norm_xca.weight"], t["norm_xca.bias"], eps=1e-6)
    q, k, _ = F.linear(tokens, t["xca.qkv.weight"], t["xca.qkv.bias"]).mT.chunk(3, dim=1)
    q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
    each = [q[:, 4 * i : 4 * i + 4] @ k[:, 4 * i : 4 * i + 4].mT * t["xca.temperature"][i] for i in range(3)]
    wanted = torch.softmax(torch.stack(each, dim=1), dim=-1)
    assert wanted.shape == (BATCH, 3, 4, 4)
    torch.testing.assert_close(maps_of(block, x), wanted, rtol=1e-4, atol=1e-6)


def test_msla_has_the_map_that_it_never_forms() -> None:
    block, t = made(kind="msla", heads=2, key_dim=2, kernels=(3,), norm="bn")
    x = image()
    plain = F.conv2d(x, t["qkv.weight"])
    scale = F.conv2d(plain, t["aggreg.0.0.weight"], padding=1, groups=12)
    scale = F.conv2d(scale, t["aggreg.0.1.weight"], groups=6)
    wanted = []
    for qkv in (plain[:, :6], plain[:, 6:], scale[:, :6], scale[:, 6:]):
        q, k, _ = torch.relu(qkv.flatten(2)).split(2, dim=1)
        scores = q.mT @ k
        wanted.append(scores / (scores.sum(-1, keepdim=True) + 1e-5))
    torch.testing.assert_close(maps_of(block, x), torch.stack(wanted, dim=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["mhsa", "cga", "sdta"])
def test_rows_of_a_softmax_add_up_to_one(kind: str) -> None:
    more: dict[str, dict[str, Any]] = {
        "mhsa": {"heads": 2, "norm": "bn", "position": "bias", "window": 4},
        "cga": {"heads": 3, "key_dim": (2, 3, 4), "kernels": (3, 3, 3), "norm": "bn", "act": "relu", "window": 4},
        "sdta": {"hidden": 20, "kernels": (3,), "splits": 2, "heads": 2, "norm": "bn", "act": "relu"},
    }
    block, _ = made(kind=kind, **more[kind])
    sums = maps_of(block, image()).sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
