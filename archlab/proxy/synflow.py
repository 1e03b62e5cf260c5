"""SynFlow: how much can flow through the network, summed over its weights, without looking at any data.

The score is ``log Σ θ · ∂R/∂θ``; what runs is described in `flow`.

Source: H. Tanaka, D. Kunin, D. Yamins, S. Ganguli, "Pruning neural networks without any data by iteratively
conserving synaptic flow", NeurIPS 2020, equation 2; as a score: M. Abdelfattah et al., "Zero-cost proxies for
lightweight NAS", ICLR 2021, section 3.2. As in the latter's code, norms are neutralised and the sum runs over the
weights of convolutions and linear layers; biases are 0. Deviation: activations are the identity, see `flow`.
"""

import math

from archlab.errors import ProxyError, four_parts
from archlab.proxy.passes import Subject

__all__ = ["synflow"]


def synflow(subject: Subject) -> float:
    """Score a network: the natural logarithm of the sum of its synaptic flow.

    Raises:
        ProxyError: When nothing flows, or the flow is not finite.
    """
    found = subject.flow
    total = math.fsum(found.saliency.values())
    if not (math.isfinite(total) and total > 0):
        raise ProxyError(
            four_parts(
                "synflow found no finite flow through the network",
                given=total,
                allowed="a positive number",
                do="choose another --proxy for this network",
            )
        )
    return math.log(total) + found.logarithm
