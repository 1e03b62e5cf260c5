"""The kinds of blocks: to add one, write its file and join the table; the contract suite then tests it."""

from archlab.model.block import Block
from archlab.model.blocks.bottleneck import Bottleneck
from archlab.model.blocks.cga import CascadedGroupAttention
from archlab.model.blocks.conv import Conv
from archlab.model.blocks.conv_pool import ConvPool
from archlab.model.blocks.convnext import ConvNeXt
from archlab.model.blocks.dsconv import DSConv
from archlab.model.blocks.dw import Depthwise
from archlab.model.blocks.dw_bottleneck import DepthwiseBottleneck
from archlab.model.blocks.dw_first import DepthwiseFirst
from archlab.model.blocks.dw_lean import DepthwiseLean
from archlab.model.blocks.ffn import FeedForward
from archlab.model.blocks.fused_mbconv import FusedMBConv
from archlab.model.blocks.mbconv import MBConv
from archlab.model.blocks.mhsa import SelfAttention
from archlab.model.blocks.msla import LinearAttention
from archlab.model.blocks.norm_patch import NormPatch
from archlab.model.blocks.overlap_stem import OverlapStem
from archlab.model.blocks.patch_merge import PatchMerge
from archlab.model.blocks.patch_tokens import PatchTokens
from archlab.model.blocks.patchify import Patchify
from archlab.model.blocks.resconv import ResConv
from archlab.model.blocks.sdta import Sdta
from archlab.model.blocks.split import SplitGroupAttention
from archlab.model.blocks.swin_merge import SwinMerge
from archlab.model.blocks.swmsa import ShiftedWindowAttention
from archlab.model.blocks.wmsa import WindowAttention

__all__ = ["BLOCKS"]

BLOCKS: dict[str, type[Block]] = {
    "bottleneck": Bottleneck,
    "cga": CascadedGroupAttention,
    "conv": Conv,
    "conv_pool": ConvPool,
    "convnext": ConvNeXt,
    "dsconv": DSConv,
    "dw": Depthwise,
    "dw_bottleneck": DepthwiseBottleneck,
    "dw_first": DepthwiseFirst,
    "dw_lean": DepthwiseLean,
    "ffn": FeedForward,
    "fused_mbconv": FusedMBConv,
    "mbconv": MBConv,
    "mhsa": SelfAttention,
    "msla": LinearAttention,
    "norm_patch": NormPatch,
    "overlap_stem": OverlapStem,
    "patch_merge": PatchMerge,
    "patch_tokens": PatchTokens,
    "patchify": Patchify,
    "resconv": ResConv,
    "sdta": Sdta,
    "split": SplitGroupAttention,
    "swin_merge": SwinMerge,
    "swmsa": ShiftedWindowAttention,
    "wmsa": WindowAttention,
}
