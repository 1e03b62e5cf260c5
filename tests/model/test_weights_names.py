"""The names in published files, spelled out from the authors' repositories: each lands on one parameter of ours."""

import importlib.util
import re

import pytest
import torch
from torch import Tensor, nn

from archlab.families import published
from archlab.model import weights
from archlab.model.build import build
from archlab.model.timm_gate import create
from archlab.spec import ArchSpec

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm, the oracle, is not installed", allow_module_level=True)

Names = list[tuple[str, str]]

CONVNEXT: Names = [  # timm's names → the authors', in order, as the papers' repositories have them
    (r"^head\.norm\.", "norm."),
    (r"^head\.fc\.", "head."),
    (r"^stem\.(\d)", r"downsample_layers.0.\1"),
    (r"^stages\.(\d)\.downsample\.(\d)", r"downsample_layers.\1.\2"),
    (r"^stages\.(\d)\.blocks\.(\d+)", r"stages.\1.\2"),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.mlp\.fc(\d)\.", r".pwconv\1."),
]
MSRA: Names = [
    (r"^patch_embed\.conv1", "patch_embed.0"),
    (r"^patch_embed\.conv2", "patch_embed.2"),
    (r"^patch_embed\.conv3", "patch_embed.4"),
    (r"^patch_embed\.conv4", "patch_embed.6"),
    (r"^stages\.0\.blocks\.(\d)", r"blocks1.\1"),
    (r"^stages\.([12])\.downsample\.res1", lambda m: f"blocks{int(m[1]) + 1}.0"),
    (r"^stages\.([12])\.downsample\.patchmerge", lambda m: f"blocks{int(m[1]) + 1}.1"),
    (r"^stages\.([12])\.downsample\.res2", lambda m: f"blocks{int(m[1]) + 1}.2"),
    (r"^stages\.([12])\.blocks\.(\d)", lambda m: f"blocks{int(m[1]) + 1}.{int(m[2]) + 3}"),
    (r"\.conv\.", ".c."),
    (r"\.linear\.", ".l."),
]
MIT_HEAD: Names = [
    (r"^head\.in_conv", "head.op_list.0"),
    (r"^head\.classifier\.0", "head.op_list.2.linear"),
    (r"^head\.classifier\.1", "head.op_list.2.norm"),
    (r"^head\.classifier\.4", "head.op_list.3.linear"),
]
MIT_B: Names = [
    (r"^stages\.(\d)\.blocks\.(\d+)", r"backbone.stages.\1.op_list.\2"),
    (r"^stem\.in_conv", "backbone.input_stem.op_list.0"),
    (r"^stem\.res(\d)", lambda m: f"backbone.input_stem.op_list.{int(m[1]) + 1}"),
    *MIT_HEAD,
]
MIT_L: Names = [
    (r"^stages\.(\d)\.blocks\.(\d+)", lambda m: f"backbone.stages.{int(m[1]) + 1}.op_list.{m[2]}"),
    (r"^stem\.in_conv", "backbone.stages.0.op_list.0"),
    (r"^stem\.res(\d)", lambda m: f"backbone.stages.0.op_list.{int(m[1]) + 1}"),
    *MIT_HEAD,
]
SWIN: Names = [
    (r"^layers\.([123])\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample"),
    (r"^head\.fc", "head"),
]
OFFICIAL = {
    "convnext_tiny": CONVNEXT,
    "edgenext_xx_small": CONVNEXT,
    "edgenext_small": CONVNEXT,
    "efficientvit_m0": MSRA,
    "efficientvit_m5": MSRA,
    "efficientvit_b1": MIT_B,
    "efficientvit_l1": MIT_L,
    "swin_tiny_patch4_window7_224": SWIN,
}


def renamed(tensors: dict[str, Tensor], rules: Names) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[name] = tensor
    assert len(found) == len(tensors)
    return found


def small(name: str) -> ArchSpec:
    return published(name).spec.replace(classes=6)


def shared(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module without storage tricks, as a file can hold them."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_names_load_as_timm_names_do(name: str) -> None:
    oracle = create(name, num_classes=6)
    with torch.no_grad():
        for i, tensor in enumerate(oracle.state_dict().values()):
            tensor.copy_(torch.full_like(tensor, i)) if tensor.is_floating_point() else tensor.fill_(i)
    official = renamed(shared(oracle), OFFICIAL[name])
    assert official.keys() != oracle.state_dict().keys()
    by_timm = weights.convert(small(name), shared(oracle))
    assert len({tensor.flatten()[0].item() for tensor in by_timm.values()}) == len(by_timm)
    assert same(weights.convert(small(name), official), by_timm)


def test_official_batchnorm_edgenext_names() -> None:
    """timm does not have this variant; the names are spelled out from the authors' modules."""
    ours = shared(build(small("edgenext_xx_small_bn_hs"), seed=3))
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    official = {f"downsample_layers.0.1.{n}": ours[f"stages.0.entry.patches.norm.{n}"] for n in norm}
    official["downsample_layers.0.0.weight"] = ours["stages.0.entry.patches.conv.weight"]
    for i in (1, 2, 3):
        official |= {f"downsample_layers.{i}.0.{n}": ours[f"stages.{i}.entry.norm.{n}"] for n in norm}
        official[f"downsample_layers.{i}.1.weight"] = ours[f"stages.{i}.entry.conv.weight"]
    for i, depth in enumerate((2, 2, 6, 2)):
        for j in range(depth):
            mine, theirs = f"stages.{i}.blocks.{j}", f"stages.{i}.{j}"
            official |= {f"{theirs}.norm.{n}": ours[f"{mine}.norm.{n}"] for n in norm}
            official[f"{theirs}.gamma"] = ours[f"{mine}.gamma"]
            for k in (1, 2):  # Linear layers there, 1×1 convolutions here
                official[f"{theirs}.pwconv{k}.weight"] = ours[f"{mine}.mlp.fc{k}.weight"].flatten(1)
                official[f"{theirs}.pwconv{k}.bias"] = ours[f"{mine}.mlp.fc{k}.bias"]
            if i == 0 or j < depth - 1:
                official[f"{theirs}.dwconv.weight"] = ours[f"{mine}.conv_dw.weight"]
                continue
            official |= {f"{theirs}.norm_xca.{n}": ours[f"{mine}.norm_xca.{n}"] for n in norm}
            for n in ("gamma_xca", "xca.temperature", "xca.qkv.bias", "xca.proj.bias"):
                official[f"{theirs}.{n}"] = ours[f"{mine}.{n}"]
            for n in ("xca.qkv.weight", "xca.proj.weight"):
                official[f"{theirs}.{n}"] = ours[f"{mine}.{n}"].flatten(1)
            for n in ("weight", "bias"):
                official |= {f"{theirs}.convs.{k}.{n}": ours[f"{mine}.convs.{k}.{n}"] for k in range(max(1, i))}
                if i == 1:
                    key = f"pos_embd.token_projection.{n}"
                    official[f"{theirs}.{key}"] = ours[f"{mine}.{key}"]
    official |= {f"norm.{n}": ours[f"head.norm.{n}"] for n in norm}
    official |= {"head.weight": ours["head.fc.weight"], "head.bias": ours["head.fc.bias"]}
    assert same(weights.convert(small("edgenext_xx_small_bn_hs"), official), ours)


def official_l0(ours: str) -> str:
    """Name of a parameter in the image encoder of the authors' SAM, by the place of its layer."""
    _, i, *rest = ours.replace("layer.", "").replace("qkv.", "qkv.conv.").split(".")
    if rest[0] == "entry":
        return f"stages.{i}.op_list.0." + ".".join(["main"] * (i != "0") + rest[1:])
    j, name = int(rest[1]), ".".join(rest[2:])
    if i != "4":
        return f"stages.{i}.op_list.{j + 1}.main.{name}"
    return f"stages.4.op_list.{j // 2 + 1}.{'local' if j % 2 else 'context'}_module.main.{name}"


def test_a_sam_encoder_gives_the_l0_backbone() -> None:
    spec = published("efficientvit_l0").spec
    ours = shared(build(spec, seed=4))
    official = {f"image_encoder.backbone.{official_l0(n)}": t for n, t in ours.items()}
    assert "image_encoder.backbone.stages.4.op_list.4.context_module.main.aggreg.0.1.weight" in official
    official |= {"image_encoder.neck.0.weight": torch.zeros(3), "mask_decoder.x": torch.zeros(3)}
    assert same(weights.convert(spec, official), ours)


def test_counters_may_be_absent_and_bias_indices_present() -> None:
    spec = small("efficientvit_m0")
    tensors = renamed(shared(create("efficientvit_m0", num_classes=6)), MSRA)
    bare = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    bare["blocks1.0.mixer.m.attn.attention_bias_idxs"] = torch.zeros(49, 49, dtype=torch.long)
    bare["blocks1.0.mixer.m.attn.ab"] = torch.zeros(4, 49, 49)
    found = weights.convert(spec, bare)
    assert found.keys() == build(spec, device="meta").state_dict().keys()


def test_swins_recomputed_buffers_may_be_present() -> None:
    name = "swin_tiny_patch4_window7_224"
    tensors = renamed(shared(create(name, num_classes=6)), SWIN)
    tensors["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
    tensors["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    assert weights.convert(small(name), tensors).keys() == build(small(name), device="meta").state_dict().keys()


def test_deits_names_are_timms() -> None:
    """The authors' classifier, as their repository names its tensors."""
    name = "deit_tiny_patch16_224"
    tensors = shared(create(name, num_classes=6))
    assert {"cls_token", "pos_embed", "patch_embed.proj.bias", "blocks.11.attn.qkv.weight", "head.weight"} <= set(
        tensors
    )
    found = weights.convert(small(name), tensors)
    assert torch.equal(found["stages.0.blocks.22.qkv.weight"], tensors["blocks.11.attn.qkv.weight"])
    assert torch.equal(found["stages.0.blocks.23.norm.weight"], tensors["blocks.11.norm2.weight"])
