"""Cut a map into square windows and put it together again.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, P batch times windows, S side of a window,
N = S·S positions.
"""

from torch import Tensor
from torch.nn import functional

__all__ = ["from_token_windows", "from_windows", "to_token_windows", "to_windows"]


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


def to_token_windows(x_BHWC: Tensor, side: int, window: int) -> Tensor:
    """Cut a square map with its channels last into windows, zeros below and to the right where it does not divide.

    Args:
        x_BHWC: A map of `side` rows and columns.
        side: Rows and columns of the map.
        window: Rows and columns of a window, at most `side`.

    Returns:
        The positions of each window `(B·windows, N, C)`, row-major within a window and windows within an image.
    """
    pad, width = -side % window, x_BHWC.shape[3]
    count = (side + pad) // window
    x_BHWC = functional.pad(x_BHWC, (0, 0, 0, pad, 0, pad)) if pad else x_BHWC
    x_BrScSC = x_BHWC.reshape(-1, count, window, count, window, width)
    return x_BrScSC.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, width)


def from_token_windows(x_PNC: Tensor, side: int, window: int) -> Tensor:
    """Undo `to_token_windows`: `(B, side, side, C)`."""
    count, width = -(-side // window), x_PNC.shape[2]
    x_BrcSSC = x_PNC.reshape(-1, count, count, window, window, width)
    x_BHWC = x_BrcSSC.permute(0, 1, 3, 2, 4, 5).reshape(-1, count * window, count * window, width)
    return x_BHWC[:, :side, :side]
