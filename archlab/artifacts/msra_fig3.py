"""EfficientViT (MSRA), Fig. 3: how many layers should be attention, at one throughput?

Swin-T and DeiT-T with 0 to 100 % of their layers attending, each at the width at which it is 1.25 or 1.5 times as fast
as the network itself. That width depends on the device: the times of the two ends, no attention and attention only,
are measured at three widths; between the ends the time is taken to be linear in the share; the networks so found are
then measured beside the original, and `speed-up` says how well they meet the throughput. The paper scales its networks
for a GPU and does not say how; its accuracies are read off the figure's axis.

Accuracies need training: the small networks have 10 layers and 32 px, and one number of multiply-adds in place of one
throughput, those of the original over 1.25 or 1.5 within 5 %.

Source: arXiv 2305.07027, §2.1 and Fig. 3.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.bench import Bench, of_spec
from archlab.artifacts.checks import Equal, Larger
from archlab.artifacts.memory import memory_share
from archlab.artifacts.mixes import width_for, with_share
from archlab.artifacts.paper import beside, numbers
from archlab.artifacts.rows import Row
from archlab.artifacts.throughput import times_as_fast
from archlab.families import deit, swin
from archlab.spec import ArchSpec

__all__ = ["ARTIFACT"]

_PAPER, _ITEM, _TOP1 = "EfficientViT-MSRA", "Fig. 3 MHSA proportion", "top1"
_SPEED_UP, _MEMORY = "speed-up", "share of runtime in memory-bound operations"
_PROFILED = ("Swin-T", 1.25, 0.2)
_SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
_SPEEDS = (1.25, 1.5)
_MAX_S = 3.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Series:
    """A network as a function of its width: the real one and the small one, and the widths of the small ones."""

    make: Callable[[int], ArchSpec]
    width: int
    allowed: Sequence[int]
    make_small: Callable[[int], ArchSpec]
    small_widths: Mapping[float, Sequence[int]]

    @property
    def original(self) -> ArchSpec:
        """The network that the series is compared with."""
        return self.make(self.width)


def _swin(width: int) -> ArchSpec:
    return swin.make(**{f"width_{i}": width << i for i in range(4)})


def _deit(width: int) -> ArchSpec:
    return deit.make(width=width, heads=3)


def _small_swin(width: int) -> ArchSpec:
    layers = (1, 1, 2, 1)
    stages = {f"{name}_{i}": layers[i] for name in ("attentions", "ffns") for i in range(4)}
    widths = {f"width_{i}": width << i for i in range(4)} | {f"heads_{i}": 2 << i for i in range(4)}
    return swin.make(resolution=32, classes=10, patch=2, window=4, **stages, **widths)


def _small_deit(width: int) -> ArchSpec:
    return deit.make(resolution=32, classes=10, patch=4, width=width, heads=3, attentions=5, ffns=5)


_SERIES = {
    "Swin-T": _Series(
        make=_swin,
        width=96,
        allowed=range(48, 145, 3),
        make_small=_small_swin,
        small_widths={1.25: (38, 40, 42, 42, 44, 48, 50), 1.5: (34, 36, 38, 40, 40, 42, 46)},
    ),
    "DeiT-T": _Series(
        make=_deit,
        width=192,
        allowed=range(96, 289, 3),
        make_small=_small_deit,
        small_widths={1.25: (78, 81, 84, 84, 87, 90, 96), 1.5: (72, 75, 75, 78, 78, 81, 87)},
    ),
}


def _setting(name: str, speed: float, share: float) -> str:
    return f"{name}-{speed:g}x, MHSA share {share:.0%}"


def _small() -> dict[str, ArchSpec]:
    return {
        _setting(name, speed, share): with_share(series.make_small(width), share)
        for name, series in _SERIES.items()
        for speed in _SPEEDS
        for share, width in zip(_SHARES, series.small_widths[speed], strict=True)
    }


_SMALL = _small()


def compute(bench: Bench) -> tuple[Row, ...]:
    """Find the widths, measure the networks at them; accuracies where trained."""
    quick = bench if bench.device is None else dataclasses.replace(bench, options={**bench.options, "max_s": _MAX_S})
    return tuple(row for name, series in _SERIES.items() for row in _series_rows(quick, name, series))


def _series_rows(bench: Bench, name: str, series: _Series) -> list[Row]:
    widths = _widths(bench, series)
    specs = {key: with_share(series.make(width), key[1]) for key, width in widths.items()}
    times = bench.times({str(key): of_spec(spec) for key, spec in specs.items()} | {name: of_spec(series.original)})
    rows: list[Row] = []
    for key in itertools.product(_SPEEDS, _SHARES):
        setting = _setting(name, *key)
        fields = times_as_fast(times[name], times.get(str(key), times[name]))
        asked: dict[str, Any] = {
            "paper": key[0],
            "paper_source": "name of the series",
            "paper_status": "verified-source",
        }
        rows += [
            Row(setting=setting, metric=_SPEED_UP, unit="x", note=_note(widths.get(key)), **asked, **fields),
            beside(_PAPER, _ITEM, setting, _TOP1, **bench.score(_SMALL[setting])),
        ]
        if (name, *key) == _PROFILED and key in specs:
            share = memory_share(bench, setting, specs[key], None)
            rows.append(beside(_PAPER, _ITEM, "Swin-T-1.25x with 20% MHSA", _MEMORY, **share))
    return rows


def _widths(bench: Bench, series: _Series) -> dict[tuple[float, float], int]:
    """Speed and share → the width of that throughput on this device; empty where nothing is measured."""
    if bench.device is None:
        return {}
    marks = (series.allowed[0], series.width, series.allowed[-1])
    ends = {(share, width): with_share(series.make(width), share) for share in (0.0, 1.0) for width in marks}
    times = bench.times({str(end): of_spec(spec) for end, spec in ends.items()} | {"": of_spec(series.original)})
    widths = {}
    for speed, share in itertools.product(_SPEEDS, _SHARES):
        known = {
            width: (1 - share) * times[str((0.0, width))]["ours"] + share * times[str((1.0, width))]["ours"]
            for width in marks
        }
        widths[speed, share] = width_for(times[""]["ours"] / speed, known, series.allowed)
    return widths


def _note(width: int | None) -> str:
    return "" if width is None else f"width {width}"


def _claims() -> list[Larger]:
    """The figure's shape: the best share of each series beats none, one half, and attention alone."""
    printed = numbers(_PAPER, _ITEM, _TOP1)
    claims = []
    for name, speed in itertools.product(_SERIES, _SPEEDS):
        tops = {share: printed[_setting(name, speed, share)] for share in _SHARES}
        best = max(tops, key=lambda share: tops[share])
        for share in (0.0, 0.5, 1.0):
            claims.append(
                Larger(
                    claim=f"{name}-{speed:g}x: {best:.0%} of attention is better than {share:.0%}",
                    metric=_TOP1,
                    more=_setting(name, speed, best),
                    less=_setting(name, speed, share),
                    by=round(tops[best] - tops[share], 3),
                )
            )
    return claims


ARTIFACT = Artifact(
    name="msra_fig3",
    source="EfficientViT-MSRA (arXiv 2305.07027), Fig. 3: share of attention against accuracy at one throughput",
    needs="networks trained at small scale for the accuracies; a device, for about ten minutes, for the widths",
    compute=compute,
    checks=(
        Equal(claim="the networks have the throughput of their series", metric=_SPEED_UP, within=0.05),
        *_claims(),
    ),
    small=_SMALL,
)
