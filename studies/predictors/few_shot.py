"""Predict a new device from a few measured networks and other devices: HELP's own data, and timm's benchmark files.

    python studies/predictors/few_shot.py [--bench FOLDER] [--timm CSV] [--seeds 20] [--only BENCH …] [--redraw]

Without the options the tables are looked for beside the folder that the variable ARCHLAB_DATA names: `../bench` and
`../reference/timm_bench.csv`; what is not there is said and left out. Writes `few_shot.csv` (every trial),
`few_shot.svg` and `few_shot.md` beside itself. Takes about ten minutes of one core. `--only`
plays some of the benches again and keeps the stored trials of the others; `--redraw` only writes picture and page.

HELP's protocol, as its code has it (github.com/HayeonLee/HELP at 45f70eb, loader.py, parser.py, README): the first 900
cells of NAS-Bench-201 (4,000 networks of FBNet and OFA) are for learning, the next 1,000 for judging; of both, the
tenths that are fastest and slowest on the new device are dropped; ten of the learning ones are drawn at random.
"""

import argparse
import csv
import dataclasses
import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from few_shot_report import Rows, draw, report
from few_shot_settings import Setting, help_settings, timm_settings
from few_shot_tables import Bench, fbnet, nasbench201, ofa, timm_bench
from scipy.stats import spearmanr

from archlab.files import write_text
from archlab.latency.transfer import Learned, learn

HERE = Path(__file__).parent
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

BENCHES = ("nasbench201", "fbnet", "ofa", "timm_bench")
OURS = "transfer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One new device, `count` of its networks measured: errors over the networks judged."""

    bench: str
    setting: str
    method: str
    device: str
    count: int
    seed: int
    spearman: float
    mean_abs_pct: float
    within_10: float
    held: float


def main() -> None:
    """Play all settings that the tables at hand allow, and write."""
    asked = _asked()
    new = [] if asked.redraw else [dataclasses.asdict(trial) for trial in _trials(asked)]
    rows = _stored() if asked.redraw or asked.only else []
    if new:
        rows = [row for row in rows if row["bench"] not in asked.only] + new
        rows.sort(key=lambda row: BENCHES.index(row["bench"]))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
        write_text(HERE / "few_shot.csv", stream.getvalue())
    write_text(HERE / "few_shot.svg", draw(rows))
    write_text(HERE / "few_shot.md", report(rows))
    print(report(rows))


def _trials(asked: argparse.Namespace) -> list[Trial]:
    found: list[Trial] = []
    for bench, settings in _benches(asked.bench, asked.timm, asked.only or BENCHES):
        print(f"{bench.name}: {bench.ms.shape[0]} networks, {bench.ms.shape[1]} devices", flush=True)
        for setting, counts in settings(bench):
            new = [trial for count in counts for trial in _play(setting, count, asked.seeds)]
            shown = np.mean([trial.spearman for trial in new if (trial.method, trial.count) == (OURS, 10)])
            print(f"  {setting.name:22s} {setting.device:45s} {shown:.3f}", flush=True)
            found += new
    return found


def _stored() -> Rows:
    """The trials as `few_shot.csv` has them; none where it is not there."""
    if not (HERE / "few_shot.csv").exists():
        return []
    with (HERE / "few_shot.csv").open(encoding="utf-8", newline="") as stream:
        kinds = {field.name: field.type for field in dataclasses.fields(Trial)}
        return [{name: kinds[name](value) for name, value in row.items()} for row in csv.DictReader(stream)]  # type: ignore[operator]


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    beside = Path(os.environ["ARCHLAB_DATA"]).parent if os.environ.get("ARCHLAB_DATA") else None
    parser.add_argument("--bench", type=Path, default=beside and beside / "bench")
    parser.add_argument("--timm", type=Path, default=beside and beside / "reference/timm_bench.csv")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", action="append", default=[], choices=BENCHES, help="keep the others' stored trials")
    parser.add_argument("--redraw", action="store_true", help="write picture and page again from few_shot.csv")
    return parser.parse_args()


_Settings = Callable[[Bench], Iterable[tuple[Setting, Sequence[int]]]]


def _benches(folder: Path | None, timm: Path | None, names: Sequence[str]) -> Iterable[tuple[Bench, _Settings]]:
    """Every table asked for that is there; what is missing is printed."""
    readers: list[tuple[Path | None, str, Callable[[Path], Bench], _Settings]] = [
        (folder, "nasbench201/latency_help.parquet", nasbench201, help_settings),
        (folder, "fbnet_help/latency.parquet", fbnet, help_settings),
        (folder, "ofa/latency_help.parquet", ofa, help_settings),
        (timm, "", timm_bench, timm_settings),
    ]
    found = []
    for place, name, read, settings in readers:
        if read.__name__ not in names:
            continue
        if place and (place / name).exists():
            found.append((read(place), settings))
        else:
            where = place / name if place else "nowhere to look"
            print(f"left out: no table of {read.__name__} ({where}); give --bench and --timm, or set ARCHLAB_DATA")
    if not found:
        raise SystemExit("no table found: nothing to do")
    return found


def _play(setting: Setting, count: int, seeds: int) -> Iterable[Trial]:
    """All seeds of a setting: the transfer, and beside it what is simpler."""
    learned = _learned(setting, count)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        if "spread" in setting.name:
            half = np.sort(rng.permutation(setting.pool)[: len(setting.pool) // 2])
            chosen = learned.choose(half, count)
        else:
            chosen = rng.permutation(setting.pool)[:count]
        judged = np.setdiff1d(setting.judged, chosen)
        told = learned.predict(chosen, setting.ms[chosen], asked=judged)
        truth = setting.ms[judged]
        held = float(((told.lo_ms <= truth) & (truth <= told.hi_ms)).mean())
        yield _trial(setting, OURS, (count, seed), told.ms, truth, held=held)
        yield from _baselines(setting, chosen, judged, (count, seed))


_LEARNED: dict[tuple[object, ...], Learned] = {}


def _learned(setting: Setting, count: int) -> Learned:
    """What the sources of a setting teach; the same sources are asked once."""
    told = 0 if setting.told is None else len(setting.told)
    key = (setting.bench.name, setting.sources, told, count)
    if key not in _LEARNED:
        _LEARNED[key] = learn(setting.log_sources(), setting.bench.features, count=count)
    return _LEARNED[key]


def _baselines(setting: Setting, chosen: Indices, judged: Indices, at: tuple[int, int]) -> Iterable[Trial]:
    """MACs alone, and the one proxy device that fits the measured networks best; lines through logarithms.

    The proxy has measured all networks, also those judged. MACs are ranked as they are, whatever the line's slope.
    """
    log_ms = np.log(setting.ms)
    if setting.bench.macs is not None:
        size = np.log(np.maximum(setting.bench.macs, 1e-3))
        ms = np.exp(_line(size, log_ms, chosen, judged)[0])
        yield _trial(setting, "MACs", at, ms, setting.ms[judged], rank_by=size[judged])
    fits = []
    for source in np.log(setting.bench.ms[:, setting.bench.columns(setting.sources)]).T:
        if not np.isnan(source[chosen]).any():
            filled = np.where(np.isnan(source), np.nanmean(source), source)
            fits.append(_line(filled, log_ms, chosen, judged))
    if fits:
        predicted, _ = min(fits, key=lambda fit: fit[1])
        yield _trial(setting, "one proxy device", at, np.exp(predicted), setting.ms[judged])


def _line(x: Floats, log_ms: Floats, chosen: Indices, judged: Indices) -> tuple[Floats, float]:
    """A line through the chosen networks: its values at those judged, and its squared error with each left out."""
    design = np.column_stack([np.ones(len(chosen)), x[chosen]])
    inverse = np.linalg.pinv(design.T @ design)
    shift, slope = inverse @ design.T @ log_ms[chosen]
    left = (log_ms[chosen] - shift - slope * x[chosen]) / np.maximum(
        1 - ((design @ inverse) * design).sum(axis=1), 1e-6
    )
    return np.asarray(shift + slope * x[judged], np.float64), float((left**2).mean())


def _trial(
    setting: Setting,
    method: str,
    at: tuple[int, int],
    ms: Floats,
    truth: Floats,
    *,
    held: float = np.nan,
    rank_by: Floats | None = None,
) -> Trial:
    off = np.abs(ms / truth - 1)
    ranked = ms if rank_by is None else rank_by
    return Trial(
        bench=setting.bench.name,
        setting=setting.name,
        method=method,
        device=setting.device,
        count=at[0],
        seed=at[1],
        spearman=float(np.nan_to_num(spearmanr(ranked, truth).statistic)) if np.ptp(ranked) else 0.0,
        mean_abs_pct=float(100 * off.mean()),
        within_10=float((off <= 0.1).mean()),
        held=held,
    )


if __name__ == "__main__":
    main()
