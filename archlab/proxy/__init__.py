"""Accuracy scores without training: a row per proxy, higher is better, finite or a ProxyError.

Scores of one proxy compare; scores of two do not. `params` and `macs` are the baselines that every other has to beat.
"""

import time

import torch

from archlab.errors import ProxyError, four_parts, unknown_name
from archlab.model.build import build
from archlab.proxy import naswot, size, synflow
from archlab.proxy.subject import Proxy, ProxyScore, images, reinitialise
from archlab.spec import ArchSpec

__all__ = ["DEFAULT", "PROXIES", "Proxy", "ProxyScore", "score", "score_side"]

PROXIES: dict[str, Proxy] = {
    "naswot": Proxy(
        name="naswot",
        title="NASWOT: how differently images light up the activations",
        source="Mellor et al., ICML 2021, arXiv 2006.04647, equation 2",
        needs="images",
        note="rewards many activations that differ between images",
        score=naswot.naswot,
    ),
    "synflow": Proxy(
        name="synflow",
        title="SynFlow: log of the flow through all weights",
        source="Tanaka et al., NeurIPS 2020, arXiv 2006.05467, equation 2; Abdelfattah et al., ICLR 2021",
        needs="none",
        note="rewards depth and width, whatever the data",
        score=synflow.synflow,
    ),
    "params": Proxy(
        name="params",
        title="log of the number of parameters (baseline)",
        source="a count",
        needs="none",
        note="rewards parameters",
        score=size.log_params,
    ),
    "macs": Proxy(
        name="macs",
        title="log of the multiply-adds (baseline)",
        source="a count",
        needs="none",
        note="rewards multiply-adds",
        score=size.log_macs,
    ),
}

DEFAULT = "naswot"
"""The proxy of a search that names none; chosen on published accuracies, see ``studies/proxies``."""

_STEP = 32


def score_side(spec: ArchSpec) -> int:
    """Input side in pixels at which a network is scored: about half its own, a multiple of its total stride.

    Half the side is a quarter of the work, and a network made for larger images still sees larger ones.
    """
    step = max(_STEP, spec.strides[-1])
    return max(step, round(spec.resolution / 2 / step) * step)


def score(
    name: str, spec: ArchSpec, *, resolution: int | None = None, batch_size: int = 16, seed: int = 0
) -> ProxyScore:
    """Score a network; the global random state is left alone.

    Args:
        name: A name of `PROXIES`.
        spec: The network; it is built at `resolution`, also if it has a fixed input side.
        resolution: Input side in pixels; None takes `score_side`.
        batch_size: Number of generated images.
        seed: Seed of the weights and of the images.

    Raises:
        UnknownNameError: When there is no such proxy.
        ProxyError: When the network has no such score.
    """
    if name not in PROXIES:
        raise unknown_name("proxy", name, PROXIES, "see: archlab proxy list")
    started = time.perf_counter()
    side = resolution or score_side(spec)
    module = reinitialise(build(spec.replace(resolution=side), seed=seed), seed)
    try:
        value = PROXIES[name].score(module, images(batch_size, side, seed), seed)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        raise ProxyError(
            four_parts(
                f"{name} cannot score the network {spec.digest}",
                given=" ".join(str(error).split())[:160],
                allowed="networks that run at that side",
                do="choose another --proxy",
            )
        ) from None
    return ProxyScore(proxy=name, score=value, seconds=time.perf_counter() - started)
