"""An inverted bottleneck, depthwise convolution first, with one activation and as many norms as asked for.

Source: A ConvNet for the 2020s (arXiv 2201.03545) §2.6, fig. 4.
"""

from archlab.model.residual import ThreeLayers

__all__ = ["DepthwiseLean"]


class DepthwiseLean(ThreeLayers):
    """shortcut(x) + N(pw(act(N(pw(norm(dw k×k(x))))))); N is a BatchNorm under `bn`, nothing else.

    Under `bn_first` and `ln` the norm after the depthwise convolution is the only one, the shortcut's included.
    """

    norms = ("bn", "bn_first", "ln")
    starts_depthwise = True
    is_lean = True
