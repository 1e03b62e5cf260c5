"""The network with channels masked instead of cut, by other means than slicing: zeros, and norms over what is left."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from archlab.model.blocks.sdta import CrossCovariance
from archlab.model.build import Backbone
from archlab.model.layers import LayerNorm, LayerNorm2d
from archlab.pruning.groups import Layout

__all__ = ["masked", "randomise"]


@torch.no_grad()
def masked(module: Backbone, layout: Layout, gone: frozenset[int]) -> Backbone:
    """Copy a network with every weight of the labels `gone` at zero.

    A LayerNorm takes mean and variance over the kept channels only, and the softmax of cross-covariance attention gives
    channels that are gone no weight; everything else needs no more than zeros.
    """
    copied = copy.deepcopy(module).eval()
    tensors = copied.state_dict()
    for name, parts in layout.tensors.items():
        if name in tensors:
            start = 0
            for axes in parts:
                rows = tensors[name][start : start + len(axes[0])] if axes[0] else tensors[name]
                start += len(axes[0])
                for axis, labels in enumerate(axes):
                    index = [i for i, label in enumerate(labels) if label in gone]
                    rows.index_fill_(axis, torch.tensor(index, dtype=torch.long), 0.0)
    for path, part in copied.named_modules():
        if isinstance(part, LayerNorm) and f"{path}.weight" in layout.tensors:
            labels = layout.tensors[f"{path}.weight"][0][0]
            part.register_forward_hook(_norm_of_kept(torch.tensor([label not in gone for label in labels])))
        if isinstance(part, CrossCovariance):
            _mask_columns(path, part, layout, gone)
    return copied


def _norm_of_kept(kept_C: Tensor):  # type: ignore[no-untyped-def]
    def hook(part: LayerNorm, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        (x,) = inputs
        on_maps = isinstance(part, LayerNorm2d)
        y = x.movedim(1, -1) if on_maps else x
        given = torch.zeros_like(y)
        weight, bias = part.weight[kept_C], part.bias[kept_C]
        given[..., kept_C] = functional.layer_norm(y[..., kept_C], weight.shape, weight, bias, part.eps)
        return given.movedim(-1, 1) if on_maps else given

    return hook


def _mask_columns(path: str, part: CrossCovariance, layout: Layout, gone: frozenset[int]) -> None:
    rows = layout.tensors[f"{path}.qkv.weight"][0][0]
    keys = rows[part.heads * part.value_dim :][: part.heads * part.key_dim]
    out_hd = torch.tensor([label in gone for label in keys]).view(part.heads, 1, part.key_dim)

    def hook(_softmax: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        logits = inputs[0].masked_fill(out_hd, -torch.inf)
        return torch.nan_to_num(logits.softmax(-1))

    part.softmax.register_forward_hook(hook)


@torch.no_grad()
def randomise(module: Backbone, images: Tensor, seed: int = 0) -> None:
    """Give weights and norms values that leave nothing at zero or one, and norms the statistics of some images."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(tensor.shape, generator=generator) * (high - low) + low

    for name, tensor in module.named_parameters():
        if tensor.dim() == 1 and name.endswith("weight"):
            tensor.copy_(uniform(tensor, 0.5, 1.5))
        elif tensor.dim() == 1 or "gamma" in name:
            tensor.copy_(uniform(tensor, -0.3, 0.3))
        else:
            spread = 0.2 if name == "head.fc.weight" else 1.0
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * spread / max(1, tensor[0].numel()) ** 0.5)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = 1.0
    module.train()(images)
    module.eval()
