"""What `published` has learnt, as carried beside this file: arrays, no code; `data/README.md` says where they are from.

Everything that `studies/published/ship.py` writes is read here; a Cholesky factor of a few megabytes is made anew.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from archlab.proxy.published_kernel import COLUMNS, RECIPE, SETTINGS, USUAL_NUMBERS, Posterior, noisy_covariance
from archlab.proxy.published_trees import Trees

__all__ = ["PATH", "TREES_SHARE", "Answer", "Learnt", "at_usual", "pack", "shipped", "unpack"]

PATH = Path(__file__).parent / "data" / "published.npz"

TREES_SHARE = 0.3
"""Of the prediction in percent; the rest is the smooth half's. Chosen by ranks of networks trained alike."""

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[np.generic]]

_TREES = ("first", "column", "threshold", "left", "right", "value", "start")
_NUMBERS = ("centre", "spread", "stretch", "wide", "limit", "below", "above")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """Predictions of several networks, each `(networks,)`: top-1 in percent, its 90 % interval, and if extrapolated.

    `is_beyond` `(networks, columns)` says which sizes lie outside of those learnt from.
    """

    top1: Floats
    low: Floats
    high: Floats
    is_extrapolated: npt.NDArray[np.bool_]
    is_beyond: npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learnt:
    """Both halves of the prediction, and how sure it is.

    `centre` and `spread` belong to the smooth half's target, -ln(100 - top-1). The interval reaches `stretch` times the
    deviation to both sides, `wide` times as far for a network stranger than `limit`. A network with a size below
    `low_D` or above `high_D` is that far beyond, in standard deviations of that size among the known networks; for each
    of these the interval reaches `below` or `above` times the deviation farther.
    """

    posterior: Posterior
    centre: float
    spread: float
    trees: Trees
    family_N: torch.Tensor
    stretch: float = 1.0
    wide: float = 1.0
    limit: float = float("inf")
    below: float = 0.0
    above: float = 0.0
    low_D: Floats = dataclasses.field(default_factory=lambda: np.full(len(COLUMNS), -np.inf))
    high_D: Floats = dataclasses.field(default_factory=lambda: np.full(len(COLUMNS), np.inf))

    def answer(self, table: Floats) -> Answer:
        """Predict, with how sure that is.

        Args:
            table: `(networks, len(COLUMNS))`.
        """
        top1, deviation, strange = self.predict(table)
        below, above = self.beyond(table)
        farther = np.maximum(self.below * below.max(axis=1), self.above * above.max(axis=1))
        times = self.stretch * np.where(strange > self.limit, self.wide, 1)
        half = deviation * np.maximum(times, self.stretch + farther)
        error, is_beyond = np.maximum(100 - top1, 0.1), (below > 0) | (above > 0)
        return Answer(
            top1=100 - error,
            low=np.maximum(100 - error * np.exp(half), 0),
            high=100 - error * np.exp(-half),
            is_extrapolated=is_beyond.any(axis=1) | (strange > self.limit),
            is_beyond=is_beyond,
        )

    def predict(self, table: Floats) -> tuple[Floats, Floats, Floats]:
        """Top-1 in percent, deviation of -ln(100 - top-1), and strangeness, each `(networks,)`.

        Trees have their share; they cannot go on below the smallest sizes, and fade out within one deviation there.
        """
        smooth, deviation, strange = self.smooth(table)
        stepped = self.trees.predict(table) + self.gain(table, smooth)
        share = TREES_SHARE * np.maximum(1 - self.beyond(table)[0].max(axis=1), 0)
        return smooth + share * (stepped - smooth), deviation, strange

    def beyond(self, table: Floats) -> tuple[Floats, Floats]:
        """How far sizes lie below and above those learnt from, in standard deviations, each `(networks, columns)`."""
        deviation_D = self.posterior.deviation_D.numpy()
        return np.maximum(self.low_D - table, 0) / deviation_D, np.maximum(table - self.high_D, 0) / deviation_D

    def smooth(self, table: Floats) -> tuple[Floats, Floats, Floats]:
        """The same as `predict`, by the smooth half alone."""
        mean, variance, strange = (one.numpy() for one in self.posterior.predict(torch.from_numpy(table)))
        return 100 - np.exp(-(mean * self.spread + self.centre)), np.sqrt(variance) * self.spread, strange

    def gain(self, table: Floats, smooth: Floats) -> Floats:
        """What the smooth half says that networks gain, in points, by their recipe instead of the usual one."""
        usual = at_usual(table)
        gain, is_other = np.zeros(len(table)), (usual != table).any(axis=1)
        if is_other.any():
            gain[is_other] = smooth[is_other] - self.smooth(usual[is_other])[0]
        return gain


def at_usual(table: Floats) -> Floats:
    """The same networks, trained by the usual recipe; in single precision, in which networks are described."""
    usual = table.copy()
    usual[:, -len(RECIPE) :] = np.asarray(USUAL_NUMBERS, np.float32)
    return usual


def pack(learnt: Learnt) -> Arrays:
    """The arrays to be written; those of networks in single precision, in which they were learnt."""
    trees = {f"trees_{name}": np.asarray(getattr(learnt.trees, name)) for name in _TREES}
    settings = {f"settings_{name}": value.numpy() for name, value in learnt.posterior.settings.items()}
    numbers = {name: np.asarray(getattr(learnt, name)) for name in _NUMBERS}
    posterior = learnt.posterior
    return {
        **trees,
        **settings,
        **numbers,
        "columns": np.array(COLUMNS),
        "family": learnt.family_N.numpy().astype(np.int16),
        "mean": posterior.mean_D.numpy(),
        "deviation": posterior.deviation_D.numpy(),
        "table": posterior.table_ND.numpy().astype(np.float32),
        "alpha": posterior.alpha_N.numpy(),
        "low": learnt.low_D,
        "high": learnt.high_D,
    }


def unpack(arrays: Arrays) -> Learnt:
    """What `pack` packed.

    Raises:
        ValueError: When the columns are not those of this version: the file was written by another one.
    """
    if tuple(arrays["columns"]) != COLUMNS:
        raise ValueError("published.npz has other columns than published_kernel.COLUMNS: run studies/published/ship.py")
    settings = {name: torch.from_numpy(np.asarray(arrays[f"settings_{name}"], np.float64)) for name in SETTINGS}
    table_ND = torch.from_numpy(arrays["table"].astype(np.float64))
    family_N = torch.from_numpy(arrays["family"].astype(np.int64))
    posterior = Posterior(
        settings=settings,
        mean_D=torch.from_numpy(arrays["mean"].astype(np.float64)),
        deviation_D=torch.from_numpy(arrays["deviation"].astype(np.float64)),
        table_ND=table_ND,
        alpha_N=torch.from_numpy(arrays["alpha"].astype(np.float64)),
        root_NN=torch.linalg.cholesky(noisy_covariance(settings, table_ND, family_N)),
    )
    trees = {name: arrays[f"trees_{name}"] for name in _TREES[:-1]}
    numbers = {name: float(arrays[name]) for name in _NUMBERS}
    return Learnt(
        posterior=posterior,
        trees=Trees(**trees, start=float(arrays["trees_start"])),  # type: ignore[arg-type]
        family_N=family_N,
        low_D=arrays["low"].astype(np.float64),
        high_D=arrays["high"].astype(np.float64),
        **numbers,
    )


@functools.cache
def shipped() -> Learnt:
    """What comes with the package, read once per process."""
    with np.load(PATH, allow_pickle=False) as file:
        return unpack(dict(file))
