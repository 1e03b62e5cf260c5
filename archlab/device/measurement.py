"""The values of a measurement: samples as a runtime gives them, and the finished measurement that keeps them all."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archlab.device.catalog import RunSpec
from archlab.device.stats import Bools, Chosen, Floats, Ints, choose, median_interval

__all__ = ["PER_RUN", "QUALITIES", "Measurement", "Samples", "joined"]

QUALITIES = ("ok", "noisy", "throttled", "failed")
PER_RUN = ("samples_ms", "cpu_ms", "switches", "calm")
"""Fields of a measurement with an entry per run."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What a block of runs gave, one entry per run.

    `cpu_ns` (CPU time of the whole process) and `switches` (involuntary context switches) are None where the device's
    own tool reports times; `calm` is what the witness found beside each run, None where there is none; `is_throttled`
    is what the device itself says. `facts` are what else the device tells of the
    block (clock, temperature, `power_w`, `energy_mj` …); they stand in the measurement's environment.
    """

    wall_ns: Ints
    cpu_ns: Ints | None = None
    switches: Ints | None = None
    calm: Bools | None = None
    is_throttled: bool = False
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.wall_ns)


def joined(blocks: Sequence[Samples]) -> Samples:
    """Put blocks of runs behind each other; of a fact that several blocks tell the last one stays."""
    cpu = [block.cpu_ns for block in blocks if block.cpu_ns is not None]
    switches = [block.switches for block in blocks if block.switches is not None]
    calm = [block.calm for block in blocks if block.calm is not None]
    return Samples(
        wall_ns=np.concatenate([block.wall_ns for block in blocks]),
        cpu_ns=np.concatenate(cpu) if len(cpu) == len(blocks) else None,
        switches=np.concatenate(switches) if len(switches) == len(blocks) else None,
        calm=np.concatenate(calm) if len(calm) == len(blocks) else None,
        is_throttled=any(block.is_throttled for block in blocks),
        facts={name: value for block in blocks for name, value in block.facts.items()},
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """The latency of one network on one device, with every sample it rests on.

    `samples_ms` are wall times; `cpu_ms` and `switches` belong to them run by run and are empty where the device does
    not tell, `calm` where there was no witness. Median, p90, IQR and interval are those of the runs that count
    (`used_ms`; see `stats.choose`).
    """

    digest: str
    device: str
    run: RunSpec
    samples_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...] = ()
    switches: tuple[int, ...] = ()
    calm: tuple[bool, ...] = ()
    quality: str
    environment: dict[str, Any]

    @functools.cached_property
    def _chosen(self) -> Chosen:
        has_clock = len(self.cpu_ms) == len(self.switches) == len(self.samples_ms)
        return choose(
            np.asarray(self.samples_ms, dtype=np.float64),
            np.asarray(self.cpu_ms, dtype=np.float64) if has_clock else None,
            np.asarray(self.switches, dtype=np.int64) if has_clock else None,
            self.run.threads,
            np.asarray(self.calm, dtype=np.bool_) if self.calm else None,
        )

    @property
    def used_ms(self) -> Floats:
        """Times of the runs that count, in ms."""
        return self._chosen.times_ms

    @property
    def statistic(self) -> str:
        """Name of the statistic used, a key of `stats.STATISTICS`."""
        return self._chosen.statistic

    @property
    def median_ms(self) -> float:
        """Median of the runs that count, in ms."""
        return float(np.median(self.used_ms))

    @property
    def p90_ms(self) -> float:
        """90th percentile of the runs that count, in ms."""
        return float(np.percentile(self.used_ms, 90))

    @property
    def iqr_ms(self) -> float:
        """Distance of the quartiles of the runs that count, in ms."""
        low, high = np.percentile(self.used_ms, [25, 75])
        return float(high - low)

    @property
    def ci95_ms(self) -> tuple[float, float]:
        """The 95 % interval of the median, in ms."""
        return median_interval(self.used_ms)

    @property
    def n(self) -> int:
        """How many runs count."""
        return len(self.used_ms)

    @property
    def source(self) -> str:
        """Where the number is from, e.g. ``measured:ort@cpu``."""
        return f"measured:{self.run.runtime}@{self.device}"

    def summary(self) -> dict[str, Any]:
        """Give the public answer of ``archlab measure`` without the model's name."""
        return {
            "digest": self.digest,
            "device": self.device,
            "runtime": self.run.runtime,
            "precision": self.run.precision,
            "batch": self.run.batch,
            "source": self.source,
            "median_ms": self.median_ms,
            "p90_ms": self.p90_ms,
            "iqr_ms": self.iqr_ms,
            "ci95_ms": list(self.ci95_ms),
            "n": self.n,
            "quality": self.quality,
        }

    def to_dict(self) -> dict[str, Any]:
        """Write everything as plain JSON values; `from_dict` is the inverse."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {name: list(fields[name]) for name in PER_RUN}
        return {**fields, **lists, "run": dataclasses.asdict(self.run)}

    @classmethod
    def from_dict(cls, doc: Mapping[str, Any]) -> "Measurement":
        """Read what `to_dict` wrote."""
        tuples = {name: tuple(doc[name]) for name in PER_RUN}
        return cls(**{**doc, **tuples, "run": RunSpec(**doc["run"])})
