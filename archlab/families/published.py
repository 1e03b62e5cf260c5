"""What did the papers and timm publish? One row per network, with its numbers and where they come from."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from archlab.families.knobs import Knob, Scalar
from archlab.families.refit import Refit
from archlab.spec import ArchSpec

__all__ = ["Family", "Published"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A published network.

    `params` is the exact parameter count; `macs` counts the multiply-adds of convolutions, linear layers and matrix
    products at `resolution`; `top1` is the ImageNet-1k accuracy in percent of the plain variant trained on that set
    alone, None where nobody published one; `source` says in words where the accuracy and the configuration come from.
    """

    name: str
    family: str
    make: Callable[..., ArchSpec] = dataclasses.field(repr=False, compare=False)
    axes: Mapping[str, Scalar]
    resolution: int
    params: int
    macs: int
    top1: float | None
    source: str

    @functools.cached_property
    def spec(self) -> ArchSpec:
        """The network in the spec language."""
        return self.make(**{**self.axes, "resolution": self.resolution})

    def at(self, refit: Refit) -> "Published":
        """The network fitted to small images; its published numbers stay those of the whole one."""
        return dataclasses.replace(self, make=lambda **axes: refit.of(self.make(**axes)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """A way to turn a few knobs into a network, its inverse, and the published points on it.

    `make(**axes)` gives the network; `axes_of(spec)` the knobs that give it back, without those that have no effect
    on it; `axes` names every knob; `steps` are the networks of a paper's ablation: known by name, but no baselines.
    """

    name: str
    title: str
    source: str
    make: Callable[..., ArchSpec] = dataclasses.field(repr=False)
    axes_of: Callable[[ArchSpec], dict[str, Scalar]] = dataclasses.field(repr=False)
    axes: Mapping[str, Knob] = dataclasses.field(repr=False)
    published: tuple[Published, ...] = dataclasses.field(default=(), repr=False)
    steps: tuple[Published, ...] = dataclasses.field(default=(), repr=False)
