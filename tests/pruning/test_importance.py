"""Importance by hand: a depthwise layer with BatchNorm and a classifier whose gradients are known in closed form."""

import dataclasses

import pytest
import torch
from torch import Tensor

from archlab.model.build import Backbone, build
from archlab.pruning.choose import choice_of, choose
from archlab.pruning.groups import Layout, layout_of
from archlab.pruning.importance import magnitude, random, taylor
from archlab.pruning.shrink import Keep, prune
from archlab.spec import ArchSpec, BlockSpec, HeadSpec, StageSpec

CHANNELS, CLASSES, HIDDEN = 4, 3, 8


def tiny(*blocks: BlockSpec, norm: str = "bn") -> Backbone:
    """A 2×2 patch stem with a norm, blocks, and a linear classifier behind a norm."""
    entry = BlockSpec(kind="patchify", width=CHANNELS, stride=2, kernels=(2,), norm=norm)
    spec = ArchSpec(
        resolution=8,
        stages=(StageSpec(entry=entry, blocks=blocks),),
        classes=CLASSES,
        head=HeadSpec(kind="pool", norm=norm),
    )
    module = build(spec, seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                low = 0.5 if name.endswith("running_var") else -1.0
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (1.5 - low) + low)
    return module.eval()


def batch(seed: int = 0, count: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    return images, torch.randint(0, CLASSES, (count,), generator=generator)


def closed_form(module: Backbone, images: Tensor, classes: Tensor) -> Tensor:
    """|gradient × weight| per channel of stem convolution, BatchNorm, head BatchNorm and classifier, by hand.

    The network is linear in the patches: with z the normalised map, f = w·mean(z) + b behind the head's BatchNorm.
    """
    t = {name: value.double() for name, value in module.state_dict().items() if value.is_floating_point()}
    patches = torch.nn.functional.unfold(images.double(), 2, stride=2)  # (B, 12, 16)
    kernel = t["stages.0.entry.patches.conv.weight"].flatten(1)  # (C, 12)
    stem = "stages.0.entry.patches.norm"
    scale = (t[f"{stem}.running_var"] + 1e-5).rsqrt()
    raw = torch.einsum("ck,bkn->bcn", kernel, patches) - t[f"{stem}.running_mean"][:, None]
    normal = raw * scale[:, None]
    pooled = (normal * t[f"{stem}.weight"][:, None] + t[f"{stem}.bias"][:, None]).mean(2)
    head = (t["head.norm.running_var"] + 1e-5).rsqrt()
    centred = (pooled - t["head.norm.running_mean"]) * head
    features = centred * t["head.norm.weight"] + t["head.norm.bias"]
    logits = features @ t["head.fc.weight"].T + t["head.fc.bias"]
    error = (logits.softmax(1) - torch.nn.functional.one_hot(classes, CLASSES)) / len(images)  # d loss / d logits
    to_features = error @ t["head.fc.weight"]
    to_pooled = to_features * t["head.norm.weight"] * head
    to_kernel = torch.einsum("bc,bk->ck", to_pooled * t[f"{stem}.weight"] * scale, patches.mean(2))
    terms = [
        (t["head.fc.weight"] * (error.T @ features)).abs().sum(0),
        (t["head.norm.weight"] * (to_features * centred).sum(0)).abs(),
        (t["head.norm.bias"] * to_features.sum(0)).abs(),
        (t[f"{stem}.weight"] * (to_pooled * normal.mean(2)).sum(0)).abs(),
        (t[f"{stem}.bias"] * to_pooled.sum(0)).abs(),
        (kernel * to_kernel).abs().sum(1),
    ]
    return torch.stack(terms).sum(0)


def test_taylor_is_the_closed_form_with_batch_norm_included() -> None:
    module = tiny()
    batches = [batch(0), batch(1)]
    scores = taylor(batches)(module, layout_of(module.spec))
    wanted = torch.stack([closed_form(module, *each) for each in batches]).mean(0)
    torch.testing.assert_close(scores, wanted, rtol=1e-4, atol=1e-7)


def test_the_affine_parameters_of_the_norm_count() -> None:
    """A larger shift of one channel, undone behind it, moves the score of that channel only."""
    module = tiny()
    layout = layout_of(module.spec)
    before = taylor([batch()])(module, layout)
    with torch.no_grad():
        module.get_parameter("stages.0.entry.patches.norm.bias")[2] += 1.0
        module.get_buffer("head.norm.running_mean")[2] += 1.0
    after = taylor([batch()])(module, layout)
    torch.testing.assert_close(after[[0, 1, 3]], before[[0, 1, 3]])
    assert abs(float(after[2] - before[2])) > 1e-3


def test_the_module_is_left_as_it_was() -> None:
    module = tiny().train()
    next(module.parameters()).requires_grad_(False)
    asked = [p.requires_grad for p in module.parameters()]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    taylor([batch()])(module, layout_of(module.spec))
    assert module.training
    assert [p.requires_grad for p in module.parameters()] == asked
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_magnitude_sums_weights_relative_to_its_width() -> None:
    module = tiny()
    t = module.state_dict()
    sums = t["stages.0.entry.patches.conv.weight"].abs().sum((1, 2, 3)) + t["head.fc.weight"].abs().sum(0)
    for norm in ("stages.0.entry.patches.norm", "head.norm"):
        sums = sums + t[f"{norm}.weight"].abs() + t[f"{norm}.bias"].abs()
    wanted = (sums / sums.mean()).double()
    torch.testing.assert_close(magnitude()(module, layout_of(module.spec)), wanted, rtol=1e-5, atol=0)


def test_magnitude_is_relative_in_widths_that_no_field_holds() -> None:
    """A head of linear attention has values, and queries and values on every further scale, all of one width."""
    module = tiny(BlockSpec(kind="msla", width=CHANNELS, heads=2, key_dim=4, kernels=(3,), norm="bn"))
    layout = layout_of(module.spec)
    scores = magnitude()(module, layout)[list(layout.labels(role="qkv"))]
    torch.testing.assert_close(scores.view(8, 4).mean(1), torch.ones(8, dtype=torch.float64))


def test_random_follows_its_seed() -> None:
    module = tiny()
    layout = layout_of(module.spec)
    assert torch.equal(random(4)(module, layout), random(4)(module, layout))
    assert not torch.equal(random(4)(module, layout), random(5)(module, layout))


BLOCKS = {
    "ffn": BlockSpec(kind="ffn", width=CHANNELS, hidden=HIDDEN, norm="bn", act="relu"),
    "mbconv": BlockSpec(kind="mbconv", width=CHANNELS, hidden=HIDDEN, kernels=(3,), norm="bn", act="hardswish"),
    "qk": BlockSpec(kind="mhsa", width=CHANNELS, heads=2, key_dim=4, value_dim=4, norm="ln"),
    "v": BlockSpec(kind="mhsa", width=CHANNELS, heads=2, key_dim=4, value_dim=4, norm="ln"),
    "q": BlockSpec(
        kind="sdta", width=CHANNELS, hidden=8, kernels=(3,), splits=2, heads=2, key_dim=4, norm="ln", act="gelu"
    ),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_zeroed_channels_go_first(case: str) -> None:
    """One channel of every head, or one of the inner width, is zeroed: exactly those go."""
    module = tiny(BLOCKS[case])
    role = case if case in ("qk", "v", "q") else "ffn"
    layout = layout_of(module.spec)
    pool = next(pool for pool in layout.pools if pool.role == role)
    dead = {stratum[place][0] for stratum, place in zip(pool.strata, (2, 1), strict=False)}
    zero(module, layout, dead)
    scores = taylor([batch()])(module, layout)
    assert scores[sorted(dead)].abs().max() == 0
    found = prune(module.spec, module, taylor([batch()]), Keep(goal=0.999), roles=(role,))
    assert found.gone == dead
    images, _ = batch(7)
    with torch.no_grad():
        torch.testing.assert_close(found.module(images), module(images), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def zero(module: Backbone, layout: Layout, dead: set[int]) -> None:
    tensors = module.state_dict()
    for name, parts in layout.tensors.items():
        for axes in parts if name in tensors else ():
            for axis, labels in enumerate(axes):
                places = [i for i, label in enumerate(labels) if label in dead]
                tensors[name].index_fill_(axis, torch.tensor(places, dtype=torch.long), 0.0)


def test_a_floor_and_the_roles_are_kept() -> None:
    module = tiny(BLOCKS["ffn"], BLOCKS["qk"])
    layout = layout_of(module.spec)
    choice = choice_of(layout, random(0)(module, layout).tolist(), roles=("ffn",), floor=0.5)
    gone = choose(choice, float("inf"))
    assert {layout.roles[label] for label in gone} == {"ffn"}
    assert len(gone) == HIDDEN // 2


def test_a_kind_that_says_nothing_pins_both_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    from archlab.model.blocks import BLOCKS as KINDS

    monkeypatch.setattr(KINDS["ffn"], "channels", classmethod(lambda cls, spec, x, y, draw: None))
    module = tiny(dataclasses.replace(BLOCKS["ffn"]), BLOCKS["qk"])
    roles = {pool.role for pool in layout_of(module.spec).pools}
    assert roles == {"qk", "v", "heads"}
