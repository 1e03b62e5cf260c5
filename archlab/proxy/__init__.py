"""Accuracy scores without training: a row per proxy, higher is better, finite or a ProxyError.

Scores of one proxy compare; scores of two do not. `params`, `macs` and `activations` are the baselines that every
other has to beat. How a network is scored is said in `scoring`, what passes scores share in `passes`.
"""

from collections.abc import Callable, Iterable

from archlab.errors import ArchlabError, unknown_name
from archlab.proxy import (
    az_nas,
    fisher,
    grad_norm,
    grasp,
    jacob_cov,
    meco,
    naswot,
    naswot_params,
    published,
    short_train,
    size,
    snip,
    swap,
    synflow,
    tf_tas,
    zen,
    zico,
)
from archlab.proxy.halving import ShortTraining
from archlab.proxy.passes import Subject
from archlab.proxy.row import Proxy, ProxyScore
from archlab.proxy.scoring import Settings, score_rows, score_side
from archlab.spec import ArchSpec

__all__ = ["DEFAULT", "DEFAULT_ON_IMAGES", "PROXIES", "Proxy", "ProxyScore", "Subject", "score", "score_side", "scores"]

_AZ = "Lee and Ham, CVPR 2024, arXiv 2403.19232, equations 2 to 10"

PROXIES: dict[str, Proxy] = {
    "naswot_params": Proxy(
        name="naswot_params",
        title="NASWOT per image plus log of the parameters",
        source="Mellor et al., ICML 2021, arXiv 2006.04647, equation 2, and a count; the sum is archlab's own",
        needs="images",
        note="rewards activations that differ between images, and parameters",
        score=naswot_params.naswot_params,
        reads=frozenset({"kernel"}),
        area_power=lambda batch: 1.0,
    ),
    "naswot": Proxy(
        name="naswot",
        title="NASWOT: how differently images light up the activations",
        source="Mellor et al., ICML 2021, arXiv 2006.04647, equation 2",
        needs="images",
        note="rewards activations that differ between images",
        score=naswot.naswot,
        reads=frozenset({"kernel"}),
        area_power=float,
    ),
    "synflow": Proxy(
        name="synflow",
        title="SynFlow: log of the flow through all weights",
        source="Tanaka et al., NeurIPS 2020, arXiv 2006.05467, equation 2; Abdelfattah et al., ICLR 2021",
        needs="weights",
        note="rewards depth and width, whatever the data",
        score=synflow.synflow,
        reads=frozenset({"flow"}),
    ),
    "grad_norm": Proxy(
        name="grad_norm",
        title="gradient norm: log of the gradient's length, layer by layer",
        source="Abdelfattah et al., ICLR 2021, arXiv 2101.08134, section 3.2",
        needs="images",
        note="rewards steep losses",
        score=grad_norm.grad_norm,
        reads=frozenset({"gradients"}),
    ),
    "snip": Proxy(
        name="snip",
        title="SNIP: log of what cutting single weights would do to the loss",
        source="Lee et al., ICLR 2019, arXiv 1810.02340, equation 4; Abdelfattah et al., ICLR 2021",
        needs="images",
        note="rewards weights that matter",
        score=snip.snip,
        reads=frozenset({"gradients"}),
    ),
    "grasp": Proxy(
        name="grasp",
        title="GraSP: do the weights keep the gradient flowing",
        source="Wang et al., ICLR 2020, arXiv 2002.07376, equation 8; Abdelfattah et al., ICLR 2021",
        needs="images",
        note="rewards weights that keep the gradient",
        score=grasp.grasp,
        reads=frozenset({"gradients", "curvature"}),
    ),
    "fisher": Proxy(
        name="fisher",
        title="Fisher: log of what the loss knows of single channels",
        source="Theis et al., 2018, arXiv 1801.05787; Turner et al., ICLR 2020; Abdelfattah et al., ICLR 2021",
        needs="images",
        note="rewards channels that matter",
        score=fisher.fisher,
        reads=frozenset({"gradients", "channels"}),
    ),
    "jacob_cov": Proxy(
        name="jacob_cov",
        title="Jacobian covariance: do images reach the output by different pixels",
        source="Mellor et al., 2020, arXiv 2006.04647v1; Abdelfattah et al., ICLR 2021",
        needs="images",
        note="rewards gradients that differ between images",
        score=jacob_cov.jacob_cov,
        reads=frozenset({"graph"}),
    ),
    "zen": Proxy(
        name="zen",
        title="Zen: expressiveness under Gaussian weights and images",
        source="Lin et al., ICCV 2021, arXiv 2102.01063, algorithm 1",
        needs="images",
        note="rewards depth and width",
        score=zen.zen,
        reads=frozenset({"noise"}),
    ),
    "zico": Proxy(
        name="zico",
        title="ZiCo: gradients that are large and alike between batches",
        source="Li et al., ICLR 2023, arXiv 2301.11300, equation 10",
        needs="images",
        note="rewards many layers with steady gradients",
        score=zico.zico,
        reads=frozenset({"gradients"}),
    ),
    "az_expressivity": Proxy(
        name="az_expressivity",
        title="AZ-NAS, part 1: entropy of the maps' spectra",
        source=_AZ,
        needs="images",
        note="rewards maps whose channels differ",
        score=az_nas.az_expressivity,
        reads=frozenset({"graph"}),
    ),
    "az_progressivity": Proxy(
        name="az_progressivity",
        title="AZ-NAS, part 2: smallest growth of that entropy",
        source=_AZ,
        needs="images",
        note="rewards maps that gain from block to block",
        score=az_nas.az_progressivity,
        reads=frozenset({"graph"}),
    ),
    "az_trainability": Proxy(
        name="az_trainability",
        title="AZ-NAS, part 3: blocks that keep the size of a gradient",
        source=_AZ,
        needs="images",
        note="rewards Jacobians of norm 1",
        score=az_nas.az_trainability,
        reads=frozenset({"graph"}),
    ),
    "az_complexity": Proxy(
        name="az_complexity",
        title="AZ-NAS, part 4: log of the multiply-adds",
        source=_AZ,
        needs="nothing",
        note="rewards multiply-adds",
        score=az_nas.az_complexity,
    ),
    "az_nas": Proxy(
        name="az_nas",
        title="AZ-NAS: its four parts, each against typical networks",
        source=_AZ + "; ranks replaced, see the file",
        needs="images",
        note="rewards being good in all four parts",
        score=az_nas.az_nas,
        reads=frozenset({"graph"}),
    ),
    "swap": Proxy(
        name="swap",
        title="SWAP: log of the number of patterns that images draw on the units",
        source="Peng et al., ICLR 2024, arXiv 2403.04161, definition 3.3",
        needs="images",
        note="rewards units that differ",
        score=swap.swap,
        reads=frozenset({"patterns"}),
    ),
    "meco": Proxy(
        name="meco",
        title="MeCo: independence of the channels of each map",
        source="Jiang et al., NeurIPS 2023, equation 6",
        needs="images",
        note="rewards independent channels on large maps",
        score=meco.meco,
        reads=frozenset({"layers"}),
    ),
    "tf_tas": Proxy(
        name="tf_tas",
        title="TF-TAS: diversity of the attention, saliency of the rest",
        source="Zhou et al., CVPR 2022, arXiv 2203.12217, equations 3 to 5",
        needs="weights",
        note="rewards attention of full rank; SynFlow where there is none",
        score=tf_tas.tf_tas,
        reads=frozenset({"flow"}),
    ),
    "short_train": Proxy(
        name="short_train",
        title="short training: probability of the right class (%), on your own images or on digits",
        source="archlab's training loop; rungs after Jamieson and Talwalkar, AISTATS 2016, arXiv 1502.07943",
        needs="data",
        note="rewards learning fast; takes minutes",
        score=short_train.short_train,
    ),
    "published": Proxy(
        name="published",
        title="predicted top-1: on ImageNet-1k (%), after one training recipe; archlab proxy score shows its interval",
        source="timm's results files and the papers' tables; archlab's own fit, studies/published",
        needs="nothing",
        note="rewards what published networks gained by, at one training recipe",
        score=published.published,
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

DEFAULT, DEFAULT_ON_IMAGES = "published", "short_train"
"""The proxies of a search that names none: without images of the user's, and with them.

Chosen by published accuracies and by networks that were trained alike, see ``studies/hybrid_bench/default.md``.
"""


def score(
    name: str,
    spec: ArchSpec,
    *,
    resolution: int | None = None,
    batch_size: int = 16,
    seed: int = 0,
    training: ShortTraining | None = None,
) -> ProxyScore:
    """Score a network by one proxy; see `scores`."""
    return scores([name], spec, resolution=resolution, batch_size=batch_size, seed=seed, training=training)[0]


def scores(
    names: Iterable[str],
    spec: ArchSpec,
    *,
    resolution: int | None = None,
    batch_size: int = 16,
    seed: int = 0,
    training: ShortTraining | None = None,
    on_skip: Callable[[str, ArchlabError], object] | None = None,
) -> list[ProxyScore]:
    """Score a network by several proxies; those that read the same pass share it.

    Values do not depend on which others are asked for. Global random state and threads are left alone.

    Args:
        names: Names of `PROXIES`.
        spec: The network, scored as it is at its own resolution.
        resolution: Input side in pixels at which it is built and run; None takes `score_side`.
        batch_size: Number of generated images; scores that learn need at least four.
        seed: Seed of the weights and of the images.
        training: The short trainings that the network joins, for scores that train; None trains it alone, on digits.
        on_skip: Gets the name and the reason of a score that the network does not have, which is then left out.

    Raises:
        UnknownNameError: When there is no such proxy.
        ProxyError: When the network has no such score, and `on_skip` is None.
    """
    rows = [_row(name) for name in names]
    settings = Settings(resolution=resolution, batch_size=batch_size, seed=seed, training=training)
    return score_rows(rows, spec, settings, on_skip)


def _row(name: str) -> Proxy:
    if name not in PROXIES:
        raise unknown_name("proxy", name, PROXIES, "see: archlab proxy list")
    return PROXIES[name]
