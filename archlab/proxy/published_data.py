"""What `published` has learnt, as carried beside this file: arrays, no code; `data/README.md` says where they are from.

Everything that `studies/published/ship.py` writes is read here; a Cholesky factor of a few megabytes is made anew.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from archlab.proxy.published_kernel import COLUMNS, SETTINGS, Posterior, noisy_covariance
from archlab.proxy.published_trees import Trees

__all__ = ["PATH", "Learnt", "pack", "shipped", "unpack"]

PATH = Path(__file__).parent / "data" / "published.npz"

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[np.generic]]

_TREES = ("first", "column", "threshold", "left", "right", "value", "start")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learnt:
    """Both halves of the prediction, and how sure it is.

    `centre` and `spread` belong to the smooth half's target, -ln(100 - top-1). `stretch` times the deviation holds
    90 % of the networks of families that were left out; `wide` times as much is taken for a network that is
    extrapolated: one stranger than `limit`, or with a size outside `low_D` to `high_D`.
    """

    posterior: Posterior
    centre: float
    spread: float
    trees: Trees
    family_N: torch.Tensor
    stretch: float = 1.0
    wide: float = 1.0
    limit: float = float("inf")
    low_D: Floats = dataclasses.field(default_factory=lambda: np.full(len(COLUMNS), -np.inf))
    high_D: Floats = dataclasses.field(default_factory=lambda: np.full(len(COLUMNS), np.inf))

    def predict(self, table: Floats) -> tuple[Floats, Floats, Floats]:
        """Top-1 in percent, deviation of -ln(100 - top-1), and strangeness, each `(networks,)`.

        Args:
            table: `(networks, len(COLUMNS))`.
        """
        mean, variance, strange = (one.numpy() for one in self.posterior.predict(torch.from_numpy(table)))
        smooth = 100 - np.exp(-(mean * self.spread + self.centre))
        return (smooth + self.trees.predict(table)) / 2, np.sqrt(variance) * self.spread, strange


def pack(learnt: Learnt) -> Arrays:
    """The arrays to be written; those of networks in single precision, in which they were learnt."""
    trees = {f"trees_{name}": np.asarray(getattr(learnt.trees, name)) for name in _TREES}
    settings = {f"settings_{name}": value.numpy() for name, value in learnt.posterior.settings.items()}
    numbers = {name: np.asarray(getattr(learnt, name)) for name in ("centre", "spread", "stretch", "wide", "limit")}
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
    numbers = {name: float(arrays[name]) for name in ("centre", "spread", "stretch", "wide", "limit")}
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
