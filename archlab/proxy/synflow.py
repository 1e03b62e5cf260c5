"""SynFlow: how much can flow through the network, summed over its weights, without looking at any data.

Every weight θ is replaced by |θ|, the input is all ones, R is the sum of the outputs, and the score is
``log Σ θ · ∂R/∂θ``.

Source: H. Tanaka, D. Kunin, D. Yamins, S. Ganguli, "Pruning neural networks without any data by iteratively
conserving synaptic flow", NeurIPS 2020, equation 2; as a score: M. Abdelfattah et al., "Zero-cost proxies for
lightweight NAS", ICLR 2021, section 3.2. As in the latter's code, norms are neutralised (replaced by the identity)
and the sum runs over the weights of convolutions and linear layers; biases are 0. Deviations: ReLU, GELU, Hard-Swish
and SiLU act as a ReLU does on the positive numbers that flow here, as the identity, so that the score does not depend
on the kind of activation. Softmax and sigmoid stay what they are.

Staying finite. R grows by orders of magnitude per block. After each entry and block of an archlab network the map is
divided by its own mean, a constant c; since all but softmax and sigmoid is homogeneous, R and every θ · ∂R/∂θ are
divided by the same product of the c, whose logarithm is added to the score: exact for networks without softmax and
sigmoid, and where there are some, they see maps of mean 1. Other modules are scored in float64 without it.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.overrides import TorchFunctionMode

from archlab.errors import ProxyError, four_parts

__all__ = ["synflow"]

_NEUTRAL: frozenset[Callable[..., Any]] = frozenset(
    {
        nnf.batch_norm, nnf.layer_norm, nnf.group_norm,
        torch.batch_norm, torch.layer_norm, torch.group_norm,
        nnf.relu, nnf.gelu, nnf.hardswish, nnf.silu, nnf.relu6,
        nnf.leaky_relu, torch.relu, torch.relu_,
    }
)  # fmt: skip


_CUT = re.compile(r"stages\.\d+\.(entry|blocks\.\d+)")
"""Places where nothing but one map goes from layer to layer."""


class _Linear(TorchFunctionMode):
    """Lets norms and activations pass their input through."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _NEUTRAL:
            return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))


def synflow(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Score a network: the natural logarithm of the sum of its synaptic flow.

    Args:
        module: A freshly initialised network; its parameters are overwritten.
        images_BCHW: Only the shape of one image is used.
        seed: Not used; the weights carry it.

    Raises:
        ProxyError: When nothing flows, or the flow is not finite.
    """
    cuts = [layer for name, layer in module.named_modules() if _CUT.fullmatch(name)]
    module.eval().to(torch.float32 if cuts else torch.float64)
    weights = _take_absolutes(module)
    logarithms: list[float] = []
    hooks = [layer.register_forward_hook(functools.partial(_rescale, logarithms)) for layer in cuts]
    ones_BCHW = torch.ones_like(images_BCHW[:1], dtype=weights[0].dtype if weights else None)
    try:
        with torch.enable_grad(), _Linear():
            output = module(ones_BCHW)
            outputs = output if isinstance(output, list | tuple) else [output]
            flow = torch.stack([item.sum() for item in outputs]).sum()
            gradients = torch.autograd.grad(flow, weights, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = zip(weights, gradients, strict=True)
    total = sum(float((w.detach() * g).sum(dtype=torch.float64)) for w, g in pairs if g is not None)
    if not (math.isfinite(total) and total > 0):
        raise ProxyError(
            four_parts(
                "synflow found no finite flow through the network",
                given=total,
                allowed="a positive number",
                do="choose another --proxy for this network",
            )
        )
    return math.log(total) + sum(logarithms)


def _rescale(logarithms: list[float], layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Divide a map by its mean and note the logarithm of what it was divided by."""
    mean = float(output.detach().mean(dtype=torch.float64))
    if not (math.isfinite(mean) and mean > 0):
        return output
    logarithms.append(math.log(mean))
    return output / mean


def _take_absolutes(module: nn.Module) -> list[Tensor]:
    """Make every parameter positive and every bias 0; give the weights of convolutions and linear layers."""
    weights: list[Tensor] = []
    with torch.no_grad():
        for layer in module.modules():
            for name, parameter in layer.named_parameters(recurse=False):
                parameter.requires_grad_(False).abs_()
                if name.endswith("bias"):
                    parameter.zero_()
            if isinstance(layer, nn.Conv2d | nn.Linear):
                weights.append(layer.weight.requires_grad_(True))
    return weights
