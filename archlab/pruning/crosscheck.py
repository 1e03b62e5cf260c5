"""Does the referee agree on what goes with a channel? Our groups beside torch-pruning's dependency graph.

The graph is traced from a run of the network and needs no word from the kinds of blocks, so it is an independent judge
where it can follow: convolutions, linear layers, norms, sums and layer scales. It cannot follow attention that cuts
queries, keys and values out of one tensor, channel groups in a cascade, or grouped convolutions; there our own rules
stand alone, and the logits of the cut network are the proof.
"""

from collections.abc import Iterable, Iterator

import torch
import torch_pruning
from torch import nn

from archlab.pruning.groups import Layout

__all__ = ["Slice", "graph_group", "our_group"]

Slice = tuple[str, int, int]
"""A row or column of a parameter: its name, the axis, and the place on that axis."""


def graph_group(module: nn.Module, side: int, layer: str, channel: int) -> frozenset[Slice]:
    """Ask torch-pruning what goes with one output channel of a layer.

    Args:
        module: The network; left as it was.
        side: Rows and columns of its input images.
        layer: Path of a convolution or linear layer.
        channel: Which of its outputs.
    """
    loose = [(p, 0) for name, p in module.named_parameters() if name.rpartition(".")[2].startswith("gamma")]
    graph = torch_pruning.DependencyGraph().build_dependency(
        module, example_inputs=torch.zeros(1, 3, side, side), unwrapped_parameters=loose, verbose=False
    )
    target = module.get_submodule(layer)
    is_linear = isinstance(target, nn.Linear)
    cut = torch_pruning.prune_linear_out_channels if is_linear else torch_pruning.prune_conv_out_channels
    paths = {id(part): path for path, part in module.named_modules()}
    paths |= {id(p): name for name, p in module.named_parameters()}
    group = graph.get_pruning_group(target, cut, idxs=[channel])
    return frozenset(each for item, places in group for each in _slices(item, places, paths))


def _slices(item: object, places: Iterable[int], paths: dict[int, str]) -> Iterator[Slice]:
    dependency = item
    part = dependency.target.module  # type: ignore[attr-defined]
    path = paths.get(id(part))
    if path is None:
        return
    is_input = "in_channels" in dependency.handler.__name__  # type: ignore[attr-defined]
    if isinstance(part, nn.Parameter):
        yield from ((path, 0, place) for place in places)
        return
    is_apart = isinstance(part, nn.Conv2d) and part.groups > 1
    axis = 1 if is_input and isinstance(part, nn.Conv2d | nn.Linear) and not is_apart else 0
    names = ("weight",) if axis == 1 else ("weight", "bias")
    for name in (name for name in names if getattr(part, name, None) is not None):
        yield from ((f"{path}.{name}", axis, place) for place in places)


def our_group(module: nn.Module, layout: Layout, label: int) -> frozenset[Slice]:
    """Say which rows and columns of parameters a label stands for, the labels that go with it included."""
    gone = layout.with_followers_of([label])
    names = {name for name, _ in module.named_parameters()}
    found = set()
    for name, parts in layout.tensors.items():
        if name in names and len(parts) == 1:
            for axis, labels in enumerate(parts[0]):
                found |= {(name, axis, place) for place, each in enumerate(labels) if each in gone}
    return frozenset(found)
