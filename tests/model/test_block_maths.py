"""Kinds that no oracle has, against the formula written out with torch's own functions."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archlab.model.block import Block
from archlab.model.build import build_layer
from archlab.spec import BlockSpec

WIDTH, SIDE = 12, 6


@torch.no_grad()
def made(**fields: Any) -> tuple[Block, dict[str, Tensor]]:
    """A block with random weights and statistics, and its tensors by name."""
    block = build_layer(BlockSpec(width=WIDTH, **fields), WIDTH, SIDE, device="cpu")
    generator = torch.Generator().manual_seed(3)
    for name, tensor in block.state_dict().items():
        if tensor.is_floating_point():
            low = 0.5 if name.endswith("running_var") else -0.6
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 1.2 + low)
    return block.eval(), block.state_dict()


def image() -> Tensor:
    return torch.randn(2, WIDTH, SIDE, SIDE, generator=torch.Generator().manual_seed(4))


def agree(block: Block, wanted: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(block(image()), wanted, rtol=1e-5, atol=1e-5)


def bn(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    mean, var = t[f"{name}.running_mean"], t[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-5)


def ln(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    return F.layer_norm(x, (WIDTH,), t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-6)


def conv_bn(x: Tensor, t: dict[str, Tensor], name: str, groups: int = 1) -> Tensor:
    weight = t[f"{name}.conv.weight"]
    return bn(F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups), t, f"{name}.norm")


def linear(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    return F.linear(x, t[f"{name}.weight"].flatten(1), t[f"{name}.bias"])


def test_convnext_with_batchnorm() -> None:
    block, t = made(kind="convnext", hidden=20, kernels=(5,), norm="bn", act="hardswish")
    assert "conv_dw.bias" not in t
    x = image()
    y = bn(F.conv2d(x, t["conv_dw.weight"], padding=2, groups=WIDTH), t, "norm").permute(0, 2, 3, 1)
    y = t["gamma"] * linear(F.hardswish(linear(y, t, "mlp.fc1")), t, "mlp.fc2")
    agree(block, x + y.permute(0, 3, 1, 2))


def test_sdta_with_batchnorm_normalises_before_the_position_and_keeps_the_norm_in_the_skip() -> None:
    block, t = made(
        kind="sdta", hidden=20, kernels=(3,), splits=3, heads=2, norm="bn", act="hardswish", position="fourier"
    )
    x = image()
    a, b, c = x.chunk(3, dim=1)
    a = F.conv2d(a, t["convs.0.weight"], t["convs.0.bias"], padding=1, groups=4)
    b = F.conv2d(a + b, t["convs.1.weight"], t["convs.1.bias"], padding=1, groups=4)
    y = bn(torch.cat([a, b, c], 1), t, "norm_xca")
    y = y + F.conv2d(fourier(), t["pos_embd.token_projection.weight"], t["pos_embd.token_projection.bias"])
    tokens = y.flatten(2).transpose(1, 2)
    tokens = tokens + t["gamma_xca"] * cross_covariance(tokens, t, heads=2, dim=6)
    y = bn(tokens.transpose(1, 2).reshape(2, WIDTH, SIDE, SIDE), t, "norm").permute(0, 2, 3, 1)
    y = t["gamma"] * linear(F.hardswish(linear(y, t, "mlp.fc1")), t, "mlp.fc2")
    agree(block, x + y.permute(0, 3, 1, 2))


def test_sdta_with_narrow_keys() -> None:
    block, t = made(kind="sdta", hidden=20, kernels=(5,), splits=2, heads=3, key_dim=5, norm="ln", act="gelu")
    x = image()
    first = F.conv2d(x[:, :6], t["convs.0.weight"], t["convs.0.bias"], padding=2, groups=6)
    tokens = torch.cat([first, x[:, 6:]], 1).flatten(2).transpose(1, 2)
    tokens = tokens + t["gamma_xca"] * cross_covariance(ln(tokens, t, "norm_xca"), t, heads=3, dim=5)
    y = t["gamma"] * linear(F.gelu(linear(ln(tokens, t, "norm"), t, "mlp.fc1")), t, "mlp.fc2")
    agree(block, x + y.transpose(1, 2).reshape(x.shape))


def cross_covariance(tokens: Tensor, t: dict[str, Tensor], heads: int, dim: int) -> Tensor:
    qkv = linear(tokens, t, "xca.qkv").transpose(1, 2)
    out = []
    for head in range(heads):
        q, k, v = (qkv[:, (i * heads + head) * dim : (i * heads + head + 1) * dim] for i in range(3))
        q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
        out.append(torch.softmax(q @ k.mT * t["xca.temperature"][head], dim=-1) @ v)
    return linear(torch.cat(out, 1).transpose(1, 2), t, "xca.proj")


def fourier() -> Tensor:
    """The positional encoding, value by value."""
    table = torch.empty(1, 64, SIDE, SIDE)
    for row in range(SIDE):
        for column in range(SIDE):
            for j in range(32):
                wave = math.sin if j % 2 == 0 else math.cos
                period = 10000 ** (2 * (j // 2) / 32)
                table[0, j, row, column] = wave((row + 1) * 2 * math.pi / (SIDE + 1e-6) / period)
                table[0, 32 + j, row, column] = wave((column + 1) * 2 * math.pi / (SIDE + 1e-6) / period)
    return table


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float) -> Tensor:
    """Softmax attention of one head; inputs `(B, d, N)`."""
    return (torch.softmax(q.mT @ k / math.sqrt(q.shape[1]) + bias, dim=-1) @ v.mT).mT


def test_mhsa_with_layer_norm_is_torchs_own() -> None:
    block, t = made(kind="mhsa", heads=3, norm="ln")
    oracle = nn.MultiheadAttention(WIDTH, 3, batch_first=True)
    oracle.load_state_dict(
        {
            "in_proj_weight": t["qkv.weight"],
            "in_proj_bias": t["qkv.bias"],
            "out_proj.weight": t["proj.weight"],
            "out_proj.bias": t["proj.bias"],
        }
    )
    x = image()
    tokens = ln(x.flatten(2).mT, t, "norm")
    with torch.no_grad():
        out, _ = oracle(tokens, tokens, tokens)
    agree(block, x + out.mT.reshape(x.shape))


@pytest.mark.parametrize("window", [None, 3])
def test_mhsa_with_batchnorm_bias_and_windows(window: int | None) -> None:
    block, t = made(kind="mhsa", heads=2, key_dim=3, value_dim=5, norm="bn", position="bias", window=window)
    x, side = image(), window or SIDE
    y = torch.empty_like(x)
    places = [(r, c) for r in range(side) for c in range(side)]
    for top in range(0, SIDE, side):
        for left in range(0, SIDE, side):
            piece = x[:, :, top : top + side, left : left + side]
            qkv = conv_bn(piece, t, "qkv").flatten(2)
            out = []
            for head in range(2):
                table = t["bias.table_hO"][head]
                bias = torch.tensor([[table[abs(a - c) * side + abs(b - d)] for c, d in places] for a, b in places])
                q, k = qkv[:, head * 3 : head * 3 + 3], qkv[:, 6 + head * 3 : 9 + head * 3]
                out.append(attention(q, k, qkv[:, 12 + head * 5 : 17 + head * 5], bias))
            mixed = conv_bn(torch.cat(out, 1).reshape(2, 10, side, side), t, "proj")
            y[:, :, top : top + side, left : left + side] = piece + mixed
    agree(block, y)


@pytest.mark.parametrize(("kind", "window"), [("wmsa", 3), ("swmsa", 3), ("swmsa", 4), ("swmsa", 6)])
def test_shifted_windows_position_by_position(kind: str, window: int) -> None:
    """Each position attends to those of its window that lie near it in the unshifted map; 4 in 6 needs padding."""
    block, t = made(kind=kind, heads=2, key_dim=3, value_dim=5, norm="ln", position="bias", window=window)
    x = image()
    shift = window // 2 if kind == "swmsa" and window < SIDE else 0
    padded = SIDE + -SIDE % window
    z = torch.zeros(2, padded, padded, WIDTH)
    z[:, :SIDE, :SIDE] = torch.roll(ln(x.permute(0, 2, 3, 1), t, "norm"), (-shift, -shift), (1, 2))
    qkv, table = linear(z, t, "qkv"), t["bias.table_Oh"]
    y = torch.zeros(2, padded, padded, WIDTH)
    border = padded - shift  # what lies at or beyond it was rolled in from the other end, or is as far away
    for r, c in itertools.product(range(padded), repeat=2):
        rows, columns = (range(p // window * window, p // window * window + window) for p in (r, c))
        mates = [(a, b) for a in rows for b in columns]
        near = [(a >= border) == (r >= border) and (b >= border) == (c >= border) for a, b in mates]
        number = [(r - a + window - 1) * (2 * window - 1) + c - b + window - 1 for a, b in mates]
        out = []
        for head in range(2):
            q = qkv[:, r, c, 3 * head : 3 * head + 3]
            keys = torch.stack([qkv[:, a, b, 6 + 3 * head : 9 + 3 * head] for a, b in mates], 1)
            values = torch.stack([qkv[:, a, b, 12 + 5 * head : 17 + 5 * head] for a, b in mates], 1)
            logits = (keys @ q[:, :, None])[..., 0] / math.sqrt(3) + table[number, head]
            logits = logits.masked_fill(~torch.tensor(near), -math.inf)
            out.append((logits.softmax(-1)[:, None] @ values)[:, 0])
        y[:, r, c] = linear(torch.cat(out, 1), t, "proj")
    y = torch.roll(y[:, :SIDE, :SIDE], (shift, shift), (1, 2))
    agree(block, x + y.permute(0, 3, 1, 2))


def test_swin_merge_reads_neighbours_column_by_column() -> None:
    block, t = made(kind="swin_merge", stride=2, norm="ln")
    x = image()
    squares = [x[:, :, r::2, c::2] for c in (0, 1) for r in (0, 1)]
    z = torch.cat(squares, 1).permute(0, 2, 3, 1)
    z = F.layer_norm(z, (4 * WIDTH,), t["norm.weight"], t["norm.bias"], eps=1e-6)
    agree(block, F.linear(z, t["reduction.weight"]).permute(0, 3, 1, 2))


def test_patch_tokens_put_the_class_first() -> None:
    block, t = made(kind="patch_tokens", stride=3, kernels=(3,), position="learned")
    x = F.conv2d(image(), t["patches.weight"], t["patches.bias"], stride=3).flatten(2)
    x = torch.cat([t["class_token_11C"].mT.expand(2, -1, -1), x], 2) + t["position_1TC"].mT
    agree(block, x[..., None])


def test_split_heads_do_not_hear_of_each_other() -> None:
    block, t = made(kind="split", heads=3, key_dim=4, kernels=(3, 5, 3), norm="bn", act="relu")
    x, out = image(), []
    for head, feed in enumerate(x.split(4, dim=1)):
        q, k, v = conv_bn(feed, t, f"qkvs.{head}").split(4, dim=1)
        q = conv_bn(q, t, f"dws.{head}", groups=4)
        out.append(attention(q.flatten(2), k.flatten(2), v.flatten(2), 0.0).reshape(2, 4, SIDE, SIDE))
    agree(block, x + conv_bn(torch.relu(torch.cat(out, 1)), t, "proj"))


def test_cga_and_dw_with_layer_norm_have_no_norm_inside() -> None:
    block, t = made(kind="dw", kernels=(3,), norm="ln")
    x = image()
    z = ln(x.permute(0, 2, 3, 1), t, "norm").permute(0, 3, 1, 2)
    agree(block, x + F.conv2d(z, t["dw.conv.weight"], t["dw.conv.bias"], padding=1, groups=WIDTH))
    block, t = made(kind="cga", heads=1, key_dim=4, kernels=(3,), norm="ln", act="relu")
    z = ln(x.permute(0, 2, 3, 1), t, "norm").permute(0, 3, 1, 2)
    q, k, v = F.conv2d(z, t["qkvs.0.conv.weight"], t["qkvs.0.conv.bias"]).split([4, 4, 12], dim=1)
    q = F.conv2d(q, t["dws.0.conv.weight"], t["dws.0.conv.bias"], padding=1, groups=4)
    y = torch.relu(attention(q.flatten(2), k.flatten(2), v.flatten(2), 0.0)).reshape(2, 12, SIDE, SIDE)
    agree(block, x + F.conv2d(y, t["proj.conv.weight"], t["proj.conv.bias"]))


def test_mhsa_adds_the_position_to_the_skip_too() -> None:
    block, t = made(kind="mhsa", heads=1, norm="ln", position="fourier")
    x = image() + F.conv2d(fourier(), t["pos_embd.token_projection.weight"], t["pos_embd.token_projection.bias"])
    qkv = linear(ln(x.flatten(2).mT, t, "norm"), t, "qkv").mT
    out = linear(attention(*qkv.chunk(3, dim=1), bias=0.0).mT, t, "proj")
    agree(block, x + out.mT.reshape(x.shape))


def test_cga_with_uneven_heads_adds_the_channels_both_have() -> None:
    block, t = made(
        kind="cga", heads=3, key_dim=(2, 3, 4), value_dim=(6, 3, 4), kernels=(3, 5, 3), norm="bn", act="relu"
    )
    x, out = image(), []
    feed = x[:, :4]
    for head, (key, value) in enumerate([(2, 6), (3, 3), (4, 4)]):
        if head:
            feed = x[:, 4 * head : 4 * head + 4].clone()
            both = min(4, out[-1].shape[1])
            feed[:, :both] += out[-1][:, :both]
        q, k, v = conv_bn(feed, t, f"qkvs.{head}").split([key, key, value], dim=1)
        q = conv_bn(q, t, f"dws.{head}", groups=key)
        out.append(attention(q.flatten(2), k.flatten(2), v.flatten(2), 0.0).reshape(2, value, SIDE, SIDE))
    agree(block, x + conv_bn(torch.relu(torch.cat(out, 1)), t, "proj"))


def test_ffn_with_layer_norm() -> None:
    block, t = made(kind="ffn", hidden=20, norm="ln", act="silu")
    x = image()
    y = linear(F.silu(linear(ln(x.permute(0, 2, 3, 1), t, "norm"), t, "mlp.fc1")), t, "mlp.fc2")
    agree(block, x + y.permute(0, 3, 1, 2))


def test_msla_is_linear_attention_with_a_shared_denominator() -> None:
    block, t = made(kind="msla", heads=2, key_dim=4, kernels=(3,), norm="bn")
    x = image()
    qkv = F.conv2d(x, t["qkv.weight"])
    near = F.conv2d(qkv, t["aggreg.0.0.weight"], padding=1, groups=24)
    near = F.conv2d(near, t["aggreg.0.1.weight"], groups=6)
    out = []
    for source in (qkv, near):
        for head in range(2):
            q, k, v = source[:, 12 * head : 12 * head + 12].flatten(2).split(4, dim=1)
            weights = torch.relu(q).mT @ torch.relu(k)  # (N, N): what the linear form never builds
            out.append((weights @ v.mT / (weights.sum(-1, keepdim=True) + 1e-5)).mT)
    agree(block, x + conv_bn(torch.cat(out, 1).reshape(2, 16, SIDE, SIDE), t, "proj"))


def test_msla_stays_in_full_precision_under_autocast() -> None:
    block, _ = made(kind="msla", heads=2, key_dim=4, kernels=(3,), norm="bn")
    seen: list[torch.dtype] = []
    block.act.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        block(image())
    assert seen == [torch.float32, torch.float32]
