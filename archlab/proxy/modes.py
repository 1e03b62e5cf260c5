"""How a network is run while it is scored, and where it can be looked at between its layers."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from archlab.model.attention import written_out

__all__ = ["NORMS", "as_batches", "only_differentiable", "places", "replaced", "watched", "weighted"]

NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)

_PLACE = re.compile(r"stages\.\d+\.(entry|blocks\.\d+)")


@contextmanager
def as_batches(module: nn.Module) -> Iterator[None]:
    """Evaluate, but let BatchNorm take its statistics from the batch and leave its running ones as they are."""
    layers = list(module.modules())
    to_turn = [layer for layer in layers if layer.training != isinstance(layer, _BatchNorm)]
    tracked = [layer for layer in layers if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    for layer in to_turn:
        layer.training = not layer.training
    for layer in tracked:
        layer.track_running_stats = False
    try:
        with written_out():
            yield
    finally:
        for layer in tracked:
            layer.track_running_stats = True
        for layer in to_turn:
            layer.training = not layer.training


@contextmanager
def only_differentiable(module: nn.Module, weights: Iterable[Tensor] = ()) -> Iterator[None]:
    """Let only these parameters ask for gradients for a while."""
    was_wanted = {parameter: parameter.requires_grad for parameter in module.parameters()}
    for parameter in was_wanted:
        parameter.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, wanted in was_wanted.items():
            parameter.requires_grad_(wanted)


@contextmanager
def replaced(values: Mapping[Tensor, Tensor]) -> Iterator[None]:
    """Let parameters have other values for a while, of another type too."""
    own = {parameter: parameter.data for parameter in values}
    for parameter, value in values.items():
        parameter.data = value
    try:
        yield
    finally:
        for parameter, value in own.items():
            parameter.data = value


def places(module: nn.Module) -> list[nn.Module]:
    """Entries and blocks in the order in which they run: between them nothing but one map goes from layer to layer."""
    return [layer for name, layer in module.named_modules() if _PLACE.fullmatch(name)]


def weighted(module: nn.Module) -> list[tuple[str, nn.Conv2d | nn.Linear]]:
    """Convolutions and linear layers with their names."""
    return [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


@contextmanager
def watched(layers: Iterable[nn.Module], see: Callable[[nn.Module, Tensor], Any]) -> Iterator[None]:
    """Call `see(layer, output)` whenever one of the layers has run; what it returns takes the output's place."""
    hooks: list[RemovableHandle] = [
        layer.register_forward_hook(lambda layer, inputs, output: see(layer, output)) for layer in layers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
