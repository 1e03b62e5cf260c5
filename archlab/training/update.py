"""One step of a training: draw the variation, forward, backward, move the weights and their average.

What a step draws follows from (seed, epoch, step) alone, so a training that goes on draws the same.

Legend of the shape suffixes: B batch, H and W rows and columns, C channels, K classes.
"""

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from archlab.errors import PlanError, four_parts
from archlab.training import augment
from archlab.training.dataset import Dataset, to_input
from archlab.training.optimise import Average, adamw, rate
from archlab.training.plan import TrainPlan
from archlab.training.small_maps import SmallMaps

__all__ = ["Updater"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_IMAGES_SHARE = 4
"""Images may take the free memory of a GPU over this."""


class Updater:
    """A network with what moves its weights; `steps` per epoch.

    The bytes of the images lie on the device of the network where they have room, so that a GPU waits for nothing.
    """

    def __init__(self, module: nn.Module, dataset: Dataset, plan: TrainPlan) -> None:
        self.device = _device(plan.device)
        self.dtype = _DTYPES[plan.precision or _default_precision(self.device)]
        self.module = module.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dataset, self.plan = dataset, plan
        where = self.device if _has_room(self.device, dataset.images.nbytes) else torch.device("cpu")
        self.images_BHWC = torch.from_numpy(dataset.images).to(where)
        self.labels_B = torch.from_numpy(dataset.labels).to(where)
        self.batch = min(plan.batch, len(dataset.images))
        self.steps = len(dataset.images) // self.batch
        self.optimizer = adamw(self.module, lr=plan.lr, weight_decay=plan.weight_decay)
        self.average = Average(self.module, plan.ema) if plan.ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    @property
    def final(self) -> nn.Module:
        """The network that is scored and kept: the average where there is one."""
        return self.module if self.average is None else self.average.module

    def order(self, epoch: int) -> np.ndarray:
        """Which images make up the batches of an epoch, one after the other."""
        return np.random.default_rng((self.plan.seed, epoch)).permutation(len(self.images_BHWC))

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step; at most half of the training warms up."""
        warmup = round(min(self.plan.warmup_epochs, self.plan.epochs / 2) * self.steps)
        total = self.plan.epochs * self.steps
        return rate(epoch * self.steps + step, steps=total, warmup_steps=warmup, lr=self.plan.lr)

    def take(self, epoch: int, step: int, order: np.ndarray) -> float:
        """Do one step and give its loss."""
        draw = np.random.default_rng((self.plan.seed, epoch, step))
        torch.manual_seed(int(draw.integers(2**62)))
        rows = torch.from_numpy(order[step * self.batch : (step + 1) * self.batch]).to(self.images_BHWC.device)
        x_BCHW, targets_BK = self._batch(rows, draw)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(epoch, step)
        with self._precision():
            logits_BK = self.module(x_BCHW)
        loss = functional.cross_entropy(logits_BK.float(), targets_BK, label_smoothing=self.plan.smoothing)
        self._descend(loss)
        if self.average is not None:
            self.average.update(epoch * self.steps + step)
        return loss.item()

    def _precision(self) -> AbstractContextManager[Any]:
        """Run the forward in this: mixed precision, or in fp32 on a CPU quicker convolutions."""
        if self.dtype != torch.float32:
            return torch.autocast(self.device.type, self.dtype)
        return SmallMaps() if self.device.type == "cpu" else contextlib.nullcontext()

    def _batch(self, rows: Tensor, draw: np.random.Generator) -> tuple[Tensor, Tensor]:
        x_BHWC, labels_B = self.images_BHWC[rows].to(self.device), self.labels_B[rows].to(self.device)
        if self.plan.augment:
            x_BHWC = augment.crop_and_mirror(x_BHWC, draw, has_mirror=self.dataset.has_mirror)
        x_BCHW = to_input(x_BHWC, self.dataset, self.plan.resolution)
        targets_BK = functional.one_hot(labels_B, self.dataset.classes).float()
        x_BCHW, targets_BK = augment.mix(x_BCHW, targets_BK, draw, alpha=self.plan.mixup)
        return x_BCHW.contiguous(memory_format=torch.channels_last), targets_BK

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.plan.clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.plan.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()


def _device(name: str | None) -> torch.device:
    """The device of that name, or the best there is.

    Raises:
        PlanError: If torch has none of that name here.
    """
    known = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    wanted = name or ("cuda" if len(known) > 1 else "cpu")
    if f"{wanted}:0" in known or wanted in known:
        return torch.device(wanted)
    raise PlanError(
        four_parts("torch has no such device here", given=wanted, allowed=", ".join(known), do="leave device out")
    )


def _has_room(device: torch.device, size_bytes: int) -> bool:
    """Whether images take less than a quarter of the free memory of a GPU; on a CPU they are there already."""
    return device.type == "cpu" or size_bytes < torch.cuda.mem_get_info(device)[0] / _IMAGES_SHARE


def _default_precision(device: torch.device) -> str:
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
