"""EfficientViT (MSRA), Fig. 2: how much of the time of Swin-T and DeiT-T is memory-bound, and with less attention.

The split is the paper's: products and convolutions compute, all else moves data. The paper profiles PyTorch on a GPU;
judged is PyTorch without compilation on the device at hand, and the runtime that the device takes first, which fuses,
stands beside it. The variants have as many layers as the network, fewer of which attend, at its width. The printed
shares are of a secondary summary, as the figure itself was not recovered.

Source: arXiv 2305.07027, §2.1 and Fig. 2.
"""

import dataclasses
from typing import Any

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Equal, Larger
from archlab.artifacts.memory import memory_share
from archlab.artifacts.mixes import with_share
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import NEEDS_MEANS, Lack, Row
from archlab.families import published
from archlab.spec import ArchSpec

__all__ = ["ARTIFACT"]

_PAPER, _ITEM, _PRINTED = "EfficientViT-MSRA", "Fig. 2 runtime profile", "share of memory-bound operators"
_EAGER, _FUSED = "memory-bound share, PyTorch", "memory-bound share, fused"
_EAGER_RUNTIMES = ("torch", "cuda")
_NO_PYTORCH = Lack(verdict=NEEDS_MEANS, what="a device that runs PyTorch without compilation")
_SHARES = (0.2, 0.0)
_NETWORKS = {"Swin-T": "swin_tiny_patch4_window7_224", "DeiT-T": "deit_tiny_patch16_224"}


def _fewer(name: str, share: float) -> str:
    return f"{name} with {share:.0%} attention layers"


def _specs() -> dict[str, ArchSpec]:
    found = {name: published(network).spec for name, network in _NETWORKS.items()}
    return found | {_fewer(name, share): with_share(spec, share) for name, spec in found.items() for share in _SHARES}


def compute(bench: Bench) -> tuple[Row, ...]:
    """Profile six networks under two runtimes."""
    return tuple(
        _row(bench, setting, metric, spec) for metric in (_EAGER, _FUSED) for setting, spec in _specs().items()
    )


def _row(bench: Bench, setting: str, metric: str, spec: ArchSpec) -> Row:
    offered = _EAGER_RUNTIMES if bench.device is None else bench.device.backends
    eager = next((name for name in _EAGER_RUNTIMES if name in offered), None)
    if metric == _EAGER and eager is None:
        fields: dict[str, Any] = {"lack": _NO_PYTORCH}
    else:
        fields = memory_share(bench, setting, spec, eager if metric == _EAGER else None)
    row = beside(_PAPER, _ITEM, setting, _PRINTED, unit="%", **fields)
    return dataclasses.replace(row, metric=metric)


ARTIFACT = Artifact(
    name="msra_fig2",
    source="EfficientViT-MSRA (arXiv 2305.07027), Fig. 2: memory-bound share of the time of Swin-T and DeiT-T",
    needs="a device to profile on",
    compute=compute,
    checks=(
        Equal(
            claim="on this device memory-bound operators take the shares that they take on the paper's GPU",
            metric=_EAGER,
            within=0.25,
            settings=tuple(_NETWORKS),
        ),
        Larger(claim="they take more of Swin-T than of DeiT-T", metric=_EAGER, more="Swin-T", less="DeiT-T", by=12.7),
        *(
            Larger(
                claim=f"fewer attention layers make less of {name} memory-bound",
                metric=_EAGER,
                more=name,
                less=_fewer(name, 0.2),
            )
            for name in _NETWORKS
        ),
    ),
)
