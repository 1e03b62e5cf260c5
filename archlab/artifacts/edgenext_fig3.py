"""EdgeNeXt, Fig. 3: LayerNorm with GELU against BatchNorm with Hardswish, in latency and accuracy.

Latencies are measured on every runtime of the device, batch 1; the paper's are those of an A100 at batch 256, from the
throughputs in the authors' code. The paper shows a trade: BatchNorm with Hardswish is faster, and less accurate.

Source: arXiv 2206.10589, Fig. 3.
"""

import dataclasses
import itertools
from collections.abc import Sequence

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.checks import Larger, is_below
from archlab.artifacts.edgenext_ablation import TOP1, small_of
from archlab.artifacts.paper import beside
from archlab.artifacts.rows import NEEDS_MEANS, Lack, Row
from archlab.artifacts.verdict import Check, by_count
from archlab.families import published

__all__ = ["ARTIFACT"]

_ITEM = "Fig. 3 LN+GELU vs BN+HS"
_LN, _BN = "LayerNorm+GELU", "BatchNorm+Hardswish"
_SIZES = {
    "EdgeNeXt-XXS": ("edgenext_xx_small", "edgenext_xx_small_bn_hs"),
    "EdgeNeXt-XS": ("edgenext_x_small", "edgenext_x_small_bn_hs"),
    "EdgeNeXt-S": ("edgenext_small", "edgenext_small_bn_hs"),
}
_PRINTED = "A100 latency per image"
_LATENCY = "latency, "
_SMALL_LN, _SMALL_BN = f"small network, {_LN}", f"small network, {_BN}"
_SMALL = small_of({_SMALL_LN: {}, _SMALL_BN: {"norm": "bn", "act": "hardswish"}})
_NO_A100 = Lack(verdict=NEEDS_MEANS, what="an A100")
_NO_IMAGENET = Lack(verdict=NEEDS_MEANS, what="ImageNet")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FasterOnEvery(Check):
    """On every runtime that is here and for every size, `fast` takes less time than `slow`, beyond both intervals.

    Reproduced when all pairs say so, in sign only when three quarters do.
    """

    fast: str
    slow: str

    def used(self, rows: Sequence[Row]) -> list[Row]:
        """By runtime and size `fast` and then `slow`; runtimes that are not here count only where none is."""
        times = {(row.metric, row.setting): row for row in rows if row.metric.startswith(_LATENCY)}
        pairs = [
            (times[metric, f"{size} {self.fast}"], times[metric, f"{size} {self.slow}"])
            for metric in dict.fromkeys(metric for metric, _ in times)
            for size in _SIZES
        ]
        known = [pair for pair in pairs if all(row.ours is not None for row in pair)]
        return list(itertools.chain(*(known or pairs)))

    def weigh(self, used: Sequence[Row]) -> tuple[str, str]:
        """Count the pairs."""
        fast, slow = used[::2], used[1::2]
        right = sum(is_below(*pair) for pair in zip(fast, slow, strict=True))
        runtimes = ", ".join(dict.fromkeys(row.metric.removeprefix(_LATENCY) for row in fast))
        detail = f"{self.fast} is faster in {right} of {len(fast)} pairs of size and runtime ({runtimes})"
        return by_count(right, len(fast)), detail


def compute(bench: Bench) -> tuple[Row, ...]:
    """Measure six networks on every runtime; accuracies where trained."""
    settings = {
        f"{size} {kind}": name for size, names in _SIZES.items() for kind, name in zip((_LN, _BN), names, strict=True)
    }
    rows = [beside("EdgeNeXt", _ITEM, setting, _PRINTED, lack=_NO_A100) for setting in settings]
    nets = {setting: of_spec(published(name).spec) for setting, name in settings.items()}
    for runtime in bench.runtimes():
        for setting, fields in bench.times(nets, runtime=runtime).items():
            rows.append(Row(setting=setting, metric=f"{_LATENCY}{runtime}", unit="ms", **fields))
    rows += [beside("EdgeNeXt", _ITEM, setting, TOP1, lack=_NO_IMAGENET) for setting in settings]
    rows += [Row(setting=setting, metric=TOP1, unit="%", **bench.score(spec)) for setting, spec in _SMALL.items()]
    return tuple(rows)


ARTIFACT = Artifact(
    name="edgenext_fig3",
    source="EdgeNeXt (arXiv 2206.10589), Fig. 3: LayerNorm with GELU against BatchNorm with Hardswish",
    needs="a device for the latencies; networks trained at small scale for the accuracies",
    compute=compute,
    checks=(
        FasterOnEvery(claim=f"{_BN} is faster than {_LN}", fast=_BN, slow=_LN),
        Larger(claim=f"{_LN} is more accurate than {_BN}", metric=TOP1, more=_SMALL_LN, less=_SMALL_BN),
    ),
    small=_SMALL,
)
