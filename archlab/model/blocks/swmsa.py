"""Softmax attention inside windows that are shifted by half a window, so that neighbours across a border meet.

Source: Swin Transformer (arXiv 2103.14030) §3.2.
"""

from archlab.model.blocks.wmsa import WindowAttention

__all__ = ["ShiftedWindowAttention"]


class ShiftedWindowAttention(WindowAttention):
    """Window attention on a map rolled up and left by half a window; what the roll brought together is masked.

    A map no larger than the window is not shifted. Where windows do not divide the side, the map is rolled first and
    padded then, as timm does; the authors' code pads first.
    """

    shifts = True
