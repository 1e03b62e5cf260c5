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

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.overrides import TorchFunctionMode

from archlab.proxy.look import joined
from archlab.proxy.modes import as_batches, only_differentiable, places, replaced, watched, weighted

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

    @functools.cached_property
    def saliency(self) -> dict[str, float]:
        """Σ |θ| · ∂R/∂θ of each layer, to be multiplied likewise."""
        return {
            name: float(torch.dot(weight.double().flatten(), self.gradients[name].double().flatten()))
            for name, weight in self.weights.items()
        }


class _Linear(TorchFunctionMode):
    """Lets norms and activations pass their input through."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _NEUTRAL:
            return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))


def flow(module: nn.Module, images_BCHW: Tensor) -> Flow:
    """Run the flow through a network.

    Args:
        module: A network; left as it is.
        images_BCHW: Only the shape of one image is used.
    """
    cuts = places(module)
    dtype = torch.float32 if cuts else torch.float64
    values = _absolutes(module, dtype)
    weights = {name: layer.weight for name, layer in weighted(module)}
    logarithms: list[float] = []

    def rescale(layer: nn.Module, output: Tensor) -> Tensor:
        mean = float(output.detach().mean(dtype=torch.float64))
        if not (math.isfinite(mean) and mean > 0):
            return output
        logarithms.append(math.log(mean))
        return output / mean

    ones_BCHW = torch.ones_like(images_BCHW[:1], dtype=dtype)
    with replaced(values), only_differentiable(module, weights.values()), torch.enable_grad():
        with as_batches(module), watched(cuts, rescale), _Linear():
            total = joined(module(ones_BCHW)).sum()
        found = torch.autograd.grad(total, list(weights.values()), allow_unused=True) if weights else ()
    gradients = {name: gradient for name, gradient in zip(weights, found, strict=True) if gradient is not None}
    absolutes = {name: values[weights[name]] for name in gradients}
    return Flow(weights=absolutes, gradients=gradients, logarithm=sum(logarithms))


def _absolutes(module: nn.Module, dtype: torch.dtype) -> dict[Tensor, Tensor]:
    """Values for all parameters: positive, and biases 0."""
    values: dict[Tensor, Tensor] = {}
    for name, parameter in module.named_parameters():
        value = parameter.detach()
        values[parameter] = torch.zeros_like(value, dtype=dtype) if name.endswith("bias") else value.abs().to(dtype)
    return values
