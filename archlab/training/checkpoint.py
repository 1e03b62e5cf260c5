"""What lets a training go on after a kill? One safetensors file: weights, averaged weights, moments, and JSON.

The JSON stands in the file's metadata, so the numbers and the tensors of a moment are never apart; the file is replaced
in one step. Names begin with `model.`, `ema.` or `optimizer.`: as a weights file it gives the averaged weights.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from archlab.errors import StudyError, four_parts
from archlab.files import write_bytes
from archlab.training.update import Updater

__all__ = ["Checkpoint", "plain", "read", "write"]

_KEY = "archlab_training"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What a file holds: tensors under their prefixed names, and the progress that `write` was given."""

    tensors: Mapping[str, Tensor]
    progress: Mapping[str, Any]

    def restore(self, updater: Updater) -> None:
        """Put every tensor back where it was."""
        updater.module.load_state_dict(self._under("model."))
        if updater.average is not None:
            updater.average.module.load_state_dict(self._under("ema."))
        moments = self._under("optimizer.")
        for name, parameter in updater.module.named_parameters():
            kept = {k.rpartition(".")[2]: v for k, v in moments.items() if k.rpartition(".")[0] == name}
            if kept:
                updater.optimizer.state[parameter] = {key: _like(value, parameter) for key, value in kept.items()}

    def _under(self, prefix: str) -> dict[str, Tensor]:
        return {n.removeprefix(prefix): t for n, t in self.tensors.items() if n.startswith(prefix)}


def write(path: Path, updater: Updater, progress: Mapping[str, Any]) -> None:
    """Write the state of a training in one step."""
    tensors = {f"model.{name}": tensor for name, tensor in updater.module.state_dict().items()}
    if updater.average is not None:
        tensors |= {f"ema.{name}": tensor for name, tensor in updater.average.module.state_dict().items()}
    for name, parameter in updater.module.named_parameters():
        state = updater.optimizer.state.get(parameter, {})
        tensors |= {f"optimizer.{name}.{key}": value for key, value in state.items()}
    data = safetensors.torch.save(plain(tensors), metadata={"format": "pt", _KEY: json.dumps(progress)})
    write_bytes(path, data)


def plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, dense and apart from each other, as a file wants them."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A moment, laid out in memory as its parameter is: the fused optimizer walks both alike."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def read(path: Path) -> Checkpoint:
    """Read what `write` wrote.

    Raises:
        StudyError: If the file is damaged or is no checkpoint of a training.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            progress = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise StudyError(
            four_parts(
                f"{path.name} cannot be read as a checkpoint",
                given=f"{path} ({str(error)[:80]})",
                allowed="a file that archlab train wrote",
                do="delete it to begin anew, or choose another folder",
            )
        ) from None
    return Checkpoint(tensors=tensors, progress=progress)
