"""ResNet's bottleneck: down to the inner width, a full k×k convolution there, back up, an activation after the sum.

Source: ResNet (arXiv 1512.03385) §4.1, with the stride on the k×k convolution as in torchvision and timm.
"""

from archlab.model.residual import ThreeLayers

__all__ = ["Bottleneck"]


class Bottleneck(ThreeLayers):
    """act(shortcut(x) + BN(pw(act(BN(k×k(act(BN(pw(x)))))))))."""

    is_depthwise = False
