"""Attention on 28×28 tokens of width 96: counted in full however it is written, where most counters lose it."""

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from archlab.cost.trace import fused_attention, trace_module

TOKENS, WIDTH, HEADS = 28 * 28, 96, 4
PRODUCT = TOKENS * TOKENS * WIDTH
BY_HAND = TOKENS * WIDTH * 3 * WIDTH + 2 * PRODUCT + TOKENS * WIDTH * WIDTH


class Attention(nn.Module):
    """One softmax attention layer, fused or written out."""

    def __init__(self, *, is_fused: bool) -> None:
        super().__init__()
        self.is_fused = is_fused
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x_BNC: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BNC).reshape(1, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v) if self.is_fused else (q @ k.mT * 0.2).softmax(-1) @ v
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(1, TOKENS, WIDTH))
        return out


@pytest.mark.parametrize("is_fused", [False, True])
def test_attention_counts_in_full(is_fused: bool) -> None:
    trace = trace_module(Attention(is_fused=is_fused), (1, TOKENS, WIDTH))
    assert BY_HAND == 146_915_328
    assert sum(row.macs for row in trace.rows) == BY_HAND
    products = [row for row in trace.rows if row.kind == "matmul"]
    assert [row.macs for row in products] == [PRODUCT, PRODUCT]
    assert [row.weight_elems for row in products] == [0, 0]
    assert [row.kind for row in trace.rows].count("softmax") == 1


def test_torchs_own_encoder_layer_counts_in_full() -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, dim_feedforward=2 * WIDTH, batch_first=True)
    trace = trace_module(layer.eval(), (1, TOKENS, WIDTH))
    assert sum(row.macs for row in trace.rows) == BY_HAND + 2 * TOKENS * WIDTH * 2 * WIDTH
    assert sum(row.params for row in trace.rows) == trace.params


def test_a_fused_attention_can_be_kept_whole() -> None:
    """One row instead of two products and a softmax; scores never reach memory, so it reads three tokens × width."""
    with fused_attention():
        trace = trace_module(Attention(is_fused=True), (1, TOKENS, WIDTH))
    assert sum(row.macs for row in trace.rows) == BY_HAND
    kept = [row for row in trace.rows if row.kind == "matmul"]
    assert [row.macs for row in kept] == [2 * PRODUCT]
    assert (kept[0].read_elems, kept[0].write_elems) == (3 * TOKENS * WIDTH, TOKENS * WIDTH)
    assert "softmax" not in [row.kind for row in trace.rows]


@pytest.mark.parametrize("lead", [(2,), (2, 3), (2, 3, 4)])
def test_kept_whole_with_any_number_of_axes(lead: tuple[int, ...]) -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x, attn_mask=(x @ x.mT) > 0)

    with fused_attention():
        trace = trace_module(Plain(), (*lead, 5, 8))
    assert trace.segments[0].layer.output_shape == (*lead, 5, 8)
