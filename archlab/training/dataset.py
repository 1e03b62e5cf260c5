"""What is a set of labelled images? Bytes in memory, two splits, and how to make batches of floats from them.

Legend of the shape suffixes: B batch, H and W rows and columns, C channels.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from archlab.errors import PlanError, four_parts

__all__ = ["Dataset", "Images", "Labels", "Split", "to_input"]

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]
Split: TypeAlias = Literal["train", "val"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Labelled images of one side.

    `images` `(N, H, W, 3)` and `labels` `(N,)` are for training, `val_images` and `val_labels` for scoring; `mean` and
    `std` per channel, of values from 0 to 1, normalise both. `has_mirror` says whether a mirrored image is still one
    of its class: a photograph is, a digit is not.
    """

    name: str
    images: Images
    labels: Labels
    val_images: Images
    val_labels: Labels
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    has_mirror: bool = True

    @property
    def side(self) -> int:
        """Rows of an image as it is kept, in pixels."""
        return int(self.images.shape[1])

    @property
    def digest(self) -> str:
        """First 12 hex digits of a hash over every image and label."""
        total = hashlib.blake2b(digest_size=6)
        for array in (self.images, self.labels, self.val_images, self.val_labels):
            total.update(f"{array.dtype}{array.shape}".encode())
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def first(self, count: int | None, val_count: int | None = None) -> "Dataset":
        """The same set with its first `count` images for training and `val_count` for scoring (None: all).

        Raises:
            PlanError: For a number below 1.
        """
        for number in (count, val_count):
            if number is not None and number < 1:
                raise PlanError(
                    four_parts("so few images are none", given=number, allowed="1 or more", do="ask for more images")
                )
        return dataclasses.replace(
            self,
            images=self.images[:count],
            labels=self.labels[:count],
            val_images=self.val_images[:val_count],
            val_labels=self.val_labels[:val_count],
        )

    def batches(
        self, batch: int, resolution: int | None = None, seed: int | None = 0, *, split: Split = "train"
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Go once through a split without augmentation; the last batch may be smaller.

        Args:
            batch: Images per batch.
            resolution: Side to scale the images to, in pixels; None keeps theirs.
            seed: Of the order; None keeps the order of the set.
            split: Which images.

        Yields:
            Normalised images `(B, 3, H, W)` and labels `(B,)`.
        """
        images, labels = (self.images, self.labels) if split == "train" else (self.val_images, self.val_labels)
        order = np.arange(len(images)) if seed is None else np.random.default_rng(seed).permutation(len(images))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            x_BHWC = torch.from_numpy(images[rows])
            yield to_input(x_BHWC, self, resolution), torch.from_numpy(labels[rows])


def to_input(x_BHWC: Tensor, dataset: Dataset, resolution: int | None) -> Tensor:
    """Turn bytes `(B, H, W, 3)` into normalised floats `(B, 3, R, R)`, on the device of the bytes."""
    x_BCHW = x_BHWC.permute(0, 3, 1, 2).contiguous().float() / 255
    if resolution is not None and x_BCHW.shape[-2:] != (resolution, resolution):
        size = (resolution, resolution)
        x_BCHW = functional.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=False, antialias=True)
    mean, std = (torch.tensor(v, device=x_BCHW.device).view(1, 3, 1, 1) for v in (dataset.mean, dataset.std))
    return (x_BCHW - mean) / std
