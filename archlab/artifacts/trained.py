"""What was trained at small scale? Read from the `results.csv` of a folder of trained networks, one row per seed.

A row counts for a setting when it is of the same network, with the classes and the input side of the data.
"""

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archlab.artifacts.rows import NEEDS_COMPUTE, Lack, small_scale
from archlab.errors import StudyError, four_parts
from archlab.spec import ArchSpec

__all__ = ["RESULTS", "Trained", "read", "score", "table"]

RESULTS = "results.csv"
_CLASSES = (10, 50, 100, 200, 1000)
_UNTRAINED = Lack(verdict=NEEDS_COMPUTE, what="networks trained at small scale")
_COLUMNS = ("net", "data", "resolution", "epochs", "seed", "top1", "digest")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """One training run: top-1 in % on `data` at `resolution` px after `epochs`; None where the table does not say."""

    net: str
    digest: str
    data: str
    resolution: int
    epochs: int
    seed: int
    top1: float
    images: int | None = None
    classes: int | None = None


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of a folder's `results.csv` as they stand there; none where there is no such file."""
    path = folder / RESULTS
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(folder: Path) -> tuple[Trained, ...]:
    """Read a folder's `results.csv`; nothing where there is none.

    Raises:
        StudyError: If a column is missing or holds no number.
    """
    try:
        return tuple(_trained(row) for row in table(folder))
    except (KeyError, ValueError, TypeError) as error:
        raise StudyError(
            four_parts(
                f"{RESULTS} of the trained networks cannot be read",
                given=f"{folder / RESULTS}: {error}",
                allowed=f"columns {', '.join(_COLUMNS)}",
                do="write it again with the study's own command",
            )
        ) from None


def score(trained: Sequence[Trained], spec: ArchSpec) -> dict[str, Any]:
    """The fields of an accuracy row (%): the mean over the seeds of a network, or what lacks.

    The longest training counts; of a seed that was trained so twice, the later row.

    Args:
        trained: What was trained.
        spec: The network; its classes and its input side may be others than those of the data.
    """
    digests = {
        (side, spec.replace(resolution=side, classes=classes).digest)
        for side in {row.resolution for row in trained}
        for classes in {spec.classes, *_CLASSES, *(row.classes for row in trained if row.classes)}
    }
    found = [row for row in trained if (row.resolution, row.digest) in digests]
    if not found:
        return small_scale(_UNTRAINED)
    longest = max(found, key=lambda row: (row.epochs * (row.images or 1), row.data, row.resolution))
    tops = {row.seed: row.top1 for row in found if _way(row) == _way(longest)}
    images = f" of {longest.images} images" if longest.images else ""
    seeds = f"{len(tops)} seed{'s' if len(tops) > 1 else ''}"
    return small_scale(
        list(tops.values()),
        runs=len(tops),
        source=f"trained: {longest.data} at {longest.resolution} px, {longest.epochs} epochs{images}, {seeds}",
    )


def _way(row: Trained) -> tuple[object, ...]:
    """What two seeds of one network must share."""
    return (row.digest, row.data, row.images, row.resolution, row.epochs)


def _trained(row: dict[str, str]) -> Trained:
    return Trained(
        net=row["net"],
        digest=row["digest"],
        data=row["data"],
        resolution=int(row["resolution"]),
        epochs=int(row["epochs"]),
        seed=int(row["seed"]),
        top1=float(row["top1"]),
        images=int(row["images"]) if row.get("images") else None,
        classes=int(row["classes"]) if row.get("classes") else None,
    )
