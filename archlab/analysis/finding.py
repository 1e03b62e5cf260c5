"""What is analysed, under which conditions, and what comes out: rows, one figure, one sentence.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from torch import Tensor, nn

from archlab.cost.rows import OpTrace
from archlab.cost.trace import trace_module
from archlab.device.catalog import Device, RunSpec
from archlab.errors import PlanError, four_parts
from archlab.model.build import Backbone
from archlab.model.deploy import deploy
from archlab.proxy.subject import images as generated_images
from archlab.spec import ArchSpec
from archlab.training.dataset import Dataset

__all__ = ["Analysis", "Conditions", "Finding", "Subject", "silent"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subject:
    """One network: `module` in evaluation mode on the CPU, `spec` None where it is not one of archlab's.

    `weights` says in words where its weights are from.
    """

    name: str
    module: nn.Module
    resolution: int
    spec: ArchSpec | None = None
    family: str | None = None
    weights: str = "random weights"

    def deployed(self) -> nn.Module:
        """The network as it would run on a device: BatchNorm folded where archlab knows how."""
        return deploy(self.module) if isinstance(self.module, Backbone) else self.module

    def trace(self, module: nn.Module, batch: int) -> OpTrace:
        """The operators of `module`, a form of this network."""
        return trace_module(module, (batch, 3, self.resolution, self.resolution))

    def required_spec(self, analysis: str) -> ArchSpec:
        """The spec.

        Raises:
            PlanError: For a network without one.
        """
        if self.spec is None:
            raise PlanError(
                four_parts(
                    f"{analysis} changes the spec of a network, and {self.name} has none",
                    given=type(self.module).__name__,
                    allowed="a published name, a spec file or STUDY_DIR:DIGEST",
                    do="choose one of those, or another analysis",
                )
            )
        return self.spec


def silent(line: str) -> None:
    """Say nothing of the progress."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conditions:
    """Where, on what and how an analysis looks; each analysis `takes` some of it and leaves the rest alone.

    `place` and `run` are where time is measured, or estimated; `data` are the images (None: generated ones) and
    `images` how many of them; `formula` is that of `head_similarity`; `knobs` are the knobs that `sensitivity` turns
    (none: all) and `proxy` its score; `keep` is the share of channels that `redundancy` keeps.

    Raises:
        PlanError: For fewer than two images, over which nothing has an interval.
    """

    place: Device | None = None
    run: RunSpec = dataclasses.field(default_factory=RunSpec)
    data: Dataset | None = None
    images: int = 256
    formula: str = "mean"
    knobs: tuple[str, ...] = ()
    proxy: str | None = None
    keep: float | None = None
    seed: int = 0
    on_progress: Callable[[str], object] = silent

    def __post_init__(self) -> None:
        if self.images < 2:
            raise PlanError(
                four_parts(
                    "an interval over images needs more of them",
                    given=f"images {self.images}",
                    allowed="2 or more",
                    do="leave images out to take 256",
                )
            )

    @property
    def data_name(self) -> str:
        """The images in words."""
        return "generated images" if self.data is None else f"images of {self.data.name.rpartition('/')[2]}"

    def batches(self, batch: int, resolution: int) -> Iterator[Tensor]:
        """Give at most `images` normalised images `(B, 3, H, W)`: held-out ones, or generated with natural spectra."""
        left = self.images
        whole = self._all(batch, resolution)
        while left > 0 and (x_BCHW := next(whole, None)) is not None:
            yield x_BCHW[:left]
            left -= len(x_BCHW)

    def _all(self, batch: int, resolution: int) -> Iterator[Tensor]:
        if self.data is None:
            for start in range(0, self.images, batch):
                yield generated_images(batch, resolution, self.seed + start)
            return
        for x_BCHW, _ in self.data.batches(batch, resolution, self.seed, split="val"):
            yield x_BCHW


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Finding:
    """What an analysis found: `rows` with units in their columns' names, and one sentence worked out from them.

    `draw` makes the figure, a matplotlib one.
    """

    name: str
    model: str
    rows: pd.DataFrame
    sentence: str
    draw: Callable[[], Any]

    def plot(self) -> Any:
        """Draw the figure, a matplotlib one, which a notebook shows."""
        return self.draw()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """One row of the table: `takes` names the options that have an effect, `shows` the columns for a terminal.

    `place` is the device that is asked where the user names none.
    """

    name: str
    title: str
    source: str
    takes: frozenset[str]
    shows: tuple[str, ...]
    run: Callable[[Subject, Conditions], Finding]
    place: str | None = None
