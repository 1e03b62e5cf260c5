"""NASWOT per image plus the logarithm of the parameters: the two counts that each see what the other misses.

NASWOT grows with the number of units that see an image, that is with resolution, depth and early width; parameters
grow with late width. The sum is the logarithm of (about) activations × parameters, and weighs both alike; no weight
was fitted.

Kendall's τ with ImageNet-1k top-1, pairs at least 0.2 points apart; "equal" means multiply-adds within a factor 1.5:

| score | 26 published variants: all (319 pairs) | equal (38) | 242 networks of timm up to 2.6 GMACs: all | equal |
|---|---|---|---|---|
| naswot + ln params | 0.89 | 0.63 | 0.68 | 0.58 |
| naswot | 0.82 | 0.16 | 0.56 | 0.46 |
| synflow | 0.34 | 0.37 | – | – |
| ln params | 0.77 | 0.79 | 0.56 | 0.37 |
| ln macs | 0.87 | 0.39 | 0.50 | 0.11 |
| ln activations | 0.81 | 0.26 | 0.67 | 0.51 |

The 26 are those of the four families with a published accuracy and below 20 GMACs; timm's are those whose accuracy
comes from ImageNet-1k alone, scored at half their own resolution. Recipes differ, so no score could reach 1; with so
few pairs at equal cost, differences of 0.2 there mean little.

Source: `naswot`, and a count; the sum is ours.
"""

import math

from archlab.proxy.naswot import naswot
from archlab.proxy.passes import Subject

__all__ = ["naswot_params"]


def naswot_params(subject: Subject) -> float:
    """Score a network: NASWOT divided by the number of images, plus the logarithm of the number of parameters.

    Raises:
        ProxyError: As `naswot` does.
    """
    size = math.log(sum(parameter.numel() for parameter in subject.module.parameters()))
    return naswot(subject) / len(subject.images_BCHW) + size
