"""Which networks were trained on ImageNet-1k alone, how, how well, and what are they made of?

The accuracies are those of `timm_bench.csv`, and of `models.csv` where it has a network, size or recipe that the former
lacks. A tag that names other data (ImageNet-21k, JFT, LAION …) puts a row out, and so does a network whose name says
SSLD (taught with unlabelled images from elsewhere). `recipes.csv` says by hand, from papers and timm's documentation,
how a tag was trained: strength 0 crops and flips, 1 a bag of tricks, 2 AutoAugment or RandAugment for long, 3 with
mixup and CutMix as DeiT; the first row that fits counts.
"""

import csv
import dataclasses
import functools
import gzip
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from timm_tables import trace_at, trace_of

from archlab.cost.rows import OpTrace
from archlab.cost.rules import KINDS
from archlab.proxy.published_features import described

__all__ = ["Network", "networks", "table", "traced", "trained"]

HERE = Path(__file__).parent
OTHER_DATA = re.compile(r"in21k|in22k|in12k|jft|ig1b|laion|clip|webli|swag|seer|yfcc|ssld|m30m")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A published accuracy. `family` is timm's module file, `macs` and `activations` (elements) are timm's counts.

    `numbers` follow `published_features.NAMES`; `counts` are operators and multiply-adds by kind, for a baseline.
    """

    model: str
    side: int
    tag: str
    top1: float
    params: float
    macs: float
    activations: float
    recipe: tuple[float, float, float, float]
    family: str = ""
    numbers: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()


def networks(reference: Path, cache: Path) -> list[Network]:
    """All networks of both tables, traced."""
    return traced(trained(reference), cache)


def traced(known: list[Network], cache: Path) -> list[Network]:
    """Add what networks are made of; traces are kept in `cache`."""
    found = []
    for one in known:
        path = cache / f"{one.model}@{one.side}.json.gz"
        trace_at(path, one.model, one.side)
        kept = json.loads(gzip.decompress(path.read_bytes()))
        trace = trace_of(kept)
        numbers = tuple(float(value) for value in described(trace))
        found.append(dataclasses.replace(one, family=kept["family"], numbers=numbers, counts=_counts(trace)))
    return found


def _counts(trace: OpTrace) -> tuple[float, ...]:
    rows = [row for row in trace.rows if not row.is_constant]
    counts = [float(sum(row.kind == kind for row in rows)) for kind in KINDS]
    macs = [float(sum(row.macs for row in rows if row.kind == kind)) for kind in KINDS]
    return float(trace.params), float(trace.resolution or 0), *counts, *macs


def table(found: list[Network]) -> npt.NDArray[np.float64]:
    """The columns of `published_kernel.COLUMNS`, `(networks, columns)`, in single precision."""
    rows = [[*one.numbers, *one.recipe] for one in found]
    return np.asarray(np.asarray(rows, np.float32), np.float64)


def trained(reference: Path) -> list[Network]:
    """The rows of both tables that count; one per network, size and tag."""
    rows = {(one.model, one.side, one.tag): one for one in _more(reference / "models.csv")}
    rows |= {(one.model, one.side, one.tag): one for one in _bench(reference / "timm_bench.csv")}
    return [rows[key] for key in sorted(rows)]


def _bench(path: Path) -> Iterator[Network]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["top1"] and not OTHER_DATA.search(f"{row['model']} {row['top1_tag']}"):
                names = ("model", "img_size", "top1_tag", "top1", "params_M", "gmacs", "macts")
                yield _network([row[name] for name in names])


def _more(path: Path) -> Iterator[Network]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            names = ("timm_name", "top1_timm_res", "timm_tag", "top1_timm", "params_M_timm", "macs_G_timm")
            values = [row[name] for name in names]
            if all(values) and not OTHER_DATA.search(f"{values[0]} {values[2]}"):
                yield _network([*values, row["macts_M_timm"]])


def _network(values: list[str]) -> Network:
    model, side, tag, top1, params, macs, activations = values
    return Network(
        model=model,
        side=int(float(side)),
        tag=tag,
        top1=float(top1),
        params=float(params) * 1e6,
        macs=float(macs) * 1e9,
        activations=float(activations or "nan") * 1e6,
        recipe=_recipe(model, tag),
    )


def _recipe(model: str, tag: str) -> tuple[float, float, float, float]:
    for row in _recipes():
        if re.fullmatch(row["tag"], tag) and re.fullmatch(row["models"] or ".*", model):
            taught, own = float(row["is_taught"]), float(row["is_self_supervised"])
            return float(row["strength"]), math.log(float(row["epochs"])), taught, own
    raise SystemExit(f"recipes.csv does not say how {model}.{tag} was trained: add a row")


@functools.cache
def _recipes() -> tuple[dict[str, str], ...]:
    with (HERE / "recipes.csv").open(newline="") as file:
        return tuple(csv.DictReader(file))
