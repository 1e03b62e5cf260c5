"""What every proxy is shown: a freshly initialised network and generated images.

Networks start differently: EfficientViT-MSRA sets the last BatchNorm of each branch to 0, ConvNeXt scales each branch
by 1e-6, so that an untrained network is next to nothing but its stem. A proxy would then see nothing of the blocks.
Therefore every network is initialised alike before it is scored: convolutions and linear layers He-normal, biases 0,
norms at the identity, and every such gate at 1.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archlab.model.build import build
from archlab.model.layers import Resettable
from archlab.spec import ArchSpec

__all__ = ["fresh", "images", "reinitialise"]

_GATE = 0.1
_CHROMA = 0.3


def images(count: int, side: int, seed: int) -> Tensor:
    """Draw images with the statistics of natural ones: amplitude 1/f, channels that mostly move together.

    Source: D. Field, "Relations between the statistics of natural images and the response properties of cortical
    cells", 1987: the amplitude spectrum of natural scenes falls as 1/f.

    Args:
        count: Number of images.
        side: Rows and columns.
        seed: The same seed gives the same images.

    Returns:
        `(count, 3, side, side)`, each channel of the batch with mean 0 and deviation 1.
    """
    generator = torch.Generator().manual_seed(seed)
    white_BCHW = torch.randn(count, 4, side, side, generator=generator)
    rows, columns = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None, :]
    frequency = torch.sqrt(rows**2 + columns**2)
    frequency[0, 0] = torch.inf
    pink_BCHW = torch.fft.irfft2(torch.fft.rfft2(white_BCHW) / frequency, s=(side, side))
    mixed_BCHW = pink_BCHW[:, :1] + _CHROMA * pink_BCHW[:, 1:]
    mean, deviation = mixed_BCHW.mean(dim=(0, 2, 3), keepdim=True), mixed_BCHW.std(dim=(0, 2, 3), keepdim=True)
    return (mixed_BCHW - mean) / deviation


@torch.no_grad()
def fresh(spec: ArchSpec, seed: int, drawn: torch.Generator | None = None) -> nn.Module:
    """Build a network, for evaluation, and initialise it with `reinitialise`; no weight is drawn twice."""
    module = build(spec, device="meta").to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for layer in reversed(list(module.modules())):  # children first, as `build` does
        if isinstance(layer, Resettable) and not isinstance(layer, nn.Conv2d | nn.Linear):
            layer.reset(generator)
    return reinitialise(module.eval(), seed, drawn)


@torch.no_grad()
def reinitialise(module: nn.Module, seed: int, drawn: torch.Generator | None = None) -> nn.Module:
    """Initialise a network in place, alike for all families; see the module's docstring.

    A gate is a vector of parameters, outside of convolutions, linear layers and norms, that starts at one small
    constant (at most 0.1, layer scale is 1e-6). Position tables and temperatures keep the values they have.

    Args:
        module: The network.
        seed: Of the weights.
        drawn: Is seeded, and left where the last weight was drawn.

    Source: K. He et al., "Delving deep into rectifiers", 2015, equation 10 (deviation sqrt(2 / fan-in)).
    """
    generator = (drawn or torch.Generator()).manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            layer.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
            continue
        is_norm = isinstance(layer, _BatchNorm | nn.LayerNorm | nn.GroupNorm)
        if isinstance(layer, _BatchNorm):
            layer.reset_running_stats()
        for name, parameter in layer.named_parameters(recurse=False):
            if is_norm:
                parameter.fill_(0.0 if name == "bias" else 1.0)
            elif _is_gate(parameter):
                parameter.fill_(1.0)
    return module


def _is_gate(parameter: Tensor) -> bool:
    flat = parameter.flatten()
    return (
        (parameter.dim() <= 1 or flat.numel() == max(parameter.shape))
        and bool((flat == flat[0]).all())
        and abs(float(flat[0])) <= _GATE
    )
