"""A bottleneck whose k×k convolution is depthwise: narrow inside as in ResNeXt, or inverted where `hidden` is wider.

Source: A ConvNet for the 2020s (arXiv 2201.03545) §2.3 and §2.4, fig. 3 (a) and (b).
"""

from archlab.model.residual import ThreeLayers

__all__ = ["DepthwiseBottleneck"]


class DepthwiseBottleneck(ThreeLayers):
    """act(shortcut(x) + BN(pw(act(BN(dw k×k(act(BN(pw(x)))))))))."""
