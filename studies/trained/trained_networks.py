"""Which networks are trained at small scale, on which images, for how long? In the order in which they are trained.

Group a: `deit` and `swin`, which are DeiT-T and Swin-T made narrow, with patches of 4 and 2 pixels and windows of side
4. Group b: EfficientViT-MSRA's M0 at 32 px with plain attention, group attention without and with the cascade, which
are rows 5, 6 and 1 of the paper's Table 6 (`archlab.artifacts.msra_ablation.small`). Groups c, d and rest: the small
networks of the other rows of the papers' tables, as the artifacts name them.
"""

import dataclasses

from archlab.artifacts import ARTIFACTS
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

    def plan(self, seed: int, device: str) -> TrainPlan:
        """The plan of one seed."""
        return TrainPlan(
            resolution=self.resolution,
            epochs=self.epochs,
            batch=self.batch,
            lr=self.lr,
            warmup_epochs=self.warmup_epochs,
            seed=seed,
            device=device,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A network, its recipe, its place in the order (group), and whether its weights are kept with the results."""

    spec: ArchSpec
    recipe: Recipe
    group: str
    keeps_weights: bool = True


_CIFAR = Recipe(data="cifar10", images=20_000, val_images=5_000, epochs=3, resolution=32)
_SHORT = Recipe(data="cifar10", images=16_000, val_images=5_000, epochs=2, resolution=32, batch=32)
_TINY = Recipe(data="tiny50", images=20_000, val_images=2_500, epochs=4, resolution=64)

_DEIT = deit.make(resolution=32, classes=10, patch=4, width=64, heads=4)
_SWIN = swin.make(
    resolution=32,
    classes=10,
    patch=2,
    window=4,
    **dict(zip((f"width_{i}" for i in range(4)), (24, 48, 96, 96), strict=True)),
    **dict(zip((f"heads_{i}" for i in range(4)), (3, 6, 12, 12), strict=True)),
)

_ANALYSED: dict[str, Entry] = {
    "deit": Entry(spec=_DEIT, recipe=_CIFAR, group="a"),
    "swin": Entry(spec=_SWIN, recipe=_CIFAR, group="a"),
    "msra_cascade": Entry(spec=small(1), recipe=_SHORT, group="b"),
    "msra_mhsa": Entry(spec=small(5), recipe=_SHORT, group="b"),
    "msra_split": Entry(spec=small(6), recipe=_SHORT, group="b"),
}
_NEXT = {"msra_table6": "c", "edgenext_table7": "d"}


def _of_artifacts() -> dict[str, Entry]:
    """The small networks of the papers' tables that are not there yet, each once."""
    found: dict[str, Entry] = {}
    known = {entry.spec.digest for entry in _ANALYSED.values()}
    for artifact in ARTIFACTS.values():
        for number, spec in enumerate(artifact.small.values(), start=1):
            if spec.digest not in known:
                known.add(spec.digest)
                recipe = _SHORT if spec.resolution == _SHORT.resolution else _TINY
                group = _NEXT.get(artifact.name, "rest")
                entry = Entry(spec=spec, recipe=recipe, group=group, keeps_weights=False)
                found[f"{artifact.name}_{number}"] = entry
    return found


NETWORKS: dict[str, Entry] = {**_ANALYSED, **_of_artifacts()}
"""Name → entry. A row of a table is called after the artifact and its place there."""
