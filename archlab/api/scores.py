"""Accuracy scores without training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from archlab.api.arguments import checked
from archlab.api.target import resolve
from archlab.errors import SpecError, four_parts, unknown_name
from archlab.proxy import DEFAULT, PROXIES
from archlab.proxy import scores as score_specs

__all__ = ["proxies", "proxy_rows", "score", "score_rows"]


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
    """Score a network; see `score`. A score that does not apply is no row: `on_skip` gets a line that says why."""
    for name in proxies or ():
        if name not in PROXIES:
            raise unknown_name("proxy", name, PROXIES)
    spec = resolve(model).spec
    if spec is None:
        raise SpecError(
            four_parts(
                "a network of timm cannot be scored",
                given=model,
                allowed="a published name, a spec file or STUDY_DIR:DIGEST",
                do="name one of: archlab models",
            )
        )
    asked = proxies or [name for name, row in PROXIES.items() if row.needs != "data"]
    skip = None if proxies else (lambda name, error: on_skip(f"{name}: {error}"))
    found = score_specs(asked, spec, seed=seed, data=data, on_skip=skip)
    return [{"proxy": row.proxy, "score": row.score, "seconds": row.seconds} for row in found]


@checked
def score(
    model: str, *, proxies: Sequence[str] | None = None, seed: int = 0, data: str | Path | None = None
) -> pd.DataFrame:
    """Score a network without training; higher is better, and only values of one score compare.

    Args:
        model: A published name, a spec file or STUDY_DIR:DIGEST.
        proxies: Names of `archlab proxy list`; None takes all that need no training and apply.
        seed: Seed of weights and images.
        data: The images that `short_train` trains on, as for `train`; None takes digits.
    """
    return pd.DataFrame(score_rows(model, proxies=proxies, seed=seed, data=data))
