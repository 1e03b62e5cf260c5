"""Accuracy scores without training."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from archlab.api.arguments import checked
from archlab.api.target import Target, resolve
from archlab.errors import ArchlabError, SpecError, four_parts, unknown_name
from archlab.proxy import DEFAULT, PROXIES, ProxyScore, Subject
from archlab.proxy import scores as score_specs
from archlab.proxy.halving import ShortTraining, short_training
from archlab.proxy.published import predict

__all__ = ["layout_scores", "proxies", "proxy_rows", "score", "score_rows", "scores_of", "training_of"]


def proxy_rows() -> list[dict[str, Any]]:
    """List the scores as plain rows: name, title, needs, default, source."""
    return [
        {
            "name": row.name,
            "title": row.title,
            "needs": row.needs,
            "default": row.name == DEFAULT,
            "source": row.source,
        }
        for row in PROXIES.values()
    ]


def proxies() -> pd.DataFrame:
    """List the accuracy scores and the papers they come from."""
    return pd.DataFrame(proxy_rows())


@checked
def score_rows(
    model: str,
    *,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    data: str | Path | None = None,
    on_skip: Callable[[str], object] = lambda line: None,
) -> list[dict[str, Any]]:
    """Score a network; see `score`. A score that does not apply is no row: `on_skip` gets a line that says why.

    Rows are proxy, score, seconds, interval and note. `interval` is ``[low, high]``, where 90 % of published networks
    lay, and `note` says where a network is unlike those that a score was learnt from; both are None for scores that
    cannot tell, which are all but `published`.
    """
    for name in proxies or ():
        if name not in PROXIES:
            raise unknown_name("proxy", name, PROXIES)
    target = resolve(model)
    asked = proxies or [name for name, row in PROXIES.items() if not row.trains]
    skip = None if proxies else (lambda name, error: on_skip(f"{name}: {error}"))
    if proxies:
        _check_choice(target, proxies)
    training = training_of(asked, data, seed)
    return [_told(row, target) for row in scores_of(target, asked, seed=seed, training=training, on_skip=skip)]


def training_of(names: Iterable[str], data: str | Path | None, seed: int) -> ShortTraining | None:
    """Open the short trainings that all networks of one request join, if any of the scores trains.

    Raises:
        PlanError: If the images cannot be read.
    """
    return short_training(data, seed=seed) if any(PROXIES[name].trains for name in names) else None


def scores_of(
    target: Target,
    names: Iterable[str],
    *,
    seed: int = 0,
    training: ShortTraining | None = None,
    on_skip: Callable[[str, ArchlabError], object] | None = None,
) -> list[ProxyScore]:
    """Score a network; as `archlab.proxy.scores`, but one of timm has no more than the scores of its layout."""
    if target.spec is not None:
        return score_specs(names, target.spec, seed=seed, training=training, on_skip=on_skip)
    return _of_layout(layout_scores(names), target, on_skip)


def layout_scores(names: Iterable[str]) -> list[str]:
    """Those that need no more than a layout; a network of timm has no weights that archlab knows how to draw."""
    return [name for name in names if PROXIES[name].needs == "nothing"]


def _check_choice(target: Target, names: Sequence[str]) -> None:
    """Refuse a score that a network of timm cannot have."""
    unable = [name for name in names if name not in layout_scores(names)]
    if target.spec is None and unable:
        everything = layout_scores(PROXIES)
        raise SpecError(
            four_parts(
                f"{unable[0]} cannot score a network of timm",
                given=target.name,
                allowed=f"scores of its layout alone: {', '.join(everything)}",
                do="name one of these with --proxy, or a network that has a spec",
            )
        )


def _of_layout(
    names: Iterable[str], target: Target, on_skip: Callable[[str, ArchlabError], object] | None
) -> list[ProxyScore]:
    nothing_1CHW = torch.empty(1, 3, target.resolution, target.resolution, device="meta")
    subject = Subject(target.build(), nothing_1CHW, reads=())
    found = []
    for name in names:
        started = time.perf_counter()
        try:
            value = PROXIES[name].score(subject)
        except ArchlabError as error:
            if on_skip is None:
                raise
            on_skip(name, error)
        else:
            found.append(ProxyScore(proxy=name, score=value, seconds=time.perf_counter() - started))
    return found


def _told(row: ProxyScore, target: Target) -> dict[str, Any]:
    """A score as a plain row; `published` says how sure it is, the others do not know."""
    interval, note = None, None
    if row.proxy == "published":
        found = predict(target.trace() if target.spec is None else target.spec)
        interval, note = [found.low, found.high], found.note
    return {"proxy": row.proxy, "score": row.score, "seconds": row.seconds, "interval": interval, "note": note}


@checked
def score(
    model: str, *, proxies: Sequence[str] | None = None, seed: int = 0, data: str | Path | None = None
) -> pd.DataFrame:
    """Score a network without training; higher is better, and only values of one score compare.

    Args:
        model: A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME; the last has scores of its layout alone.
        proxies: Names of `archlab proxy list`; None takes all that need no training and apply.
        seed: Seed of weights and images.
        data: The images that `short_train` trains on, as for `train`; None takes digits.

    Returns:
        A row per score; `published` also has an interval, and a note where it extrapolates. It predicts the ImageNet-1k
        top-1 after one training recipe (DeiT's) from published networks: no measurement, and no promise for other data.
    """
    return pd.DataFrame(score_rows(model, proxies=proxies, seed=seed, data=data))
