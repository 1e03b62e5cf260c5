"""AZ-NAS: four views of the maps between blocks, and their ranks put together.

Source: J. Lee, B. Ham, "AZ-NAS: assembling zero-cost proxies for network architecture search", CVPR 2024, equations 2
to 10; blocks are residual branches, as in the paper's code for transformers. Deviations: generated images instead of
noise; an entropy of a constant map is 0; a block that is exactly the identity, or passes no gradient, counts −10⁶
(the code says −∞, or the same).

The paper adds up the logarithms of the ranks that a network takes among all networks seen, part by part: `assemble`
does. A single network has no rank, so the score `az_nas` puts the logistic function of each part in the place of its
rank, with the median and the quartiles of 200 random networks of the space `hybrid` (16 generated images of 64 pixels).

Legend of the shape suffixes: B images, C channels, H and W rows and columns, N images times positions.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as nnf

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject
from archlab.proxy.size import log_macs_of_spec

__all__ = [
    "PARTS", "TYPICAL", "assemble", "az_complexity", "az_expressivity", "az_nas", "az_progressivity", "az_trainability",
    "entropy", "spectral_norm",
]  # fmt: skip

_WORST = -1e6
_EPS = 1e-6
_LEAST_SHARE = 1e-8

TYPICAL: dict[str, tuple[float, float]] = {
    "az_expressivity": (106.3, 28.98),
    "az_progressivity": (-0.855, 0.2517),
    "az_trainability": (-4.243, 2.555),
    "az_complexity": (20.99, 0.5616),
}
"""Part → median, and half the distance of the quartiles over ln 3; measured by `studies/proxies/az_typical.py`."""


def az_expressivity(subject: Subject) -> float:
    """Sum over the maps of the entropy of the spectrum of the channels' covariance (equations 2 to 4)."""
    return math.fsum(_entropies(subject))


def az_progressivity(subject: Subject) -> float:
    """Smallest growth of that entropy from one map to the next (equation 5)."""
    entropies = _entropies(subject)
    return min(after - before for before, after in itertools.pairwise(entropies))


def az_trainability(subject: Subject) -> float:
    """How close the blocks' Jacobians are to keeping the size of a gradient (equations 6 to 9).

    Mean over blocks of 2 − σ − 1 / σ, where σ is the spectral norm of the Jacobian as estimated from one random ±1
    gradient; at most 0.
    """
    if subject.look.trainability is None:
        subject.look.trainability = _trainability(_maps(subject), subject.generator())
    return subject.look.trainability


def _trainability(maps: Sequence[Tensor], generator: torch.Generator) -> float:
    """One backward pass does all blocks: what arrives at a map is noted, and a fresh random gradient goes on."""
    signs = [_signs(map_BCHW, generator) for map_BCHW in maps]
    backs: dict[int, Tensor] = {}

    def note(place: int, back: Tensor) -> Tensor:
        backs[place] = back
        return signs[place]

    hooks = [map_BCHW.register_hook(functools.partial(note, place)) for place, map_BCHW in enumerate(maps[:-1])]
    try:
        torch.autograd.grad(maps[-1], maps[0], signs[-1], retain_graph=True, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    parts = []
    for place, sign in enumerate(signs[1:]):
        back = backs.get(place)
        parts.append(_WORST if back is None or _is_same(back, sign) else _balance(spectral_norm(back, sign)))
    return math.fsum(parts) / len(parts)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(like, requires_grad=False).random_(2, generator=generator).mul_(2).sub_(1)


def az_complexity(subject: Subject) -> float:
    """Natural logarithm of the multiply-adds at the network's own resolution (the paper's FLOPs)."""
    return log_macs_of_spec(subject)


PARTS = {
    "az_expressivity": az_expressivity,
    "az_progressivity": az_progressivity,
    "az_trainability": az_trainability,
    "az_complexity": az_complexity,
}


def az_nas(subject: Subject) -> float:
    """Score one network: Σ over the four parts of log(logistic((part − median) / scale)); see the module's docstring.

    Raises:
        ProxyError: When the network has fewer than two maps to compare.
    """
    parts = {name: part(subject) for name, part in PARTS.items()}
    return math.fsum(_log_logistic((value - TYPICAL[name][0]) / TYPICAL[name][1]) for name, value in parts.items())


def assemble(parts: Mapping[str, Sequence[float]]) -> list[float]:
    """Score networks among each other: Σ over the parts of log(rank / number of networks) (equation 10).

    Args:
        parts: Part → its value for each network, in one order.
    """
    ranks = [np.log(rankdata(values) / len(values)) for values in parts.values()]
    return [float(value) for value in np.sum(ranks, axis=0)]


def spectral_norm(back_BCHW: Tensor, sign_BCHW: Tensor) -> float:
    """Largest singular value of the mean over positions of (gradient in) · (gradient out)ᵀ.

    Where the block made the map smaller by a whole factor, the pixels of a patch count as channels of one position;
    by another factor, their mean does.
    """
    rows, wanted = back_BCHW.shape[2:], sign_BCHW.shape[2:]
    factor = rows[0] // wanted[0]
    if rows == (wanted[0] * factor, wanted[1] * factor):
        back_BCHW = nnf.pixel_unshuffle(back_BCHW, factor)
    elif rows != wanted:
        back_BCHW = nnf.adaptive_avg_pool2d(back_BCHW, (wanted[0], wanted[1]))
    back_CN, sign_CN = (x.transpose(0, 1).flatten(1) for x in (back_BCHW, sign_BCHW))
    places = sign_CN.shape[1]
    if places < len(sign_CN):  # a smaller factor of the same singular values, by rotating the gradient out
        sign_CN = torch.linalg.qr(sign_CN, mode="r").R
    matrix = back_CN @ sign_CN.T / places
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1])))


def entropy(map_BCHW: Tensor) -> float:
    """Entropy of the normalised eigenvalues of the channels' covariance over images and positions."""
    rows_NC = map_BCHW.detach().transpose(0, 1).flatten(1).T
    centred_NC = rows_NC - rows_NC.mean(dim=0, keepdim=True)
    # both Gram matrices have the same eigenvalues but for zeros
    is_tall = centred_NC.shape[0] >= centred_NC.shape[1]
    gram = centred_NC.T @ centred_NC if is_tall else centred_NC @ centred_NC.T
    eigenvalues = torch.linalg.eigvalsh(gram).clamp(min=0)
    total = float(eigenvalues.sum())
    if not (math.isfinite(total) and total > 0):
        return 0.0
    share = eigenvalues / total
    return -float((share * (share + _LEAST_SHARE).log()).sum())


def _entropies(subject: Subject) -> list[float]:
    if subject.look.entropies is None:
        subject.look.entropies = [entropy(map_BCHW) for map_BCHW in _maps(subject)]
    return subject.look.entropies


def _maps(subject: Subject) -> list[Tensor]:
    maps = subject.look.maps
    if len(maps) < 2:
        raise ProxyError(
            four_parts(
                "az_nas has nothing to compare",
                given=f"{len(maps)} maps between blocks",
                allowed="networks with at least two entries or blocks",
                do="choose another --proxy for this network",
            )
        )
    return maps


def _is_same(back: Tensor, sign: Tensor) -> bool:
    return back.shape == sign.shape and bool((back == sign).all())


def _balance(sigma: float) -> float:
    return 2 - sigma - 1 / (sigma + _EPS)


def _log_logistic(x: float) -> float:
    return min(x, 0) - math.log1p(math.exp(-abs(x)))
