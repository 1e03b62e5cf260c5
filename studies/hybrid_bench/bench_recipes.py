"""How are the networks of the benchmark trained? A few recipes, each the same for every network.

The two short ones are for CPUs, one thread each. The long ones are for GPUs, where many trainings share one. At 32 px
the stride of the stem is halved, so both sets show a network the maps that it would have for 64 px: costs per image are
the same.
"""

import dataclasses

from archlab.spec import ArchSpec
from archlab.training.low_resolution import at_low_resolution
from archlab.training.plan import TrainPlan

__all__ = ["RECIPES", "Recipe"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Train on the first `images` of `data` for some epochs, score on the first `val_images` of its test images."""

    data: str
    classes: int
    images: int
    val_images: int
    epochs: int
    resolution: int
    stem_divisor: int
    batch: int
    lr: float

    def small(self, spec: ArchSpec) -> ArchSpec:
        """The network as it is trained."""
        return at_low_resolution(spec, self.resolution, stem_divisor=self.stem_divisor, classes=self.classes)

    def plan(self, seed: int, device: str) -> TrainPlan:
        """The plan of one seed; a GPU trains in bf16."""
        return TrainPlan(
            resolution=self.resolution,
            epochs=self.epochs,
            batch=self.batch,
            lr=self.lr,
            warmup_epochs=0.5,
            seed=seed,
            device=device,
            save_every_s=300,
        )


_CIFAR = Recipe(
    data="cifar10",
    classes=10,
    images=20_000,
    val_images=5_000,
    epochs=3,
    resolution=32,
    stem_divisor=2,
    batch=64,
    lr=1e-3,
)
_TINY = Recipe(
    data="tiny50",
    classes=50,
    images=20_000,
    val_images=2_500,
    epochs=4,
    resolution=64,
    stem_divisor=1,
    batch=64,
    lr=1e-3,
)

RECIPES: dict[str, Recipe] = {
    "cifar10": _CIFAR,
    "tiny50": _TINY,
    "cifar10_long": dataclasses.replace(_CIFAR, images=30_000, epochs=5, batch=128, lr=2e-3),
    "tiny50_long": dataclasses.replace(_TINY, images=25_000, epochs=6, batch=128, lr=2e-3),
}
"""Name → recipe; a row of the results names its recipe, and only rows of one recipe compare."""
