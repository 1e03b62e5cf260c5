"""Accuracy scores without training: a row per proxy, higher is better, finite or a ProxyError.

Scores of one proxy compare; scores of two do not. `params`, `macs` and `activations` are the baselines that every
other has to beat.

Networks are scored on small images, 64 pixels, at a sixteenth of the work; what a score would have grown by at the
network's own side is added (see `Proxy.area_power`), so that a network made for larger images keeps its advantage.
Scoring uses one thread, so that a score does not depend on the number of cores.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from archlab.errors import ProxyError, SpecError, four_parts, unknown_name
from archlab.model.build import build, check
from archlab.proxy import naswot, naswot_params, size, synflow
from archlab.proxy.subject import Proxy, ProxyScore, fresh, images
from archlab.spec import ArchSpec

__all__ = ["DEFAULT", "PROXIES", "Proxy", "ProxyScore", "score", "score_side"]

PROXIES: dict[str, Proxy] = {
    "naswot_params": Proxy(
        name="naswot_params",
        title="NASWOT per image plus log of the parameters",
        source="Mellor et al., ICML 2021, arXiv 2006.04647, equation 2, and a count; the sum is archlab's own",
        needs="images",
        note="rewards activations that differ between images, and parameters",
        score=naswot_params.naswot_params,
        area_power=lambda batch: 1.0,
    ),
    "naswot": Proxy(
        name="naswot",
        title="NASWOT: how differently images light up the activations",
        source="Mellor et al., ICML 2021, arXiv 2006.04647, equation 2",
        needs="images",
        note="rewards activations that differ between images",
        score=naswot.naswot,
        area_power=float,
    ),
    "synflow": Proxy(
        name="synflow",
        title="SynFlow: log of the flow through all weights",
        source="Tanaka et al., NeurIPS 2020, arXiv 2006.05467, equation 2; Abdelfattah et al., ICLR 2021",
        needs="weights",
        note="rewards depth and width, whatever the data",
        score=synflow.synflow,
    ),
    "params": Proxy(
        name="params",
        title="log of the number of parameters (baseline)",
        source="a count",
        needs="nothing",
        note="rewards parameters",
        score=size.log_params,
    ),
    "macs": Proxy(
        name="macs",
        title="log of the multiply-adds (baseline)",
        source="a count",
        needs="nothing",
        note="rewards multiply-adds",
        score=size.log_macs,
    ),
    "activations": Proxy(
        name="activations",
        title="log of the elements that all operators write (baseline)",
        source="a count",
        needs="nothing",
        note="rewards large maps",
        score=size.log_activations,
    ),
}

DEFAULT = "naswot_params"
"""The proxy of a search that names none; chosen on published accuracies, see `naswot_params`."""

_SIDE = 64


def score_side(spec: ArchSpec) -> int:
    """Input side in pixels at which a network is scored: 64, or its own where it cannot be built for 64."""
    side = min(_SIDE, spec.resolution)
    try:
        check(spec.replace(resolution=side))
    except SpecError:
        return spec.resolution
    return side


def score(
    name: str, spec: ArchSpec, *, resolution: int | None = None, batch_size: int = 16, seed: int = 0
) -> ProxyScore:
    """Score a network as it is at its own resolution; global random state and threads are left alone.

    Args:
        name: A name of `PROXIES`.
        spec: The network.
        resolution: Input side in pixels at which it is built and run; None takes `score_side`.
        batch_size: Number of generated images.
        seed: Seed of the weights and of the images.

    Raises:
        UnknownNameError: When there is no such proxy.
        ProxyError: When the network has no such score.
    """
    if name not in PROXIES:
        raise unknown_name("proxy", name, PROXIES, "see: archlab proxy list")
    row = PROXIES[name]
    started = time.perf_counter()
    try:
        with _one_thread():
            side, module, shown_BCHW = _prepared(row, spec, resolution, batch_size, seed)
            value = row.score(module, shown_BCHW, seed)
    except RuntimeError as error:  # torch's own word for what cannot run, out of memory included
        raise ProxyError(
            four_parts(
                f"{name} cannot score the network {spec.digest}",
                given=" ".join(str(error).split())[:160],
                allowed="networks that run at that side",
                do="choose another --proxy",
            )
        ) from None
    value += row.area_power(batch_size) * 2 * math.log(spec.resolution / side)
    return ProxyScore(proxy=name, score=value, seconds=time.perf_counter() - started)


def _prepared(
    row: Proxy, spec: ArchSpec, resolution: int | None, batch_size: int, seed: int
) -> tuple[int, nn.Module, Tensor]:
    """Side, network and images as the proxy needs them; counts need neither weights nor images."""
    if row.needs == "nothing":
        side = spec.resolution
        return side, build(spec, device="meta"), torch.empty(1, 3, side, side, device="meta")
    side = resolution or score_side(spec)
    return (
        side,
        fresh(spec.replace(resolution=side), seed),
        images(batch_size if row.needs == "images" else 1, side, seed),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
