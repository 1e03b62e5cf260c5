"""What do published files call our parameters? A layout renames layers by their place and parameters by their kind.

A layout exists for a spec only if the spec has the shape of that family; nothing is guessed for other networks.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

from archlab.spec import ArchSpec, StageSpec

__all__ = ["Layout", "layouts"]

Renames = tuple[tuple[str, str], ...]
"""(our beginning of a name inside a layer, theirs); the first that fits counts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How one source of checkpoints names the parameters of one network.

    `title` is for messages; `places` renames layers (our path → theirs); `inside` the rest of a name by the layer's
    kind; `words` single parts of it; parameters that begin with one of `foreign` belong to no network of ours.
    """

    title: str
    places: Mapping[str, str]
    kinds: Mapping[str, str]
    inside: Mapping[str, Renames]
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    foreign: tuple[str, ...] = ()

    def their_name(self, ours: str) -> str:
        """Rename one parameter of ours."""
        place = _place(ours)
        rest = ours.removeprefix(place + ".")
        for mine, theirs in self.inside.get(self.kinds[place], ()):
            if rest.startswith(mine):
                rest = theirs + rest.removeprefix(mine)
                break
        rest = ".".join(self.words.get(word, word) for word in rest.split("."))
        return f"{self.places[place]}.{rest}" if self.places[place] else rest


def layouts(spec: ArchSpec) -> list[Layout]:
    """List the layouts that published files of such a network may have."""
    kinds = {path: layer.kind for path, layer in spec.layers()} | {"head": "head"}
    found = []
    for make in (_convnext, _msra, _mit, _deit, _swin, _resnet):
        found += [dataclasses.replace(layout, kinds=kinds) for layout in make(spec)]
    return found


def _place(name: str) -> str:
    parts = name.split(".")
    length = 1 if parts[0] == "head" else 3 if parts[2] == "entry" else 4
    return ".".join(parts[:length])


def _are(stage: StageSpec, entry: str, *blocks: str) -> bool:
    return stage.entry.kind == entry and all(block.kind in blocks for block in stage.blocks)


_MLP = (("mlp.fc1", "pwconv1"), ("mlp.fc2", "pwconv2"))


def _convnext(spec: ArchSpec) -> Iterator[Layout]:
    """ConvNeXt and EdgeNeXt: timm's names, and those of both authors."""
    first, *others = spec.stages
    blocks = ("convnext", "sdta")
    if not _are(first, "patchify", *blocks) or not all(_are(stage, "norm_patch", *blocks) for stage in others):
        return
    entries = {
        "patchify": (("patches.conv", "0"), ("patches.norm", "1")),
        "norm_patch": (("norm", "0"), ("conv", "1")),
    }
    timm, official = {"head": "head"}, {"head": ""}
    for path, _ in spec.layers():
        _, i, *rest = path.split(".")
        is_entry = rest == ["entry"]
        timm[path] = ("stem" if i == "0" else f"stages.{i}.downsample") if is_entry else path
        official[path] = f"downsample_layers.{i}" if is_entry else f"stages.{i}.{rest[-1]}"
    yield Layout(title="timm's", places=timm, kinds={}, inside=entries)
    theirs = {"convnext": (("conv_dw", "dwconv"), *_MLP), "sdta": _MLP, "head": (("fc", "head"),)}
    yield Layout(title="the authors'", places=official, kinds={}, inside=entries | theirs)


_MSRA_BLOCK = ("dw", "ffn", "cga", "dw", "ffn")
_MSRA_NAMES = ("dw0", "ffn0", "mixer", "dw1", "ffn1")


def _msra(spec: ArchSpec) -> Iterator[Layout]:
    """EfficientViT of MSRA: blocks of five branches, two branches on each side of a patch merging."""
    timm, official = {"head": "head"}, {"head": "head"}
    for i, stage in enumerate(spec.stages):
        before, after = 2 if i else 0, 2 if i < len(spec.stages) - 1 else 0
        kinds = tuple(block.kind for block in stage.blocks)
        depth = (len(kinds) - before - after) // 5
        wanted = ("dw", "ffn")[:before] + _MSRA_BLOCK * depth + ("dw", "ffn")[:after]
        if stage.entry.kind != ("patch_merge" if i else "overlap_stem") or kinds != wanted:
            return
        timm[f"stages.{i}.entry"] = f"stages.{i}.downsample.patchmerge" if i else "patch_embed"
        official[f"stages.{i}.entry"] = f"blocks{i + 1}.1" if i else "patch_embed"
        for j in range(len(kinds)):
            timm[f"stages.{i}.blocks.{j}"], official[f"stages.{i}.blocks.{j}"] = _msra_place(i, j, before, depth)
    shared: dict[str, Renames] = {
        "dw": (("dw", "m"),),
        "ffn": (("mlp.fc1", "m.pw1"), ("mlp.fc2", "m.pw2")),
        "cga": (("bias.table_hO", "m.attn.attention_biases"), ("proj", "m.attn.proj.1"), ("", "m.attn.")),
    }
    stems = {
        name: tuple((f"convs.{i}.", f"{pattern.format(i + 1, 2 * i)}.") for i in range(8))
        for name, pattern in (("timm", "conv{0}"), ("official", "{1}"))
    }
    words = {"norm": "bn"}
    yield Layout(
        title="timm's",
        places=timm,
        kinds={},
        inside=shared | {"overlap_stem": stems["timm"], "head": (("fc", "linear"),)},
        words=words,
    )
    yield Layout(
        title="the authors'",
        places=official,
        kinds={},
        inside=shared | {"overlap_stem": stems["official"], "head": (("fc", "l"),)},
        words=words | {"conv": "c"},
    )


def _msra_place(i: int, j: int, before: int, depth: int) -> tuple[str, str]:
    """Name branch j of stage i as timm and as the authors do."""
    if j < before:
        return f"stages.{i}.downsample.res2.{j}", f"blocks{i + 1}.2.{j}"
    k = j - before
    if k >= 5 * depth:
        return f"stages.{i + 1}.downsample.res1.{k - 5 * depth}", f"blocks{i + 2}.0.{k - 5 * depth}"
    number, name = k // 5, _MSRA_NAMES[k % 5]
    return f"stages.{i}.blocks.{number}.{name}", f"blocks{i + 1}.{number + (3 if i else 0)}.{name}"


_MIT_BLOCKS = ("mbconv", "fused_mbconv", "msla")


def _mit(spec: ArchSpec) -> Iterator[Layout]:
    """EfficientViT of MIT: a stem of residual convolutions, then stages of local blocks or attention modules."""
    first, *others = spec.stages
    if not _are(first, "conv", "dsconv", "resconv"):
        return
    if not all(_are(stage, stage.entry.kind, *_MIT_BLOCKS) and stage.entry.kind in _MIT_BLOCKS for stage in others):
        return
    is_large = any(block.kind == "resconv" for block in first.blocks)
    stem = "backbone.stages.0.op_list" if is_large else "backbone.input_stem.op_list"
    timm, official = {"head": "head", "stages.0.entry": "stem.in_conv"}, {"head": "head", "stages.0.entry": f"{stem}.0"}
    for j in range(first.depth):
        timm[f"stages.0.blocks.{j}"] = f"stem.res{j}.main"
        official[f"stages.0.blocks.{j}"] = f"{stem}.{j + 1}.main"
    for i, stage in enumerate(others, 1):
        for path, place in _mit_places(i, stage):
            timm[path] = f"stages.{i - 1}.blocks.{place}"
            official[path] = f"backbone.stages.{i if is_large else i - 1}.op_list.{place}"
    inside = {"conv": (("layer.", ""),), "msla": (("qkv.", "qkv.conv."),)}
    head = (("hidden", "classifier.0"), ("norm", "classifier.1"), ("fc", "classifier.4"))
    ops = (
        ("in_conv", "op_list.0"),
        ("hidden", "op_list.2.linear"),
        ("norm", "op_list.2.norm"),
        ("fc", "op_list.3.linear"),
    )
    yield Layout(title="timm's", places=timm, kinds={}, inside=inside | {"head": head})
    yield Layout(
        title="the authors'", places=official, kinds={}, inside=inside | {"head": ops}, foreign=("neck.", "norm.")
    )


def _mit_places(i: int, stage: StageSpec) -> Iterator[tuple[str, str]]:
    """Number the modules of stage i: an attention and the local block after it are one module."""
    yield f"stages.{i}.entry", "0.main"
    number = 0
    kinds = [stage.entry.kind, *(block.kind for block in stage.blocks)]
    for j, (previous, kind) in enumerate(itertools.pairwise(kinds)):
        is_second = previous == "msla" and kind != "msla"
        number += not is_second
        part = "context_module." if kind == "msla" else "local_module." if is_second else ""
        yield f"stages.{i}.blocks.{j}", f"{number}.{part}main"


def _numbered(stage: StageSpec, mixers: tuple[str, ...]) -> list[int] | None:
    """Number of the published block that each branch belongs to, if attention and FFN alternate."""
    kinds = ["a" if block.kind in mixers else block.kind for block in stage.blocks]
    return [j // 2 for j in range(len(kinds))] if kinds == ["a", "ffn"] * (len(kinds) // 2) else None


_ATTENTION = (("norm", "norm1"), ("qkv", "attn.qkv"), ("proj", "attn.proj"))
_FFN = (("norm", "norm2"),)


def _deit(spec: ArchSpec) -> Iterator[Layout]:
    """DeiT: the authors' names, which are timm's."""
    numbers = _numbered(spec.stages[0], ("mhsa",))
    if len(spec.stages) != 1 or spec.stages[0].entry.kind != "patch_tokens" or numbers is None:
        return
    places = {"head": "", "stages.0.entry": ""}
    places |= {f"stages.0.blocks.{j}": f"blocks.{number}" for j, number in enumerate(numbers)}
    entry = (("patches", "patch_embed.proj"), ("class_token_11C", "cls_token"), ("position_1TC", "pos_embed"))
    inside = {"patch_tokens": entry, "mhsa": _ATTENTION, "ffn": _FFN, "head": (("fc", "head"),)}
    yield Layout(title="timm's", places=places, kinds={}, inside=inside)


def _swin(spec: ArchSpec) -> Iterator[Layout]:
    """Swin: a merging belongs to the stage after it for timm, to the one before it for the authors."""
    timm, official = {"head": ""}, {"head": ""}
    for i, stage in enumerate(spec.stages):
        numbers = _numbered(stage, ("wmsa", "swmsa"))
        if stage.entry.kind != ("swin_merge" if i else "patchify") or numbers is None:
            return
        timm[f"stages.{i}.entry"] = f"layers.{i}.downsample" if i else "patch_embed"
        official[f"stages.{i}.entry"] = f"layers.{i - 1}.downsample" if i else "patch_embed"
        for j, number in enumerate(numbers):
            timm[f"stages.{i}.blocks.{j}"] = official[f"stages.{i}.blocks.{j}"] = f"layers.{i}.blocks.{number}"
    attention = (*_ATTENTION, ("bias.table_Oh", "attn.relative_position_bias_table"))
    inside = {"patchify": (("patches.conv", "proj"), ("patches.norm", "norm")), "ffn": _FFN}
    inside |= dict.fromkeys(("wmsa", "swmsa"), attention)
    yield Layout(title="timm's", places=timm, kinds={}, inside=inside | {"head": (("fc", "head.fc"),)})
    yield Layout(title="the authors'", places=official, kinds={}, inside=inside | {"head": (("fc", "head"),)})


_CONV_BN = (("conv", "conv"), ("norm", "bn"))


def _resnet(spec: ArchSpec) -> Iterator[Layout]:
    """ResNet: the authors of torchvision named the layers, timm kept that."""
    first, *others = spec.stages
    if first.entry.kind != "conv_pool" or first.blocks or not others:
        return
    if not all(_are(stage, "bottleneck", "bottleneck") for stage in others):
        return
    places = {"head": "", "stages.0.entry": ""}
    for i, stage in enumerate(others, 1):
        places[f"stages.{i}.entry"] = f"layer{i}.0"
        places |= {f"stages.{i}.blocks.{j}": f"layer{i}.{j + 1}" for j in range(stage.depth)}
    stem = (("layer.conv", "conv1"), ("layer.norm", "bn1"))
    block = tuple((f"layer{k}.{ours}", f"{theirs}{k}") for k in (1, 2, 3) for ours, theirs in _CONV_BN)
    shortcut = (("shortcut.conv", "downsample.0"), ("shortcut.norm", "downsample.1"))
    yield Layout(title="timm's", places=places, kinds={}, inside={"conv_pool": stem, "bottleneck": (*block, *shortcut)})
