"""ConvNeXt, the roadmap: from ResNet-50 to ConvNeXt-T and from ResNet-200 to ConvNeXt-B, step by step.

The paper gives accuracy and FLOPs of every step (its Tables 10 and 11, drawn in Fig. 2). FLOPs are multiply-adds of
convolutions and products; every step counts as printed but one: between ResNet-50 and ConvNeXt-T the swap of BatchNorm
for LayerNorm is printed with 4.46 G after 4.15 G. A norm has no multiply-adds in this count, in the other regime the
same step stays at 14.81 G, and 4.46 G is what the network of the next step counts. That row is shown and not judged.
The paper gives no latencies of the steps: ours are shown, and nothing is claimed of them.

Accuracies need training: the small networks take the same steps at 64 px with a quarter of the width.

Source: arXiv 2201.03545, §2, Fig. 2 and Tables 10 and 11.
"""

import dataclasses
import itertools
from typing import Any

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.checks import Equal, Larger
from archlab.artifacts.paper import beside, numbers, values
from archlab.artifacts.rows import Row
from archlab.families import roadmap
from archlab.spec import ArchSpec

__all__ = ["ARTIFACT"]

_PAPER, _FLOPS, _TOP1, _LATENCY = "ConvNeXt", "FLOPs", "top1", "latency"
_ITEMS = {"t": "Roadmap ResNet-50 regime", "b": "Roadmap ResNet-200 regime"}
_NAMES = {"t": "ResNet-50 regime", "b": "ResNet-200 regime"}
_LAST = 16
_NORM_SWAP = ("t", 15)
_NOTE = "not judged: a swap of norms has no multiply-adds, and this is the count of the next row"
_WALK = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16)
"""The steps that build on each other, from the new recipe on; kernels 5, 9 and 11 are tried and left."""
_CLEAR = 0.5
"""Points of accuracy from which on a step is a claim: more than five of the paper's standard deviations."""
_TOGETHER = 6
"""Networks that are held ready at once."""


def _settings(regime: str) -> list[str]:
    """The steps in the paper's words, ResNet first; the last row of the table, a Swin, is none."""
    return list(dict.fromkeys(value.setting for value in values(_PAPER, _ITEMS[regime], _FLOPS)))[: _LAST + 1]


def _setting(regime: str, order: int) -> str:
    """Words that tell the regimes apart."""
    return f"{_NAMES[regime]}: {_settings(regime)[order]}"


_KEYS = tuple(itertools.product(_ITEMS, range(_LAST + 1)))


def compute(bench: Bench) -> tuple[Row, ...]:
    """Count, time and score every step of both regimes."""
    specs = {key: roadmap.step(*key) for key in _KEYS}
    times = _times(bench, specs)
    rows: list[Row] = []
    for key, spec in specs.items():
        regime, order = key
        item, words, setting = _ITEMS[regime], _settings(regime)[order], _setting(*key)
        flops = of_spec(spec).costs().macs / 1e9
        note = _NOTE if key == _NORM_SWAP else ""
        found = (
            beside(_PAPER, item, words, _FLOPS, ours=flops, ours_source="counted as multiply-adds", note=note),
            Row(setting=setting, metric=_LATENCY, unit="ms", **times[spec.digest]),
            beside(_PAPER, item, words, _TOP1, **bench.score(_TRAINED[setting])),
        )
        rows += [dataclasses.replace(row, setting=setting) for row in found]
    return tuple(rows)


def _times(bench: Bench, specs: dict[tuple[str, int], ArchSpec]) -> dict[str, dict[str, Any]]:
    """Digest → fields of a latency; a few networks at a time, since they are large."""
    distinct = list({spec.digest: spec for spec in specs.values()}.items())
    found: dict[str, dict[str, Any]] = {}
    for begin in range(0, len(distinct), _TOGETHER):
        part = dict(distinct[begin : begin + _TOGETHER])
        found |= bench.times({digest: of_spec(spec) for digest, spec in part.items()})
    return found


def _small(regime: str, order: int) -> ArchSpec:
    """The step at 64 px, with a quarter of its width."""
    width = roadmap.axes_of(roadmap.step(regime, order))["width"]
    assert isinstance(width, int)
    return roadmap.step(regime, order, resolution=64, classes=50, width=width // 4)


_TRAINED = {_setting(*key): _small(*key) for key in _KEYS}


def _accuracy_claims(regime: str) -> list[Larger]:
    """The steps of the walk that move the printed accuracy by `_CLEAR` or more."""
    printed = numbers(_PAPER, _ITEMS[regime], _TOP1)
    tops = [printed[setting] for setting in _settings(regime)]
    claims = []
    for before, after in itertools.pairwise(_WALK):
        gain = tops[after] - tops[before]
        if abs(gain) < _CLEAR:
            continue
        more, less = (after, before) if gain > 0 else (before, after)
        word = "gains" if gain > 0 else "costs"
        claims.append(
            Larger(
                claim=f"{_setting(regime, after)} {word} accuracy",
                metric=_TOP1,
                more=_setting(regime, more),
                less=_setting(regime, less),
                by=round(abs(gain), 3),
            )
        )
    return claims


ARTIFACT = Artifact(
    name="convnext_roadmap",
    source="ConvNeXt (arXiv 2201.03545), Fig. 2, Tables 10 and 11: FLOPs of each step from ResNet to ConvNeXt",
    needs="networks trained at small scale for the accuracies; a device for the latencies",
    compute=compute,
    checks=(
        *(
            Equal(
                claim=f"{_NAMES[regime]}: the FLOPs of the steps are the printed ones",
                metric=_FLOPS,
                within=0.02,
                settings=tuple(_setting(*key) for key in _KEYS if key[0] == regime and key != _NORM_SWAP),
            )
            for regime in _ITEMS
        ),
        *(claim for regime in _ITEMS for claim in _accuracy_claims(regime)),
    ),
    small=_TRAINED,
)
