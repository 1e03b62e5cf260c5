"""Learn `published` from networks: the settings of its smooth half, its trees, and how wide 90 % has to be.

Both halves predict; the answer is a mean in percent (`published_data.TREES_SHARE`). The smooth half learns
-ln(100 - top-1), so that equal steps are equal shares of the errors left; trees learn percents, moved to the usual
recipe by the smooth half. Whoever judges must learn anew without the families that are left out: settings that have
seen them look better than they are.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import GradientBoostingRegressor

from archlab.proxy.published import SIZES
from archlab.proxy.published_data import Learnt, at_usual
from archlab.proxy.published_kernel import COLUMNS, SETTINGS, Posterior, noisy_covariance, scaled
from archlab.proxy.published_trees import NO_TREES, Trees

__all__ = ["codes", "families_out", "grow", "halves", "learn", "leftover", "settings_for"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_STEPS, _RATE = 40, 0.1
_PRIOR_WIDTH = 1.5
_SEEDS = 3
_INNER = 6
_CONFIDENCE, _OF_FAMILIES = 0.9, 0.94
_ORDINARY, _END = 0.95, 0.1


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

    How wide the interval has to be is learnt from families left out in turn, once for ordinary networks and once for
    those stranger than 95 % of all: it holds 94 % of them, all families counting alike, since a family errs as one and
    the next may be worse than these. How much wider beyond the sizes: from the smallest and the largest tenth by
    multiply-adds, left out in turn.
    """
    settings = settings_for(table, family, top1)
    scores, strange = np.empty(len(top1)), np.empty(len(top1))
    is_beyond = np.zeros(len(top1), np.bool_)
    for out in families_out(family, _INNER, 0):
        scores[out], strange[out], below, above = _missed(out, table, family, top1, settings)
        is_beyond[out] = np.maximum(below, above) > 0
    limit = float(np.quantile(strange, _ORDINARY))
    is_odd = strange > limit
    is_plain = ~is_odd & ~is_beyond
    weight = 1 / np.bincount(family)[family]
    stretch = _quantile(scores[is_plain], weight[is_plain])
    wide = max(1.0, _quantile(scores[is_odd], weight[is_odd]) / stretch)
    usual = float(np.quantile(scores[is_plain], _CONFIDENCE))
    macs = table[:, COLUMNS.index("log_macs")]
    least, most = np.quantile(macs, [_END, 1 - _END])
    low, _, below, _ = _missed(macs <= least, table, family, top1, settings)
    high, _, _, above = _missed(macs >= most, table, family, top1, settings)
    learnt = halves(table, family, top1, settings, seeds=_SEEDS)
    return dataclasses.replace(
        learnt,
        stretch=stretch,
        wide=wide,
        limit=limit,
        below=_steepness(low - usual, below),
        above=_steepness(high - usual, above),
    )


def _missed(
    out: npt.NDArray[np.bool_], table: Floats, family: Codes, top1: Floats, settings: dict[str, torch.Tensor]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of networks left out: errors in deviations, strangeness, and how far below and above the sizes they lie."""
    inner = halves(table[~out], family[~out], top1[~out], settings, seeds=1)
    predicted, deviation, strange = inner.predict(table[out])
    below, above = (far.max(axis=1) for far in inner.beyond(table[out]))
    return np.abs(leftover(predicted) - leftover(top1[out])) / deviation, strange, below, above


def _quantile(values: Floats, weights: Floats) -> float:
    """What nearly all of the weight lies below or at."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(share, _OF_FAMILIES)])


def _steepness(excess: Floats, far: Floats) -> float:
    """The least growth per deviation with which 90 % of the networks beyond lie inside; 0 if there are none."""
    is_out = far > 0
    if not is_out.any():
        return 0.0
    return max(float(np.quantile(excess[is_out] / far[is_out], _CONFIDENCE)), 0.0)


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


def halves(table: Floats, family: Codes, top1: Floats, settings: dict[str, torch.Tensor], *, seeds: int) -> Learnt:
    """Both halves; the trees learn accuracies moved to the usual recipe by what the smooth half says of recipes."""
    target, family_N = leftover(top1), torch.from_numpy(family)
    centre, spread = float(target.mean()), float(target.std())
    target_N = torch.from_numpy((target - centre) / spread)
    is_size = np.isin(COLUMNS, SIZES)
    smooth = Learnt(
        posterior=Posterior.of(settings, torch.from_numpy(table), family_N, target_N),
        centre=centre,
        spread=spread,
        trees=NO_TREES,
        family_N=family_N,
        low_D=np.where(is_size, table.min(axis=0), -np.inf),
        high_D=np.where(is_size, table.max(axis=0), np.inf),
    )
    moved = top1 - smooth.gain(table, smooth.smooth(table)[0])
    return dataclasses.replace(smooth, trees=grow(at_usual(table), moved, seeds=seeds))


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
