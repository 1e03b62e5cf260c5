"""Cut a map into square windows and put it together again.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, P batch times windows, S side of a window.
"""

from torch import Tensor
from torch.nn import functional

__all__ = ["from_windows", "to_windows"]


def to_windows(x_BCHW: Tensor, side: int, window: int) -> Tensor:
    """Cut a square map into non-overlapping windows, zeros below and to the right where it does not divide.

    Args:
        x_BCHW: A map of `side` rows and columns.
        side: Rows and columns of the map.
        window: Rows and columns of a window, less than `side`.

    Returns:
        The windows `(B·windows, C, window, window)`, row-major within an image.
    """
    pad = -side % window
    count = (side + pad) // window
    x_BCHW = functional.pad(x_BCHW, (0, pad, 0, pad)) if pad else x_BCHW
    width = x_BCHW.shape[1]
    x_BCrScS = x_BCHW.reshape(-1, width, count, window, count, window)
    return x_BCrScS.permute(0, 2, 4, 1, 3, 5).reshape(-1, width, window, window)


def from_windows(x_PCSS: Tensor, side: int, window: int) -> Tensor:
    """Undo `to_windows`: `(B, C, side, side)`."""
    count = -(-side // window)
    width = x_PCSS.shape[1]
    x_BrcCSS = x_PCSS.reshape(-1, count, count, width, window, window)
    x_BCHW = x_BrcCSS.permute(0, 3, 1, 4, 2, 5).reshape(-1, width, count * window, count * window)
    return x_BCHW[:, :, :side, :side]
