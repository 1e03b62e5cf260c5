"""How a sum becomes a score: its logarithm, or a clear refusal."""

import math

from archlab.errors import ProxyError, four_parts

__all__ = ["log_of"]


def log_of(total: float, name: str, what: str) -> float:
    """Natural logarithm of a sum that must be positive; it keeps the ranks and reads better.

    Args:
        total: The sum.
        name: Of the proxy.
        what: What it sums, in words.

    Raises:
        ProxyError: When the sum is 0, negative or not finite.
    """
    if math.isfinite(total) and total > 0:
        return math.log(total)
    raise ProxyError(
        four_parts(
            f"{name} found no finite {what}",
            given=total,
            allowed="a positive number",
            do="choose another --proxy for this network",
        )
    )
