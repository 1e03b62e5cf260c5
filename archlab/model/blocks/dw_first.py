"""An inverted bottleneck with its depthwise convolution moved to the front.

Source: A ConvNet for the 2020s (arXiv 2201.03545) §2.5, fig. 3 (c).
"""

from archlab.model.residual import ThreeLayers

__all__ = ["DepthwiseFirst"]


class DepthwiseFirst(ThreeLayers):
    """act(shortcut(x) + BN(pw(act(BN(pw(act(BN(dw k×k(x)))))))))."""

    starts_depthwise = True
