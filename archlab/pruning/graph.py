"""The channels of any module: torch-pruning's dependency graph says which rows and columns of its weights go together.

The graph is traced from a run of the network and needs no word from the kinds of blocks. It follows convolutions,
linear layers, norms, sums, products, reshapes and layer scales. Networks with a spec are read by our own rules instead
(`groups`), which know more: heads, queries apart from values, channel groups in a cascade. There the graph is a judge.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import copy
import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from archlab.errors import PlanError, four_parts
from archlab.model.channels import Axes
from archlab.pruning.groups import Labelled, Pool

__all__ = ["Traced", "traced"]

_Slice = tuple[str, int, int]
"""A row or column of a parameter: its name, the axis, and the place on that axis."""

_FIXED = "fixed"
"""The role of places that belong to no group; they stay."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traced(Labelled):
    """The channels of a module as the graph finds them; `names` are the parts that `stages` count."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """The outputs of a layer: its path, the role of every channel, and which rows and columns go with which channel."""

    maker: str
    roles: tuple[str, ...]
    slices: tuple[tuple[_Slice, int], ...]


def traced(module: nn.Module, x_BCHW: Tensor) -> Traced:
    """Number the channels of a module and say which rows and columns go with each.

    A channel has the role `embedding` where a sum joins several layers on it, else `ffn`, an inner width. Where a layer
    is three times as wide as what reads it, it makes queries, keys and values: what is read are the values, `v`, the
    rest `qk`. A part is the first name of the layer's path, with the number behind it. What no layer reads, the
    classifier, is left out.

    Args:
        module: The network; left as it was.
        x_BCHW: Images to trace it with.

    Raises:
        PlanError: For a module that the graph cannot follow, or without inner channels.
    """
    module = copy.deepcopy(module).requires_grad_(True)
    groups = _groups(module, x_BCHW)
    if not groups:
        raise _cannot(module, "no channels between its layers")
    names = tuple(dict.fromkeys(_part(group.maker) for group in groups))
    roles: list[str] = []
    stages: list[int] = []
    pools: list[Pool] = []
    labels: dict[_Slice, int] = {}
    for group in groups:
        first, stage = len(roles), names.index(_part(group.maker))
        labels |= {spot: first + channel for spot, channel in group.slices}
        roles += group.roles
        stages += [stage] * len(group.roles)
        for role in dict.fromkeys(group.roles):
            members = tuple((first + i,) for i, own in enumerate(group.roles) if own == role)
            pools.append(Pool(stage=stage, role=role, strata=(members,)))
    return Traced(
        roles=(*roles, _FIXED),
        stages=(*stages, 0),
        blocks=(0,) * (len(roles) + 1),
        tensors=_tensors(module, labels, rest=len(roles)),
        pools=tuple(pools),
        widths=tuple(tuple(label for (label,) in pool.strata[0]) for pool in pools),
        names=names,
    )


def _groups(module: nn.Module, x_BCHW: Tensor) -> list[_Group]:
    """The groups in the order of the layers that make them."""
    paths = {id(part): path for path, part in module.named_modules()}
    order = {path: i for i, path in enumerate(paths.values())}
    paths |= {id(p): name for name, p in module.named_parameters()}
    scales = [(p, 0) for name, p in module.named_parameters() if name.rpartition(".")[2].startswith("gamma")]
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            graph = torch_pruning.DependencyGraph().build_dependency(
                module, example_inputs=x_BCHW, unwrapped_parameters=scales, verbose=False
            )
            items = list(graph.get_all_groups(root_module_types=(nn.Conv2d, nn.Linear)))
    except Exception as error:  # whatever the graph stumbles over: it runs the network and reads its autograd nodes
        raise _cannot(module, f"{type(error).__name__}: {' '.join(str(error).split())[:120]}") from None
    found = (_group(group, paths, order) for group in items)
    return sorted((group for group in found if group is not None), key=lambda group: order[group.maker])


def _group(items: Any, paths: dict[int, str], order: dict[str, int]) -> _Group | None:
    makers: list[str] = []
    read: set[int] = set()
    slices: dict[_Slice, int] = {}
    for item in items:
        part = item.dep.target.module
        if isinstance(part, nn.Conv2d | nn.Linear) and not _is_apart(part):
            if "in_channels" in item.dep.handler.__name__:
                read.update(item.root_idxs)
            else:
                makers.append(paths[id(part)])
        for spot, channel in _slices(item, paths):
            slices.setdefault(spot, channel)
    if not makers or not read:
        return None
    maker, size = min(makers, key=order.__getitem__), len(items[0].idxs)
    if 3 * len(read) == size:
        roles = ["v" if channel in read else "qk" for channel in range(size)]
    else:
        is_sum = len(makers) > 1 and any("AddBackward" in item.dep.target.name for item in items)
        roles = ["embedding" if is_sum else "ffn"] * size
    return _Group(maker=maker, roles=tuple(roles), slices=tuple(slices.items()))


def _slices(item: Any, paths: dict[int, str]) -> Iterator[tuple[_Slice, int]]:
    """The rows or columns of one layer or parameter, each with the channel it goes with."""
    part, places = item.dep.target.module, list(zip(item.idxs, item.root_idxs, strict=True))
    path = paths.get(id(part))
    if path is None:  # no layer, but an operation without weights
        return
    if isinstance(part, nn.Parameter):
        axis = item.dep.target.pruning_dim
        if max(item.idxs) < part.shape[axis]:  # else a table or temperature of whole heads
            yield from (((path, axis, place), channel) for place, channel in places)
        return
    is_input = "in_channels" in item.dep.handler.__name__
    axis = 1 if is_input and isinstance(part, nn.Conv2d | nn.Linear) and not _is_apart(part) else 0
    if axis == 1 and isinstance(part, nn.Conv2d) and part.groups > 1:  # what reads one channel is no whole column
        return
    for name in ("weight",) if axis == 1 else ("weight", "bias"):
        tensor = getattr(part, name, None)
        if tensor is not None and tensor.dim() > axis:
            yield from (((f"{path}.{name}", axis, place), channel) for place, channel in places)


def _is_apart(part: nn.Module) -> bool:
    """Whether a convolution is depthwise, so that it reads what it writes."""
    return isinstance(part, nn.Conv2d) and 1 < part.groups == part.out_channels


def _part(path: str) -> str:
    first, *rest = path.split(".")
    return f"{first}.{rest[0]}" if rest and rest[0].isdigit() else first


def _tensors(module: nn.Module, labels: dict[_Slice, int], rest: int) -> dict[str, tuple[Axes, ...]]:
    """For every parameter that has a place among the slices, the labels along its axes; other places get `rest`."""
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    found: dict[str, list[list[int]]] = {}
    for (name, axis, place), label in labels.items():
        axes = found.setdefault(name, [[] for _ in shapes[name]])
        if not axes[axis]:
            axes[axis] = [rest] * shapes[name][axis]
        axes[axis][place] = label
    return {name: (tuple(tuple(axis) for axis in axes),) for name, axes in found.items()}


def _cannot(module: nn.Module, why: str) -> PlanError:
    return PlanError(
        four_parts(
            "the channels of this network cannot be followed",
            given=f"{type(module).__name__}: {why}",
            allowed="convolutions, linear layers, norms and what torch's autograd records between them",
            do="choose a published name or a spec, whose channels are known",
        )
    )
