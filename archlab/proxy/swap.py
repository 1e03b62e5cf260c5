"""SWAP: how many different patterns do the images draw on the units?

Each non-linear unit is on for some of the images and off for the others; the score is the number of different
such patterns over all units.

Source: Y. Peng, A. Song, H. Fayek, V. Ciesielski, X. Chang, "SWAP-NAS: sample-wise activation patterns for ultra-fast
NAS", ICLR 2024, definitions 3.2 and 3.3, without the regularisation by parameters. Deviations: the
logarithm; a unit's bit is the sign of what enters the activation, for every kind of it, as in `naswot`. With B images
there are at most 2^B patterns.
"""

from archlab.proxy.answer import log_of
from archlab.proxy.passes import Subject

__all__ = ["swap"]


def swap(subject: Subject) -> float:
    """Score a network: natural logarithm of the number of distinct sample-wise patterns.

    Raises:
        ProxyError: When there is no activation.
    """
    return log_of(float(subject.look.patterns.numel()), "swap", "activation")
