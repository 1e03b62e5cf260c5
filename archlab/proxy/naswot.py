"""NASWOT: do the images of a batch fall into different linear regions of the untrained network?

Each non-linear unit contributes one bit per image; the score is the log-determinant of the kernel that counts equal
bits. Two images with the same code make the determinant 0: the network cannot tell them apart.

Source: J. Mellor, J. Turner, A. Storkey, E. Crowley, "Neural architecture search without training", ICML 2021,
equation 2 and section 3. Deviation: the paper's bit is "the ReLU is on"; here it is the sign of what enters the
activation, for every ReLU, GELU, Hard-Swish and SiLU alike, which is the same bit for a ReLU and is defined for
networks without one. Gates of the form sigmoid (squeeze-excitation) and softmax give no bits.

Legend of the shape suffixes: B images, U units.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from archlab.errors import ProxyError, four_parts

__all__ = ["kernel_score", "naswot"]

_aten = torch.ops.aten
_ACTIVATIONS = frozenset(
    {_aten.relu, _aten.relu_, _aten.gelu, _aten.hardswish, _aten.hardswish_, _aten.silu, _aten.silu_,
     _aten.leaky_relu, _aten.hardtanh, _aten.hardtanh_}
)  # fmt: skip
"""Operators whose input's sign is a bit; hardtanh is ReLU6."""


class _Codes(TorchDispatchMode):
    """Adds up, over all activations of one forward pass, how many bits each pair of images shares."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.shared_BB = torch.zeros(batch, batch, dtype=torch.float64)
        self.bits = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket in _ACTIVATIONS:
            self._add(args[0])
        return func(*args, **(kwargs or {}))

    def _add(self, before: Tensor) -> None:
        batch = len(self.shared_BB)
        if before.shape[0] % batch:
            return
        sign_BU = torch.where(before.reshape(batch, -1) > 0, 1.0, -1.0)
        units = sign_BU.shape[1]
        # a product of ±1 codes is (equal − different) bits; equal = (units + product) / 2
        self.shared_BB += (units + (sign_BU @ sign_BU.T).double()) / 2
        self.bits += units


def naswot(module: nn.Module, images_BCHW: Tensor, seed: int) -> float:
    """Score a network: log |det K|, where K counts the activation bits that two images share.

    BatchNorm uses the statistics of the batch, as in the paper's code. Values depend on the number of images and
    their side: compare only scores made alike. Where every map grows by a factor c in area, K grows by c and the score
    by B · log c.

    Args:
        module: A freshly initialised network.
        images_BCHW: At least two images `(B, 3, H, W)`.
        seed: Not used; the images and weights carry it.

    Raises:
        ProxyError: When two images have the same code, or no activation was found.
    """
    module.eval()
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.train()
    with torch.no_grad(), _Codes(len(images_BCHW)) as codes:
        module(images_BCHW)
    if codes.bits == 0:
        raise ProxyError(
            four_parts(
                "naswot found no activation in the network",
                given=type(module).__name__,
                allowed="networks with ReLU, GELU, Hard-Swish or SiLU",
                do="choose another --proxy",
            )
        )
    return kernel_score(codes.shared_BB)


def kernel_score(shared_BB: Tensor) -> float:
    """Log-determinant of a symmetric `(B, B)` kernel of shared bits; the paper's equation 2.

    Raises:
        ProxyError: When the kernel is singular or not finite.
    """
    sign, logarithm = torch.linalg.slogdet(shared_BB)
    if float(sign) == 0 or not bool(torch.isfinite(logarithm)):
        raise ProxyError(
            four_parts(
                "naswot cannot tell the images apart",
                given="a singular kernel of activation codes",
                allowed="a network whose activations differ between images",
                do="choose another --proxy for this network",
            )
        )
    return float(logarithm)
