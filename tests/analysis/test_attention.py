"""Attention maps of others' modules are found, and the modules are left as they were."""

import pytest
import torch
from torch import nn

from archlab.analysis.attention import attention_maps
from archlab.errors import PlanError
from archlab.model.build import build
from archlab.spec import ArchSpec, BlockSpec, StageSpec


class Tokens(nn.Module):
    """Patches of an image as tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.patches(x).flatten(2).mT
        return y


def images() -> torch.Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_torchs_attention_inside_its_encoder() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.Sequential(Tokens(), layer, layer).eval()
    before = net(images())
    first, second = attention_maps(net, images())
    tokens = net[0](images())
    _, wanted = layer.self_attn(tokens, tokens, tokens, need_weights=True, average_attn_weights=False)
    assert (first.path, first.kind) == ("1.self_attn", "MultiheadAttention")
    torch.testing.assert_close(first.maps_PhRK, wanted)
    assert second.maps_PhRK.shape == (2, 2, 16, 16)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    torch.testing.assert_close(net(images()), before)


@torch.no_grad()
def test_a_mask_without_a_name_is_kept() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            later = torch.ones(16, 16, dtype=torch.bool).triu(1)
            y: torch.Tensor = self.attend(x, x, x, None, False, later)[0]
            return y

    net = nn.Sequential(Tokens(), Masked()).eval()
    (found,) = attention_maps(net, images())
    assert (found.maps_PhRK.triu(1) == 0).all()
    torch.testing.assert_close(found.maps_PhRK.sum(-1), torch.ones(2, 2, 16))


@torch.no_grad()
def test_archlabs_blocks_in_the_order_of_execution() -> None:
    bn = BlockSpec(kind="mhsa", width=8, heads=2, norm="bn", window=2)
    entry = BlockSpec(kind="patchify", width=8, stride=4, kernels=(4,), norm="bn")
    cga = BlockSpec(kind="cga", width=8, heads=2, key_dim=2, kernels=(3, 3), norm="bn", act="relu")
    net = build(ArchSpec(resolution=16, stages=(StageSpec(entry=entry, blocks=(bn, cga)),), classes=0)).eval()
    found = attention_maps(net, images())
    assert [(m.path, m.kind, tuple(m.maps_PhRK.shape)) for m in found] == [
        ("stages.0.blocks.0", "mhsa", (8, 2, 4, 4)),
        ("stages.0.blocks.1", "cga", (2, 2, 16, 16)),
    ]


@torch.no_grad()
def test_attention_as_timm_writes_it() -> None:
    timm_gate = pytest.importorskip("archlab.model.timm_gate")
    net = timm_gate.create("vit_tiny_patch16_224", keeps_fused_attention=True, img_size=32, depth=2)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert net.blocks[0].attn.fused_attn
    first, second = attention_maps(net, x)
    assert (first.path, second.path) == ("blocks.0.attn", "blocks.1.attn")
    tokens = net.blocks[0].norm1(net._pos_embed(net.patch_embed(x)))
    q, k, _ = net.blocks[0].attn.qkv(tokens).reshape(2, 5, 3, 3, 64).permute(2, 0, 3, 1, 4)
    torch.testing.assert_close(first.maps_PhRK, torch.softmax(q @ k.mT / 8, dim=-1))
    assert net.blocks[0].attn.fused_attn


def test_a_network_without_attention() -> None:
    with pytest.raises(PlanError, match=r"no attention whose maps can be read.*given: Sequential, no attention at all"):
        attention_maps(nn.Sequential(nn.Conv2d(3, 4, 3)), images())


def test_attention_of_an_unknown_form_is_named() -> None:
    class OwnAttention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    with pytest.raises(PlanError, match="given: OwnAttention; allowed: modules with a method attention_maps"):
        attention_maps(nn.Sequential(OwnAttention()), images())
