"""MeCo: how independent are the channels of each feature map of one image?

Source: T. Jiang, H. Wang, R. Bie, "MeCo: zero-shot NAS with one data and single forward pass via minimum eigenvalue of
correlation", NeurIPS 2023, equation 6; layers are all modules that give a map, as in its code. A map with as many
channels as positions, or more, has smallest eigenvalue 0 and adds nothing.
"""

import math

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject

__all__ = ["meco"]


def meco(subject: Subject) -> float:
    """Score a network: Σ over maps of the smallest eigenvalue of the channels' Pearson correlations.

    Raises:
        ProxyError: When no map has more positions than channels.
    """
    total = sum(subject.look.lambdas)
    if math.isfinite(total) and total > 0:
        return total
    raise ProxyError(
        four_parts(
            "meco found no map with independent channels",
            given=f"{len(subject.look.lambdas)} maps",
            allowed="maps with more positions than channels",
            do="choose another --proxy for this network",
        )
    )
