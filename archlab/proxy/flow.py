"""The pass of synaptic flow: absolute weights, an input of ones, and how much of the output runs through each weight.

Every weight θ is replaced by |θ|, biases by 0, the input is all ones, R is the sum of the outputs. Norms are
neutralised (replaced by the identity). ReLU, GELU, Hard-Swish and SiLU act as a ReLU does on the positive numbers that
flow here, as the identity, so that nothing depends on the kind of activation. Softmax and sigmoid stay what they are.

Staying finite. R grows by orders of magnitude per block. After each entry and block of an archlab network the map is
divided by its own mean, a constant c; since all but softmax and sigmoid is homogeneous, R and every θ · ∂R/∂θ are
divided by the same product of the c, whose logarithm is kept: exact for networks without softmax and sigmoid, and
where there are some, they see maps of mean 1. Other modules run in float64 without it.

Source: H. Tanaka, D. Kunin, D. Yamins, S. Ganguli, "Pruning neural networks without any data by iteratively
conserving synaptic flow", NeurIPS 2020, section 5.
"""

import copy
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.overrides import TorchFunctionMode

from archlab.model.attention import written_out
from archlab.proxy.look import joined
from archlab.proxy.modes import places, watched, weighted

__all__ = ["Flow", "flow"]

_NEUTRAL: frozenset[Callable[..., Any]] = frozenset(
    {
        nnf.batch_norm, nnf.layer_norm, nnf.group_norm,
        torch.batch_norm, torch.layer_norm, torch.group_norm,
        nnf.relu, nnf.gelu, nnf.hardswish, nnf.silu, nnf.relu6,
        nnf.leaky_relu, torch.relu, torch.relu_,
    }
)  # fmt: skip


@dataclasses.dataclass(kw_only=True)
class Flow:
    """|θ| and ∂R/∂θ of each convolution and linear layer that the flow reaches, by the layer's name.

    Every gradient is to be multiplied by e to the `logarithm`.
    """

    weights: dict[str, Tensor]
    gradients: dict[str, Tensor]
    logarithm: float


class _Linear(TorchFunctionMode):
    """Lets norms and activations pass their input through."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _NEUTRAL:
            return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))


def flow(module: nn.Module, images_BCHW: Tensor) -> Flow:
    """Run the flow through a copy of a network.

    Args:
        module: A network; left as it is.
        images_BCHW: Only the shape of one image is used.
    """
    module = copy.deepcopy(module)
    cuts = places(module)
    module.eval().to(torch.float32 if cuts else torch.float64)
    layers = _take_absolutes(module)
    logarithms: list[float] = []

    def rescale(layer: nn.Module, output: Tensor) -> Tensor:
        mean = float(output.detach().mean(dtype=torch.float64))
        if not (math.isfinite(mean) and mean > 0):
            return output
        logarithms.append(math.log(mean))
        return output / mean

    weights = [layer.weight for layer in layers.values()]
    ones_BCHW = torch.ones_like(images_BCHW[:1], dtype=weights[0].dtype if weights else None)
    with torch.enable_grad(), written_out(), watched(cuts, rescale), _Linear():
        total = joined(module(ones_BCHW)).sum()
    gradients = torch.autograd.grad(total, weights, allow_unused=True) if weights else ()
    reached = {
        name: (layer.weight.detach(), gradient)
        for (name, layer), gradient in zip(layers.items(), gradients, strict=True)
        if gradient is not None
    }
    return Flow(
        weights={name: weight for name, (weight, _) in reached.items()},
        gradients={name: gradient for name, (_, gradient) in reached.items()},
        logarithm=sum(logarithms),
    )


def _take_absolutes(module: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Make every parameter positive and every bias 0; give the convolutions and linear layers."""
    with torch.no_grad():
        for layer in module.modules():
            for name, parameter in layer.named_parameters(recurse=False):
                parameter.requires_grad_(False).abs_()
                if name.endswith("bias"):
                    parameter.zero_()
    layers = dict(weighted(module))
    for layer in layers.values():
        layer.weight.requires_grad_(True)
    return layers
