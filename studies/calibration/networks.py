"""Which network is meant by a model name of the published latencies? Ours where we have it, else timm's.

The T4 rows come from a library with its own names; the reference names timm's network only for some. The map below
names the others. Every pair is checked by the multiply-adds that the source states (`select_rows.py`).
"""

from collections.abc import Iterator

__all__ = ["network_for"]

OURS = ("convnext_", "edgenext_", "efficientvit_")
"""Prefixes of the names that the package itself builds, at any input size; ConvNeXt V2 is timm's."""


def network_for(model: str, timm_name: str, resolution: int) -> str | None:
    """Name the network: one of ours, `timm:NAME`, or None if neither we nor timm build it.

    Args:
        model: The model's name as published.
        timm_name: timm's name if the reference gives one, else empty.
        resolution: Input side; some of timm's names hold it.
    """
    name = timm_name or _TIMM.get(model, "").format(side=resolution)
    if not name:
        return None
    return name if name.startswith(OURS) else f"timm:{name}"


def _sizes(prefix: str, template: str, sizes: str) -> Iterator[tuple[str, str]]:
    """Pairs for names that differ in their size only; `*` stands for it, in timm's names in lower case."""
    for size in sizes.split():
        yield prefix.replace("*", size), template.replace("*", size.lower())


_TIMM: dict[str, str] = {
    **dict(_sizes("Beit*Patch16", "beit_*_patch16_{side}", "Base Large")),
    **dict(_sizes("BeitV2*Patch16", "beitv2_*_patch16_{side}", "Base Large")),
    "BotNet26T": "botnet26t_256",
    "BotNextECA26T": "eca_botnext26ts_256",
    "BotNetSE33T": "sebotnet33ts_256",
    **dict(_sizes("CAFormer*", "caformer_*", "S18 S36 M36 B36")),
    **dict(_sizes("ConvFormer*", "convformer_*", "S18 S36 M36 B36")),
    **dict(_sizes("CoaTLite*", "coat_lite_*", "Tiny Mini Small")),
    **dict(_sizes("CoaT*", "coat_*", "Tiny Mini")),
    **dict(_sizes("CoAtNet*", "coatnet_*_224", "0 1 2 3 4")),
    **dict(_sizes("CoAtNet-*", "coatnet_*_224", "0 1 2 3")),
    "DaViT_T": "davit_tiny",
    "DaViT_S": "davit_small",
    "DaViT_B": "davit_base",
    "DaViT_L": "davit_large",
    "DaViT_H": "davit_huge",
    **dict(_sizes("DINOv2_ViT_*14", "vit_*_patch14_dinov2", "Small Base Large")),
    "EfficientNetEdgeTPUSmall": "tf_efficientnet_es",
    "EfficientNetEdgeTPUMedium": "tf_efficientnet_em",
    "EfficientNetEdgeTPULarge": "tf_efficientnet_el",
    "EfficientNetV2T": "efficientnetv2_rw_t",
    "EfficientNetV2T_GC": "gc_efficientnetv2_rw_t",
    "EvaLargePatch14": "eva_large_patch14_{side}",
    **dict(_sizes("EVA02*Patch14", "eva02_*_patch14_{side}", "Tiny Small Base")),
    **dict(_sizes("FBNetV3*", "fbnetv3_*", "B D G")),
    **dict(_sizes("FlexiViT*", "flexivit_*", "Small Base Large")),
    "GMLPTiny16": "gmlp_ti16_224",
    "GMLPS16": "gmlp_s16_224",
    "GMLPB16": "gmlp_b16_224",
    "HaloNextECA26T": "eca_halonext26ts",
    "HaloNet26T": "halonet26t",
    "HaloNetSE33T": "sehalonet33ts",
    "HaloRegNetZB": "haloregnetz_b",
    "HaloNet50T": "halonet50ts",
    "HaloBotNet50T": "halo2botnet50ts_256",
    **dict(_sizes("Hiera*", "hiera_*_224", "Tiny Small Base Large")),
    "HieraBasePlus": "hiera_base_plus_224",
    **dict(_sizes("InceptionNeXt*", "inception_next_*", "Tiny Small Base")),
    **dict(_sizes("LCNet*", "lcnet_*", "050 075 100 150")),
    **dict(_sizes("MaxViT_*", "maxvit_*_tf_{side}", "Tiny Small Base Large")),
    **dict(_sizes("MLPMixer*", "mixer_*_224", "S32 S16 B32 B16 L32 L16")),
    **dict(_sizes("PVT_V2B*", "pvt_v2_b*", "0 1 2 3 4 5")),
    "PVT_V2B2_linear": "pvt_v2_b2_li",
    **dict(_sizes("RegNetY*", "regnety_*", "040 064 080 160 320")),
    **dict(_sizes("RegNetZ*", "regnetz_*", "B16 C16 D32 D8 E8")),
    "RepViT_M10": "repvit_m1_0",
    "RepViT_M11": "repvit_m1_1",
    **dict(_sizes("ResMLP*", "resmlp_*_224", "12 24 36")),
    "ResMLP_B24": "resmlp_big_24_224",
    "ResNest50": "resnest50d",
    "ResNest101": "resnest101e",
    "ResNest200": "resnest200e",
    "ResNest269": "resnest269e",
    **dict(_sizes("ResNet*D", "resnet*d", "50 101 152 200")),
    **dict(_sizes("ResNet*Q", "resnet*q", "51 61")),
    "ResNeXt50": "resnext50_32x4d",
    "ResNeXt50D": "resnext50d_32x4d",
    "ResNeXt101": "resnext101_32x4d",
    "ResNeXt101W": "resnext101_32x8d",
    "ResNeXt101W_64": "resnext101_64x4d",
    **dict(_sizes("SwinTransformerV2*_ns", "swinv2_cr_*_ns_224", "Tiny Small")),
    **dict(_sizes("SwinTransformerV2*_window8", "swinv2_*_window8_256", "Tiny Small Base")),
    **dict(_sizes("SwinTransformerV2*_window16", "swinv2_*_window16_256", "Tiny Small Base")),
    "SwinTransformerV2Base_window24": "swinv2_base_window12to24_192to384",
    **dict(_sizes("TinyNet*", "tinynet_*", "A B C D E")),
    **dict(_sizes("TinyViT_*", "tiny_vit_*_{side}", "5M 11M 21M")),
}
