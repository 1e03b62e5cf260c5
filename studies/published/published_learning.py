"""Learn `published` from networks: the settings of its smooth half, its trees, and how wide 90 % has to be.

Both halves predict; the answer is their mean in percent. The smooth half learns -ln(100 - top-1), so that equal steps
are equal shares of the errors left; trees learn percents. Whoever judges must learn anew without the families that are
left out: settings that have seen them look better than they are.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import GradientBoostingRegressor

from archlab.proxy.published import SIZES
from archlab.proxy.published_data import Learnt
from archlab.proxy.published_kernel import COLUMNS, SETTINGS, Posterior, noisy_covariance, scaled
from archlab.proxy.published_trees import Trees

__all__ = ["codes", "families_out", "grow", "learn", "leftover", "settings_for"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_STEPS, _RATE = 40, 0.1
_PRIOR_WIDTH = 1.5
_SEEDS = 3
_INNER = 6
_CONFIDENCE, _ORDINARY = 0.9, 0.95


def codes(families: list[str]) -> Codes:
    """A number per family."""
    return np.unique(families, return_inverse=True)[1]


def families_out(family: Codes, folds: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Folds that are whole families, as even as may be: the largest family first, to the smallest fold.

    Families of one size are dealt in an order drawn from `seed`.
    """
    names, sizes = np.unique(family, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).permutation(len(names)), -sizes))
    load, fold_of = np.zeros(folds, int), np.zeros(len(names), int)
    for at in order:
        fold_of[at] = int(load.argmin())
        load[fold_of[at]] += sizes[at]
    of_network = fold_of[np.searchsorted(names, family)]
    return [of_network == fold for fold in range(folds)]


def learn(table: Floats, family: Codes, top1: Floats) -> Learnt:
    """Learn from the columns, family codes and accuracies in percent of known networks.

    How wide 90 % are is learnt from families left out in turn: once for ordinary networks, and once for those that are
    stranger than 95 % of them or have a size beyond what the rest has.
    """
    settings = settings_for(table, family, top1)
    scores, strange = np.empty(len(top1)), np.empty(len(top1))
    is_beyond = np.zeros(len(top1), np.bool_)
    for out in families_out(family, _INNER, 0):
        inner = _learn(table[~out], family[~out], top1[~out], settings, seeds=1)
        predicted, deviation, strange[out] = inner.predict(table[out])
        scores[out] = np.abs(leftover(predicted) - leftover(top1[out])) / deviation
        is_beyond[out] = ((table[out] < inner.low_D) | (table[out] > inner.high_D)).any(axis=1)
    limit = float(np.quantile(strange, _ORDINARY))
    is_odd = is_beyond | (strange > limit)
    stretch = float(np.quantile(scores[~is_odd], _CONFIDENCE))
    wide = max(1.0, float(np.quantile(scores[is_odd], _CONFIDENCE)) / stretch)
    learnt = _learn(table, family, top1, settings, seeds=_SEEDS)
    return dataclasses.replace(learnt, stretch=stretch, wide=wide, limit=limit)


def leftover(top1: Floats) -> Floats:
    """The smooth target, -ln(100 - top-1); an error is taken as 0.1 points at least."""
    result: Floats = -np.log(np.maximum(100 - top1, 0.1))
    return result


def settings_for(table: Floats, family: Codes, top1: Floats) -> dict[str, torch.Tensor]:
    """The settings of the smooth half by the largest posterior density, known within a few steps of Adam."""
    target = leftover(top1)
    target_N = torch.from_numpy((target - target.mean()) / target.std())
    family_N, raw_ND = torch.from_numpy(family), torch.from_numpy(table)
    table_ND = scaled(raw_ND, raw_ND.mean(0), raw_ND.std(0).clamp_min(1e-9))
    settings = {name: value.clone().requires_grad_(True) for name, value in SETTINGS.items()}
    optimiser = torch.optim.Adam(settings.values(), lr=_RATE)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        root_NN = torch.linalg.cholesky(noisy_covariance(settings, table_ND, family_N))
        white_N = torch.linalg.solve_triangular(root_NN, target_N[:, None], upper=False)
        loss = white_N.square().sum() / 2 + root_NN.diagonal().log().sum()
        for name, value in settings.items():
            loss = loss + ((value - SETTINGS[name]) / _PRIOR_WIDTH).square().sum() / 2
        loss.backward()
        optimiser.step()
    return {name: value.detach() for name, value in settings.items()}


def _learn(table: Floats, family: Codes, top1: Floats, settings: dict[str, torch.Tensor], *, seeds: int) -> Learnt:
    target, family_N = leftover(top1), torch.from_numpy(family)
    centre, spread = float(target.mean()), float(target.std())
    target_N = torch.from_numpy((target - centre) / spread)
    is_size = np.isin(COLUMNS, SIZES)
    return Learnt(
        posterior=Posterior.of(settings, torch.from_numpy(table), family_N, target_N),
        centre=centre,
        spread=spread,
        trees=grow(table, top1, seeds=seeds),
        family_N=family_N,
        low_D=np.where(is_size, table.min(axis=0), -np.inf),
        high_D=np.where(is_size, table.max(axis=0), np.inf),
    )


def grow(table: Floats, top1: Floats, *, seeds: int = _SEEDS) -> Trees:
    """Boosted trees of several seeds, as one sum that is their mean."""
    forests = [
        GradientBoostingRegressor(
            n_estimators=300, max_depth=4, learning_rate=0.05, subsample=0.5, max_features=0.3, random_state=seed
        ).fit(table, top1)
        for seed in range(seeds)
    ]
    parts = [tree[0].tree_ for forest in forests for tree in forest.estimators_]
    offsets = np.cumsum([0, *(part.node_count for part in parts)])
    pairs = list(zip(parts, offsets[:-1], strict=True))
    rate = forests[0].learning_rate / seeds
    return Trees(
        first=offsets[:-1].astype(np.int32),
        column=np.concatenate([np.maximum(part.feature, -1) for part in parts]).astype(np.int16),
        threshold=np.concatenate([part.threshold for part in parts]),
        left=np.concatenate([part.children_left + offset for part, offset in pairs]).astype(np.int32),
        right=np.concatenate([part.children_right + offset for part, offset in pairs]).astype(np.int32),
        value=np.concatenate([part.value[:, 0, 0] for part in parts]) * rate,
        start=float(top1.mean()),
    )
