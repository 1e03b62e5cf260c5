"""Jacobian covariance: do the outputs of different images depend on their pixels in different ways?

Source: J. Mellor, J. Turner, A. Storkey, E. Crowley, "Neural architecture search without training", arXiv 2006.04647
version 1, equations 2 to 4; M. Abdelfattah et al., ICLR 2021, section 3.2 (jacob_cov).

Legend of the shape suffixes: B images, D pixels times channels.
"""

import torch
from torch import Tensor

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject

__all__ = ["correlation_score", "jacob_cov"]

_K = 1e-5


def jacob_cov(subject: Subject) -> float:
    """Score a network by how little the gradients of the summed outputs correlate between images.

    Raises:
        ProxyError: When an image has no gradient.
    """
    look = subject.look
    assert look.output is not None
    if look.output.requires_grad:
        (jacobian_BCHW,) = torch.autograd.grad(look.output.sum(), look.images_BCHW, retain_graph=True)
    else:
        jacobian_BCHW = torch.zeros_like(look.images_BCHW)
    return correlation_score(jacobian_BCHW.flatten(1).double())


def correlation_score(jacobian_BD: Tensor) -> float:
    """−Σ (log(λ + k) + 1 / (λ + k)) over the eigenvalues λ of the rows' correlations, k = 1e-5.

    Raises:
        ProxyError: When a row is constant.
    """
    centred_BD = jacobian_BD - jacobian_BD.mean(dim=1, keepdim=True)
    norm_B1 = centred_BD.norm(dim=1, keepdim=True)
    if not bool(((norm_B1 > 0) & norm_B1.isfinite()).all()):
        raise ProxyError(
            four_parts(
                "jacob_cov found an image on which the output does not depend",
                given="a constant gradient",
                allowed="gradients that differ between pixels",
                do="choose another --proxy for this network",
            )
        )
    unit_BD = centred_BD / norm_B1
    eigenvalues_B = torch.linalg.eigvalsh(unit_BD @ unit_BD.T).clamp(min=0) + _K
    return -float((eigenvalues_B.log() + 1 / eigenvalues_B).sum())
