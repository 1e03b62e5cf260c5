"""NASWOT: do the images of a batch fall into different linear regions of the untrained network?

Each non-linear unit contributes one bit per image; the score is the log-determinant of the kernel that counts equal
bits. Two images with the same code make the determinant 0: the network cannot tell them apart.

Source: J. Mellor, J. Turner, A. Storkey, E. Crowley, "Neural architecture search without training", ICML 2021,
equation 2 and section 3. Deviation: the paper's bit is "the ReLU is on"; here it is the sign of what enters the
activation, for every ReLU, GELU, Hard-Swish and SiLU alike, which is the same bit for a ReLU and is defined for
networks without one. Gates of the form sigmoid (squeeze-excitation) and softmax give no bits.

Legend of the shape suffixes: B images.
"""

import torch
from torch import Tensor

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject

__all__ = ["kernel_score", "naswot"]


def naswot(subject: Subject) -> float:
    """Score a network: log |det K|, where K counts the activation bits that two images share.

    BatchNorm uses the statistics of the batch, as in the paper's code. Values depend on the number of images and
    their side: compare only scores made alike. Where every map grows by a factor c in area, K grows by c and the score
    by B · log c.

    Raises:
        ProxyError: When two images have the same code, or no activation was found.
    """
    if subject.look.bits == 0:
        raise ProxyError(
            four_parts(
                "naswot found no activation in the network",
                given=type(subject.module).__name__,
                allowed="networks with ReLU, GELU, Hard-Swish or SiLU",
                do="choose another --proxy",
            )
        )
    return kernel_score(subject.look.shared_BB)


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
