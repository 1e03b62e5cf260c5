"""Which score ranks networks truly? Asked of networks whose accuracy is known: the project's own, or the user's."""

import dataclasses
import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from archlab.api.arguments import checked
from archlab.api.known import KnownNetwork, known_networks
from archlab.api.scores import layout_scores, scores_of, training_of
from archlab.errors import ArchlabError, PlanError, four_parts, unknown_name
from archlab.format import duration
from archlab.proxy import PROXIES
from archlab.proxy.evidence import shipped_benchmark
from archlab.proxy.judging import (
    BASELINES,
    LEAST_NETWORKS,
    Bench,
    correlations,
    deviation_between_seeds,
    least_gap,
)
from archlab.proxy.ranking import Floats

__all__ = ["Scored", "correlate", "correlate_rows"]

_HALF = "report"
_EVERY_S = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """How far `correlate` is: `done` of `total` networks, `model` the last, after `seconds`."""

    done: int
    total: int
    model: str
    seconds: float


Say = Callable[[str], object]
Progress = Callable[[Scored], object]


@checked
def correlate(
    networks: str | Path | pd.DataFrame | None = None,
    *,
    proxies: Sequence[str] | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
    on_note: Say | None = None,
) -> pd.DataFrame:
    """Correlate scores with known accuracies: Kendall's τ over pairs of networks, with 95 % intervals.

    Pairs count whose accuracies are 0.2 points apart or more, and one deviation of such a difference between seeds
    where a network has several rows. Equal cost: multiply-adds within a factor of 1.5; equal latency: within 1.25.

    Args:
        networks: A CSV or a table with the columns `model` (a published name, a spec file, STUDY_DIR:DIGEST or
            timm:NAME), `top1` in percent and, if known, `latency_ms`; several rows of a model are averaged. None takes
            the trained networks that come with the package, the half of them that no score was chosen on.
        proxies: Names of `archlab proxy list`; None takes all that need no training. `params` and `macs` always are
            beside them.
        data: The images that `short_train` trains on, as for `train`; None takes digits. It trains the networks as a
            search does, rung by rung beside those before.
        seed: Seed of weights and images.
        on_progress: Called after every network; None shows the progress on stderr.
        on_note: Gets a line about whatever is left out, and why; None writes it on stderr.

    Returns:
        A row per score and part (`all pairs`, `equal cost`, `equal latency`), the best at equal cost first: `proxy`,
        `part`, `tau`, `low`, `high`, `pairs`, `networks`, `spearman` (of all pairs), `seconds` per network (by
        itself, the median of three networks) and `source`.

    Raises:
        PlanError: For a table that cannot be read, with fewer than eight networks, or with equal accuracies.
        UnknownNameError: For a model or a score that does not exist.
        StudyError: Without a table, where no trained networks come with the package.
    """
    rows = correlate_rows(networks, proxies=proxies, data=data, seed=seed, on_progress=on_progress, on_note=on_note)
    return pd.DataFrame(rows)


@checked
def correlate_rows(
    networks: str | Path | pd.DataFrame | None = None,
    *,
    proxies: Sequence[str] | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
    on_note: Say | None = None,
) -> list[dict[str, Any]]:
    """Correlate scores with known accuracies; see `correlate`. Plain rows."""
    asked = _asked(proxies)
    on_note, on_progress = on_note or _say, on_progress or _shown()
    known, deviation, source = _of_package(on_note) if networks is None else _of_user(networks, on_note)
    bench = _bench(known, deviation)
    _check(bench.top1, bench.gap)
    found, seconds = _scores(known, asked, data, seed, on_progress, on_note)
    return [row.to_dict() for row in correlations(bench, found, seconds, source=source)]


def _asked(proxies: Sequence[str] | None) -> list[str]:
    for name in proxies or ():
        if name not in PROXIES:
            raise unknown_name("proxy", name, PROXIES, "see: archlab proxy list")
    chosen = proxies or [name for name, row in PROXIES.items() if not row.trains]
    return list(dict.fromkeys([*chosen, *BASELINES]))


def _of_package(on_note: Say) -> tuple[list[KnownNetwork], float | None, str]:
    """The reported half of the benchmark, the deviation between seeds of both, and where they are from."""
    whole = shipped_benchmark()
    networks = [
        KnownNetwork(model=one.name, spec=one.spec, macs=one.macs, top1=one.top1, latency_ms=one.latency_ms)
        for one in whole.networks
        if one.half == _HALF
    ]
    source = f"{len(networks)} networks of the benchmark, half {_HALF}: {whole.recipe}"
    on_note(f"{source}; these are no ImageNet accuracies")
    return networks, deviation_between_seeds(one.top1 for one in whole.networks), source


def _of_user(given: str | Path | pd.DataFrame, on_note: Say) -> tuple[list[KnownNetwork], float | None, str]:
    networks = known_networks(given, on_note)
    return networks, deviation_between_seeds(one.top1 for one in networks), f"{len(networks)} networks of your own"


def _bench(networks: Sequence[KnownNetwork], deviation: float | None) -> Bench:
    return Bench(
        names=tuple(one.model for one in networks),
        top1=np.array([statistics.fmean(one.top1) for one in networks]),
        macs=np.array([float(one.macs) for one in networks]),
        latency_ms=np.array([math.nan if one.latency_ms is None else one.latency_ms for one in networks]),
        gap=least_gap(deviation),
    )


def _check(top1: Floats, gap: float) -> None:
    if len(top1) < LEAST_NETWORKS:
        raise PlanError(
            four_parts(
                "too few networks to correlate anything",
                given=f"{len(top1)} that can be scored",
                allowed=f"{LEAST_NETWORKS} or more",
                do="add rows, or leave the table out for the project's own networks",
            )
        )
    if np.ptp(top1) < gap:
        raise PlanError(
            four_parts(
                "the accuracies do not tell the networks apart",
                given=f"top1 from {top1.min():.2f} to {top1.max():.2f}",
                allowed=f"differences of {gap:.2f} points or more",
                do="add networks that are better or worse, or more seeds of each",
            )
        )


def _scores(
    networks: Sequence[KnownNetwork],
    asked: Sequence[str],
    data: str | Path | None,
    seed: int,
    on_progress: Progress,
    on_note: Say,
) -> tuple[dict[str, Floats], dict[str, float]]:
    """Score → values in the order of the networks (NaN: none), and its median seconds.

    Scores of a network share passes, so that the time of one tells little: a few networks are scored by one at a time.
    """
    values = {name: np.full(len(networks), np.nan) for name in asked}
    seconds: dict[str, list[float]] = defaultdict(list)
    timed, training = _timed(networks), training_of(asked, data, seed)
    started = time.perf_counter()
    for at, one in enumerate(networks):
        if one.spec is None and len(layout_scores(asked)) < len(asked):
            on_note(f"{one.model}: a network of timm has no more than the scores of its layout")
        target, is_timed = one.target(), at in timed
        for names in [[name] for name in asked] if is_timed else [asked]:
            for row in scores_of(target, names, seed=seed, training=training, on_skip=_skipped(one.model, on_note)):
                values[row.proxy][at] = row.score
                if is_timed or PROXIES[row.proxy].trains:
                    seconds[row.proxy].append(row.seconds)
        passed = time.perf_counter() - started
        on_progress(Scored(done=at + 1, total=len(networks), model=one.model, seconds=passed))
    for name in [name for name in asked if np.isfinite(values[name]).sum() < LEAST_NETWORKS]:
        on_note(f"{name}: left out: fewer than {LEAST_NETWORKS} networks have it")
        del values[name]
    return values, {name: statistics.median(some) for name, some in seconds.items()}


def _timed(networks: Sequence[KnownNetwork]) -> set[int]:
    """Three networks, one of each third of the costs; those of timm have no passes to share."""
    at = sorted((at for at, one in enumerate(networks) if one.spec is not None), key=lambda at: networks[at].macs)
    return {at[len(at) * sixth // 6] for sixth in (1, 3, 5)} if at else set()


def _skipped(model: str, on_note: Say) -> Callable[[str, ArchlabError], object]:
    return lambda proxy, error: on_note(f"{model}: no {proxy}: {error}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _shown() -> Progress:
    """A line on stderr: one that is renewed on a terminal, one now and then elsewhere."""
    last_s, is_live = time.monotonic(), sys.stderr.isatty()

    def show(told: Scored) -> None:
        nonlocal last_s
        now_s, is_last = time.monotonic(), told.done == told.total
        left = duration(told.seconds / told.done * (told.total - told.done))
        line = f"{told.done} of {told.total} networks scored in {duration(told.seconds)}, {left} left: {told.model}"
        if is_live:
            sys.stderr.write(f"\r\033[K{line}" + ("\n" if is_last else ""))
        elif now_s - last_s >= _EVERY_S or is_last:
            last_s = now_s
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    return show
