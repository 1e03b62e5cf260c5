"""How are training images varied? Crops of the padded image, mirrors, and mixed pairs; each step from its own seed.

Nothing is drawn from a running state: what a step draws follows from (seed, epoch, step) alone, so a training that was
cut off and goes on draws the same.

Legend of the shape suffixes: B batch, H and W rows and columns, C channels, K classes.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["crop_and_mirror", "mix"]

_PAD_SHARE = 8
"""The padding is the side over this: 4 pixels of 32."""


def crop_and_mirror(x_BHWC: Tensor, draw: np.random.Generator, *, has_mirror: bool) -> Tensor:
    """Shift each image by up to an eighth of its side (black comes in), and mirror half of them."""
    batch, side_h, side_w, _ = x_BHWC.shape
    pad = max(1, side_h // _PAD_SHARE)
    padded_BHWC = functional.pad(x_BHWC, (0, 0, pad, pad, pad, pad))
    tops, lefts = draw.integers(0, 2 * pad + 1, size=(2, batch, 1))
    rows, columns = tops + np.arange(side_h), lefts + np.arange(side_w)
    if has_mirror:
        columns = np.where(draw.random((batch, 1)) < 0.5, columns[:, ::-1], columns)
    device = x_BHWC.device
    rows_BH1, columns_B1W = torch.from_numpy(rows)[:, :, None], torch.from_numpy(columns.copy())[:, None, :]
    each_B11 = torch.arange(batch)[:, None, None]
    return padded_BHWC[each_B11.to(device), rows_BH1.to(device), columns_B1W.to(device)]


def mix(x_BCHW: Tensor, targets_BK: Tensor, draw: np.random.Generator, *, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each image and its target with another one's; `alpha` 0 leaves both as they are.

    Source: mixup (arXiv 1710.09412): the share is drawn from Beta(alpha, alpha), once per batch.
    """
    if alpha <= 0:
        return x_BCHW, targets_BK
    share = float(draw.beta(alpha, alpha))
    other = torch.from_numpy(draw.permutation(len(x_BCHW))).to(x_BCHW.device)
    return x_BCHW.lerp(x_BCHW[other], 1 - share), targets_BK.lerp(targets_BK[other], 1 - share)
