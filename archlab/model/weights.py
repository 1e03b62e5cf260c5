"""Load published weights: our own files, timm's and the authors', strictly; nothing is left random in silence.

Only safetensors files are read. A file may carry the prefixes of a flattened training checkpoint; among
`model_ema`, `model` and `state_dict` the first that fits best counts.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from archlab.errors import WeightsError, four_parts
from archlab.model.build import Backbone, build
from archlab.model.weights_names import Layout, layouts
from archlab.spec import ArchSpec

__all__ = ["convert", "load"]

_WRAPPERS = ("", "model_ema.", "ema.", "model.", "state_dict.", "module.", "net.", "image_encoder.")
_COUNTERS = ".num_batches_tracked"
_RECOMPUTED = ("attention_bias_idxs", ".ab", "relative_position_index", "attn_mask")
"""Ends of names of buffers that some files carry and everybody computes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """One way to read a file: whose names it uses, and its tensors under our names."""

    layout: str
    known: Mapping[str, Tensor]
    extra: tuple[str, ...]


def load(module: Backbone, path: str | Path, family: str | None = None) -> None:
    """Load a safetensors file into a network, or change nothing.

    Args:
        module: A network as `build` makes it; one without head ignores the classifier of the file.
        path: File with archlab's, timm's or the authors' names.
        family: Name of the network's family, for messages.

    Raises:
        WeightsError: If the file cannot be read, or does not hold exactly the network's tensors.
    """
    path = Path(path)
    wanted = module.state_dict()
    tensors = _fit(module.spec, wanted, _read(path), source=path.name, network=family or "this network")
    module.load_state_dict(tensors)


def convert(spec: ArchSpec, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and reshape the tensors of a published checkpoint to the network of a spec.

    Raises:
        WeightsError: If they are not exactly the network's tensors.
    """
    wanted = build(spec, device="meta").state_dict()
    return _fit(spec, wanted, state_dict, source="the state dict", network="this network")


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(
            four_parts("no such weights file", given=path, allowed="a safetensors file", do="check the path")
        )
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            four_parts(
                f"{path.name} cannot be read as safetensors",
                given=f"{path} ({str(error)[:80]})",
                allowed="a safetensors file; pickled checkpoints (.pth, .pt, .bin) can run code and are not opened",
                do='if you trust the file convert it: python -c "import torch, safetensors.torch as s; c = torch.load'
                "('F.pth', map_location='cpu', weights_only=True); d = c.get('model', c.get('state_dict', c)); "
                "s.save_file({k: v.contiguous() for k, v in d.items() if hasattr(v, 'shape')}, 'F.safetensors')\"",
            )
        ) from None
    return tensors


def _fit(
    spec: ArchSpec, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, source: str, network: str
) -> dict[str, Tensor]:
    every = list(build(spec, device="meta").state_dict())
    reading = _best_reading(spec, [*every, *(name for name in wanted if name not in every)], tensors)
    if reading is None:
        raise WeightsError(
            four_parts(
                f"{source} does not hold weights of {network}",
                given=f"{len(tensors)} tensors: {_some(tensors)}",
                allowed=f"{len(wanted)} tensors in archlab's, timm's or the authors' names",
                do="choose the file that was made for this model",
            )
        )
    found = {name: reading.known[name] for name in wanted if name in reading.known}
    found |= {
        name: torch.zeros_like(tensor, device="cpu")
        for name, tensor in wanted.items()
        if name.endswith(_COUNTERS) and name not in found
    }
    where = {"source": source, "network": network, "layout": reading.layout}
    _forbid([name for name in wanted if name not in found], "lacks", **where)
    _forbid(reading.extra, "holds unknown", **where)
    fitted = {name: _reshaped(tensor, wanted[name]) for name, tensor in found.items()}
    _forbid([_shapes(n, found[n], wanted[n]) for n in found if fitted[n] is None], "has other shapes for", **where)
    return {name: tensor for name, tensor in fitted.items() if tensor is not None}


def _best_reading(spec: ArchSpec, ours: Iterable[str], tensors: Mapping[str, Tensor]) -> _Reading | None:
    """Read the file in every way that is possible; the one that explains most of the network counts."""
    ours = list(ours)
    readings = []
    for layout in [None, *layouts(spec)]:
        names = {name if layout is None else layout.their_name(name): name for name in ours}
        readings += [_reading(layout, names, view) for view in _views(tensors)]
    best = max(readings, key=lambda reading: len(reading.known), default=None)
    if best is None or 2 * len(best.known) < min(len(tensors), len(ours)):
        return None
    return best


def _views(tensors: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
    """List the file as it is and without each prefix, or two of them, that some of its names have."""
    prefixes = [first + second for first in _WRAPPERS for second in _WRAPPERS if first or not second]
    views = [{n.removeprefix(p): t for n, t in tensors.items() if n.startswith(p)} for p in prefixes]
    return [view for view in views if view]


def _reading(layout: Layout | None, names: Mapping[str, str], view: Mapping[str, Tensor]) -> _Reading:
    foreign = () if layout is None else layout.foreign
    extra = [n for n in view if n not in names and not n.endswith(_RECOMPUTED) and not n.startswith(foreign or "\0")]
    return _Reading(
        layout="archlab's" if layout is None else layout.title,
        known={names[n]: tensor for n, tensor in view.items() if n in names},
        extra=tuple(extra),
    )


def _reshaped(tensor: Tensor, like: Tensor) -> Tensor | None:
    """Give the tensor the wanted shape if only trailing axes of length one tell them apart, else None."""
    if tensor.is_floating_point() != like.is_floating_point():
        return None
    return tensor.reshape(like.shape) if _trimmed(tensor) == _trimmed(like) else None


def _trimmed(tensor: Tensor) -> list[int]:
    shape = list(tensor.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return shape


def _shapes(name: str, tensor: Tensor, like: Tensor) -> str:
    return f"{name} ({_size(tensor)}, wanted {_size(like)})"


def _size(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return ("×".join(map(str, tensor.shape)) or "scalar") + kind


def _forbid(names: Iterable[str], verb: str, *, source: str, network: str, layout: str) -> None:
    names = list(names)
    if names:
        raise WeightsError(
            four_parts(
                f"{source} {verb} {len(names)} tensor{'s' * (len(names) > 1)} of {network}",
                given=f"{_some(names)}, read in {layout} names",
                allowed="exactly the tensors of the network, with its widths and number of classes",
                do="choose the file that was made for this model, or build the model for it (classes, resolution)",
            )
        )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
