"""The maps by which a block of softmax attention weighs what it mixes, read off its own softmax while it runs.

Legend of the shape suffixes: B batch, P batch times windows, C channels, H and W rows and columns, h heads, R rows
and K columns of a map (positions, or channels of a head).
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["softmax_maps", "written_out"]


@contextlib.contextmanager
def written_out() -> Iterator[None]:
    """Keep torch's encoder layers from running as one operator: hooks inside are not called, and ONNX knows none."""
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)


def softmax_maps(block: nn.Module, x_BCHW: Tensor) -> Tensor:
    """Run a block and collect what its softmax modules give; the block and its output stay as they are.

    A softmax that is called head by head gives the heads in the order of the calls.

    Args:
        block: A block whose attention goes through modules of the class `nn.Softmax`.
        x_BCHW: Its input.

    Returns:
        `(P, h, R, K)`; every row adds up to 1. Windows of an image follow each other.
    """
    found: list[Tensor] = []
    hooks = [
        part.register_forward_hook(lambda _, __, map_: found.append(map_ if map_.dim() == 4 else map_.unsqueeze(1)))
        for part in block.modules()
        if isinstance(part, nn.Softmax)
    ]
    try:
        block(x_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(found, dim=1)
