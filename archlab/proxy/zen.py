"""Zen: how expressive is the network for Gaussian weights and images, scale taken out by the norms put back?

Source: M. Lin et al., "Zen-NAS: a zero-shot NAS for high-performance image recognition", ICCV 2021, algorithm 1.
Deviations: residual shortcuts stay (the paper removes them; ours are part of the network); one draw of at most 4 images
instead of 32 of 16; a norm that is none of batches (LayerNorm, GroupNorm) counts like a BatchNorm, by the mean variance
that it divides by.

Legend of the shape suffixes: B images.
"""

import math

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject

__all__ = ["zen"]


def zen(subject: Subject) -> float:
    """Score a network: log E‖f(x) − f(x + 0.01 ε)‖ + Σ over norms of log σ, f the last map.

    Raises:
        ProxyError: When nothing moves, or a norm sees a constant.
    """
    noise = subject.noise
    change_B = (noise.before - noise.after).double().flatten(1).norm(dim=1)
    factors = [float(change_B.mean()) ** 2, *noise.variances]
    if not all(math.isfinite(factor) and factor > 0 for factor in factors):
        raise ProxyError(
            four_parts(
                "zen found a map that does not depend on the input, or is not finite",
                given=f"smallest variance {min(factors):.3g}",
                allowed="positive numbers",
                do="choose another --proxy for this network",
            )
        )
    return sum(math.log(factor) for factor in factors) / 2
