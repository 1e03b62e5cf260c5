"""Where am I: a bias table on the attention map, or sines and cosines added to the tokens.

Legend of the shape suffixes: B batch, C channels, H and W rows and columns, N = H·W positions, h heads, O distinct
offsets, F sines and cosines.
"""

import math

import torch
from torch import Generator, Tensor, nn

from archlab.model.layers import Conv2d, is_jit_tracing

__all__ = ["FourierPosition", "OffsetBias", "RelativeBias", "fourier_table"]

_STD = 0.02
_FREQUENCIES = 32
_TEMPERATURE = 10_000


class PairBias(nn.Module):
    """A bias for every pair of positions of a square map, from a table with one entry per offset and head."""

    index: Tensor
    folded_hNN: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.is_folded = False
        self.register_buffer("index", torch.empty(side**4, dtype=torch.int32), persistent=False)

    def forward(self) -> Tensor:
        """Give the bias of every pair of positions, `(h, N, N)`."""
        return self.folded_hNN if self.is_folded else self._gathered()

    def fold(self) -> None:
        """Gather once; the table stays for reading."""
        self.register_buffer("folded_hNN", self._gathered().detach().contiguous(), persistent=False)
        self.is_folded = True

    def _gathered(self) -> Tensor:
        raise NotImplementedError

    def _number(self, offset: Tensor, stride: int) -> None:
        """Number the pairs from the number of the offset along an axis, `(side, side)`."""
        number = offset[:, None, :, None] * stride + offset[None, :, None, :]
        self.index.copy_(number.flatten())


class RelativeBias(PairBias):
    """One bias per head and distinct (|Δrow|, |Δcolumn|), added to a square attention map.

    Entry number |Δrow|·side + |Δcolumn|; it starts at zero.

    Source: EfficientViT (MSRA), reference implementation of LeViT's attention bias.
    """

    def __init__(self, heads: int, side: int) -> None:
        super().__init__(side)
        self.table_hO = nn.Parameter(torch.empty(heads, side * side))

    def reset(self, generator: Generator) -> None:
        """Start without bias, and number the pairs."""
        self.table_hO.zero_()
        axis = torch.arange(self.side, device=self.index.device)
        self._number((axis[:, None] - axis).abs(), self.side)

    def _gathered(self) -> Tensor:
        area = self.side * self.side
        return self.table_hO.index_select(1, self.index).view(-1, area, area)


class OffsetBias(PairBias):
    """One bias per head and distinct signed (Δrow, Δcolumn), added to a square attention map.

    Entry number (Δrow + side − 1)·(2·side − 1) + Δcolumn + side − 1, Δ from the key to the query.

    Source: Swin Transformer (arXiv 2103.14030) §3.2, reference implementation.
    """

    def __init__(self, heads: int, side: int) -> None:
        super().__init__(side)
        self.table_Oh = nn.Parameter(torch.empty((2 * side - 1) ** 2, heads))

    def reset(self, generator: Generator) -> None:
        """Draw the biases, and number the pairs."""
        self.table_Oh.normal_(0, _STD, generator=generator)
        axis = torch.arange(self.side, device=self.index.device)
        self._number(axis[:, None] - axis + self.side - 1, 2 * self.side - 1)

    def _gathered(self) -> Tensor:
        area = self.side * self.side
        return self.table_Oh.index_select(0, self.index).view(area, area, -1).permute(2, 0, 1)


class FourierPosition(nn.Module):
    """Sines and cosines of row and column, projected to the width of the tokens.

    The table for the side the network is built for is kept; other sides are computed when they come.

    Source: EdgeNeXt, reference implementation; XCiT.
    """

    table_1FHW: Tensor
    folded_1CHW: Tensor

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.is_folded = False
        self.token_projection = Conv2d(2 * _FREQUENCIES, width, 1)
        self.register_buffer("table_1FHW", torch.empty(1, 2 * _FREQUENCIES, side, side), persistent=False)

    def reset(self, generator: Generator) -> None:
        """Compute the table of the built side."""
        self.table_1FHW.copy_(fourier_table(self.side, self.side, self.table_1FHW.device))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Give the encoding of every position of a map, `(1, C, H, W)`."""
        rows, columns = x_BCHW.shape[-2:]
        if is_jit_tracing() or (rows == self.side and columns == self.side):
            if self.is_folded:
                return self.folded_1CHW
            table_1FHW = self.table_1FHW
        else:
            table_1FHW = fourier_table(rows, columns, x_BCHW.device).to(self.table_1FHW.dtype)
        position_1CHW: Tensor = self.token_projection(table_1FHW)
        return position_1CHW

    def fold(self) -> None:
        """Project once for the built side; the projection stays for other sides."""
        self.register_buffer("folded_1CHW", self.token_projection(self.table_1FHW).detach(), persistent=False)
        self.is_folded = True


def fourier_table(rows: int, columns: int, device: torch.device) -> Tensor:
    """Compute sines and cosines of the normalised row and column, `(1, 64, H, W)`.

    Source: architectures of EdgeNeXt: y·2π/(H + 1e-6) over 10000^(2·floor(j/2)/32), sine for even j, cosine for odd.
    """
    number = torch.arange(_FREQUENCIES, device=device)
    period_F = _TEMPERATURE ** (2 * (number // 2) / _FREQUENCIES)

    def encode(length: int) -> Tensor:
        place_L = torch.arange(1, length + 1, device=device, dtype=torch.float32)
        phase_LF = (place_L * (2 * math.pi / (length + 1e-6)))[:, None] / period_F
        return torch.where(number % 2 == 0, phase_LF.sin(), phase_LF.cos())

    y_FHW = encode(rows).T[:, :, None].expand(-1, -1, columns)
    x_FHW = encode(columns).T[:, None, :].expand(-1, rows, -1)
    return torch.cat([y_FHW, x_FHW])[None]
