"""Ways to play: whose latencies are told, who may be measured on the new device, and who is judged."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from few_shot_tables import Bench

__all__ = ["Setting", "help_settings", "timm_settings"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

GPU_COLUMNS = ("1080ti_1", "1080ti_32", "1080ti_{most}")
OTHERS = ("silver_4114", "silver_4210r", "samsung_a50", "pixel3", "essential_ph_1", "samsung_s7")
JUDGED = {
    "nasbench201": ("titan_rtx_256", "gold_6226", "pixel2", "raspi4", "eyeriss", "fpga"),
    "fbnet": ("raspi4", "eyeriss", "fpga"),
    "ofa": ("titan_rtx_64", "titan_rtx_32", "titan_rtx_1"),
}
"""HELP's unseen devices; for OFA its README has one, the batch of 64: the other two it validates with."""
LEARNING = {"nasbench201": 900, "fbnet": 4000, "ofa": 4000}
CURVE = (3, 5, 20, 50)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A way to play: `sources`, networks whose latency they tell, who may be measured, who is judged."""

    name: str
    bench: Bench
    device: str
    sources: tuple[str, ...]
    told: Indices | None
    pool: Indices
    judged: Indices

    @property
    def ms(self) -> Floats:
        """The new device's latencies."""
        return self.bench.ms[:, self.bench.devices.index(self.device)]

    def log_sources(self) -> Floats:
        """Logarithms of the sources' latencies; NaN where they do not tell."""
        log_ms = np.log(self.bench.ms[:, self.bench.columns(self.sources)])
        if self.told is not None:
            hidden = np.setdiff1d(np.arange(len(log_ms)), self.told)
            log_ms[hidden] = np.nan
        return log_ms


def help_settings(bench: Bench) -> Iterable[tuple[Setting, Sequence[int]]]:
    """HELP's devices by HELP's protocol and three loosenings of it, then every device as the new one."""
    learning = LEARNING[bench.name]
    most = "64" if bench.name == "fbnet" else "256"
    sources = tuple(name.format(most=most) for name in GPU_COLUMNS) + OTHERS
    if bench.name == "ofa":
        sources = tuple(d for d in bench.devices if not d.startswith("titan_rtx"))
    first, judged = np.arange(learning), np.arange(learning, learning + 1000)
    for device in JUDGED[bench.name]:
        ms = bench.ms[:, bench.devices.index(device)]
        pool, middle = _trimmed(first, ms), _trimmed(judged, ms)
        play = functools.partial(Setting, bench=bench, device=device, sources=sources)
        yield play(name="help", told=first, pool=pool, judged=middle), (10, *CURVE)
        yield play(name="help, spread", told=first, pool=first, judged=middle), (10,)
        yield play(name="all told", told=None, pool=pool, judged=middle), (10,)
        rest = np.arange(learning, len(ms))[:: max(1, (len(ms) - learning) // 2000)]
        yield play(name="all judged", told=first, pool=first, judged=rest), (10,)
    for device in bench.devices if bench.name != "ofa" else ():
        others = bench.others(device)
        yield (
            Setting(
                name="each left out", bench=bench, device=device, sources=others, told=first, pool=first, judged=judged
            ),
            (10,),
        )


def timm_settings(bench: Bench) -> Iterable[tuple[Setting, Sequence[int]]]:
    """Each column is the new device: sources are other hardware's columns, for one column of each all other columns."""
    seen: set[str] = set()
    for device, hardware in zip(bench.devices, bench.hardware, strict=True):
        rows = np.flatnonzero(~np.isnan(bench.ms[:, bench.devices.index(device)]))
        play = functools.partial(Setting, bench=bench, device=device, told=None, pool=rows, judged=rows)
        yield play(name="other hardware", sources=bench.others(device)), (10,)
        yield play(name="other hardware, spread", sources=bench.others(device)), (10,)
        if hardware not in seen:
            seen.add(hardware)
            others = tuple(d for d in bench.devices if d != device)
            yield play(name="other columns", sources=others), (10,)


def _trimmed(rows: Indices, ms: Floats) -> Indices:
    """Without the tenths that are fastest and slowest on the new device, as HELP drops outliers."""
    order = rows[np.argsort(ms[rows], kind="stable")]
    return np.asarray(order[int(0.1 * len(rows)) : int(0.9 * len(rows))], np.intp)
