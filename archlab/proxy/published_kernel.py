"""The smooth half of `published`: a Gaussian process over what networks are made of and how they were trained.

The covariance of two networks is the sum of a straight line per column, a squared-exponential part over sizes, depth
and recipe, and a rougher part (Matérn 3/2) over everything. Columns share one length per group, so that a handful of
numbers is learnt and not one per column. Networks of one family (timm's module file) share what no column tells: that
covariance is in the fit and not in a prediction, which is made as for a family of its own.

Source: C. Rasmussen, C. Williams, "Gaussian processes for machine learning", 2006, equations 2.25 and 2.26
(prediction), 4.9 and 4.17 (the two parts).

Legend of the shape suffixes: N known networks, M asked networks, D columns, G groups.
"""

import dataclasses
import math

import torch
from torch import Tensor

from archlab.proxy.published_features import NAMES

__all__ = [
    "COLUMNS",
    "GROUPS",
    "RECIPE",
    "SETTINGS",
    "USUAL_NUMBERS",
    "Posterior",
    "covariance",
    "group_of",
    "noisy_covariance",
    "scaled",
]

RECIPE = ("strength", "log_epochs", "is_taught", "is_self_supervised")
USUAL_NUMBERS = (3.0, math.log(300), 0.0, 0.0)
"""The recipe that networks are compared at, by `RECIPE`: `published.USUAL`."""

COLUMNS = (*NAMES, *RECIPE)
"""What a network is described by: `NAMES` of the network, then how it was trained."""

_CLIP = 3.0
_GROUPS = {
    "recipe": RECIPE,
    "size": (
        "log_macs", "log_params", "log_body", "log_written", "log_side", "log_macs_per_param", "log_written_per_macs",
        "log_tokens_last",
    ),
    "depth": (
        "log_depth", "log_layers", "log_residuals", "log_spatial", "log_written_per_layer", "log_head_inputs",
        "head_share", "log_stream", "log_width", "log_expansion",
    ),
    "light": (
        "elems_relu", "elems_gelu", "elems_silu", "elems_hardswish", "elems_other", "elems_batch", "elems_layer",
        "elems_group", "elems_scaled", "elems_activation", "norms",
    ),
    "stem": ("stem_kernel", "stem_stride", "log_stem_width"),
    "levels": tuple(name for name in NAMES if name[-1].isdigit() or name.startswith("level_")),
}  # fmt: skip


def group_of(name: str) -> str:
    """The group of a column; what belongs to no other is a mixer: what mixes, and how often."""
    return next((group for group, names in _GROUPS.items() if name in names), "mixers")


GROUPS = (*_GROUPS, "mixers")
_GROUP_D = torch.tensor([GROUPS.index(group_of(name)) for name in COLUMNS])
_COUNT_G = torch.bincount(_GROUP_D, minlength=len(GROUPS)).double()
_SMOOTH = torch.tensor([i for i, name in enumerate(COLUMNS) if group_of(name) in {"recipe", "size", "depth"}])

SETTINGS: dict[str, Tensor] = {
    "smooth": (0.3 / _COUNT_G).log(),
    "rough": (0.1 / _COUNT_G).log(),
    "slope": (0.05 / _COUNT_G).log(),
    "heights": torch.tensor([0.3, 0.3], dtype=torch.float64).log(),
    "noise": torch.tensor(0.005, dtype=torch.float64).log(),
    "family": torch.tensor([0.02, 0.05], dtype=torch.float64).log(),
}
"""Logarithms of the settings before anything is learnt, targets in standard deviations. `smooth`, `rough` (inverse
squared lengths) and `slope` per group; `family`: what a family shares wholly, and where its networks are alike."""


def _square(a_ND: Tensor, b_MD: Tensor, weight_D: Tensor) -> Tensor:
    """Weighted squared distances `(N, M)`."""
    a_ND, b_MD = a_ND * weight_D.sqrt(), b_MD * weight_D.sqrt()
    squares_NM = a_ND.square().sum(1)[:, None] + b_MD.square().sum(1) - 2 * a_ND @ b_MD.T
    return squares_NM.clamp_min(0)


def covariance(settings: dict[str, Tensor], a_ND: Tensor, b_MD: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance of networks that share no family, and the rough part at height 1, both `(N, M)`.

    Args:
        settings: Logarithms, as `SETTINGS`.
        a_ND: Columns in standard deviations, clipped.
        b_MD: The same of other networks.
    """
    smooth = settings["smooth"].exp()[_GROUP_D[_SMOOTH]]
    smooth_NM = torch.exp(-_square(a_ND[:, _SMOOTH], b_MD[:, _SMOOTH], smooth) / 2)
    far_NM = (3 * _square(a_ND, b_MD, settings["rough"].exp()[_GROUP_D]) + 1e-9).sqrt()
    rough_NM = (1 + far_NM) * torch.exp(-far_NM)
    line_NM = (a_ND * settings["slope"].exp()[_GROUP_D]) @ b_MD.T
    heights = settings["heights"].exp()
    return heights[0] * smooth_NM + heights[1] * rough_NM + line_NM, rough_NM


def noisy_covariance(settings: dict[str, Tensor], a_ND: Tensor, family_N: Tensor) -> Tensor:
    """Covariance `(N, N)` of published accuracies: with what a family shares, and noise."""
    between_NN, rough_NN = covariance(settings, a_ND, a_ND)
    shared = settings["family"].exp()
    same_NN = (family_N[:, None] == family_N[None]).to(between_NN)
    noise = settings["noise"].exp() * torch.eye(len(a_ND), dtype=between_NN.dtype)
    return between_NN + same_NN * (shared[0] + shared[1] * rough_NN) + noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Posterior:
    """What is known after the fit; targets are in standard deviations.

    `table_ND` are columns in standard deviations around `mean_D`, clipped; `alpha_N` is the inverse covariance times
    the targets and `root_NN` the covariance's lower Cholesky factor.
    """

    settings: dict[str, Tensor]
    mean_D: Tensor
    deviation_D: Tensor
    table_ND: Tensor
    alpha_N: Tensor
    root_NN: Tensor

    @classmethod
    def of(cls, settings: dict[str, Tensor], raw_ND: Tensor, family_N: Tensor, target_N: Tensor) -> "Posterior":
        """Condition on known networks: raw columns, family codes, targets."""
        mean_D, deviation_D = raw_ND.mean(0), raw_ND.std(0).clamp_min(1e-9)
        table_ND = scaled(raw_ND, mean_D, deviation_D)
        root_NN = torch.linalg.cholesky(noisy_covariance(settings, table_ND, family_N))
        return cls(
            settings=settings,
            mean_D=mean_D,
            deviation_D=deviation_D,
            table_ND=table_ND,
            alpha_N=torch.cholesky_solve(target_N[:, None], root_NN)[:, 0],
            root_NN=root_NN,
        )

    def predict(self, raw_MD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance and how much of the latter is strangeness, all `(M,)`, for networks of families of their own.

        The strangeness is what no known network tells about the asked one; the rest of the variance, what its family
        has for itself and the noise, is the same for all.
        """
        asked_MD = scaled(raw_MD, self.mean_D, self.deviation_D)
        known_NM, _ = covariance(self.settings, self.table_ND, asked_MD)
        own_M = torch.stack([covariance(self.settings, one[None], one[None])[0][0, 0] for one in asked_MD])
        told_NM = torch.linalg.solve_triangular(self.root_NN, known_NM, upper=False)
        strange_M = (own_M - told_NM.square().sum(0)).clamp_min(0)
        rest = self.settings["family"].exp().sum() + self.settings["noise"].exp()
        return self.alpha_N @ known_NM, strange_M + rest, strange_M


def scaled(raw_ND: Tensor, mean_D: Tensor, deviation_D: Tensor) -> Tensor:
    """Columns in standard deviations, clipped, so that one odd number does not decide."""
    return ((raw_ND - mean_D) / deviation_D).clamp(-_CLIP, _CLIP)
