"""Which networks are trained at small scale, on which images, for how long? In the order in which they are trained.

`deit` and `swin` are DeiT-T and Swin-T made narrow, with patches of 4 and 2 pixels and windows of side 4. The trio is
EfficientViT-MSRA's M0 at 32 px with plain attention, group attention without and with the cascade: rows 5, 6 and 1 of
the paper's Table 6 (`archlab.artifacts.msra_ablation.small`).
"""

import dataclasses

from archlab.artifacts.msra_ablation import small
from archlab.families import deit, swin
from archlab.spec import ArchSpec
from archlab.training.plan import TrainPlan

__all__ = ["NETWORKS", "Entry", "Recipe"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained: on the first `images` of `data`, in epochs of those, scored on `val_images`."""

    data: str
    images: int
    val_images: int
    epochs: int
    resolution: int
    batch: int = 64
    lr: float = 1e-3
    warmup_epochs: float = 0.5

    def plan(self, seed: int) -> TrainPlan:
        """The plan of one seed."""
        return TrainPlan(
            resolution=self.resolution,
            epochs=self.epochs,
            batch=self.batch,
            lr=self.lr,
            warmup_epochs=self.warmup_epochs,
            seed=seed,
            device="cpu",
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A network, its recipe, its seeds, and whether its weights are kept with the results."""

    spec: ArchSpec
    recipe: Recipe
    seeds: tuple[int, ...] = (0, 1, 2)
    keeps_weights: bool = True


_CIFAR = Recipe(data="cifar10", images=20_000, val_images=5_000, epochs=3, resolution=32)
_DEIT = deit.make(resolution=32, classes=10, patch=4, width=64, heads=4)
_SWIN = swin.make(
    resolution=32,
    classes=10,
    patch=2,
    window=4,
    **dict(zip((f"width_{i}" for i in range(4)), (24, 48, 96, 96), strict=True)),
    **dict(zip((f"heads_{i}" for i in range(4)), (3, 6, 12, 12), strict=True)),
)

NETWORKS: dict[str, Entry] = {
    "deit": Entry(spec=_DEIT, recipe=_CIFAR),
    "swin": Entry(spec=_SWIN, recipe=_CIFAR),
    "msra_cascade": Entry(spec=small(1), recipe=_CIFAR),
    "msra_mhsa": Entry(spec=small(5), recipe=_CIFAR),
    "msra_split": Entry(spec=small(6), recipe=_CIFAR),
}
