"""Group attention without the cascade: every head sees its share of the channels and nothing else.

Source: EfficientViT (arXiv 2305.07027), Table 6 row 6 and the feature splits of fig. 4.

Legend of the shape suffixes: P batch times windows, C channels, S side of a window, v width of a head's values.
"""

from torch import Tensor

from archlab.model.blocks.cga import CascadedGroupAttention

__all__ = ["SplitGroupAttention"]


class SplitGroupAttention(CascadedGroupAttention):
    """Cascaded group attention whose heads do not hear of each other; parameters, MACs and fields are the same."""

    cascades = False

    def _cascade(self, group_PCSS: Tensor, before_PvSS: Tensor) -> Tensor:
        return group_PCSS
