"""Train the small networks of an artifact, so that its accuracy column has values: a smoke test, or as long as asked.

Every network is trained alike, by the plan below, and its row goes into `results.csv` of the folder, where the artifact
finds it. What is trained already is not trained again.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from archlab.artifacts.artifact import Artifact
from archlab.artifacts.trained import RESULTS, table
from archlab.errors import PlanError, four_parts
from archlab.files import write_text
from archlab.model.build import build
from archlab.spec import ArchSpec
from archlab.training.dataset import Dataset
from archlab.training.loop import train
from archlab.training.plan import TrainPlan

__all__ = ["COLUMNS", "train_small"]

COLUMNS = ("net", "data", "images", "classes", "resolution", "epochs", "seed", "top1", "seconds", "digest")
_BATCH = 64


def train_small(
    artifact: Artifact,
    dataset: Dataset,
    folder: Path,
    *,
    epochs: int = 1,
    seed: int = 0,
    tell: Callable[[str], object] = lambda line: None,
) -> None:
    """Train every small network of an artifact from one seed.

    Args:
        artifact: One with an accuracy column.
        dataset: What to train and to score on.
        folder: Where `results.csv` is, or will be; the runs lie beside it and go on after an interrupt.
        epochs: Passes over the training images.
        seed: Of the first weights and of all that is drawn.
        tell: Hears what is going on.

    Raises:
        PlanError: If the artifact has nothing to train.
        KeyboardInterrupt: After an interrupt; the same call goes on.
    """
    if not artifact.small:
        raise PlanError(
            four_parts(
                f"{artifact.name} has no small networks to train",
                given="train",
                allowed="artifacts that need networks trained at small scale; see: archlab reproduce list",
                do="leave train out",
            )
        )
    rows = table(folder)
    for setting, spec in artifact.small.items():
        small = spec.replace(classes=dataset.classes)
        key = (small.digest, dataset.name, str(len(dataset.images)), str(epochs), str(seed))
        if key in {tuple(map(row.get, ("digest", "data", "images", "epochs", "seed"))) for row in rows}:
            continue
        tell(f"training: {setting}, {epochs} epochs on {dataset.name} at {small.resolution} px")
        rows.append(_trained(setting, small, dataset, folder, epochs=epochs, seed=seed))
        _write(folder, rows)


def _trained(setting: str, spec: ArchSpec, dataset: Dataset, folder: Path, *, epochs: int, seed: int) -> dict[str, str]:
    plan = TrainPlan(resolution=spec.resolution, epochs=epochs, batch=_BATCH, warmup_epochs=0.5, seed=seed)
    out = folder / "runs" / f"{spec.digest}-{dataset.digest}-{len(dataset.images)}-{epochs}-{seed}"
    result = train(build(spec, seed=seed), dataset, plan, out=out)
    if not result.is_finished:
        raise KeyboardInterrupt
    values = {
        "net": setting,
        "data": dataset.name,
        "images": len(dataset.images),
        "classes": dataset.classes,
        "resolution": spec.resolution,
        "epochs": epochs,
        "seed": seed,
        "top1": round(result.metrics[-1].top1, 4),
        "seconds": round(result.seconds, 1),
        "digest": spec.digest,
    }
    return {name: str(value) for name, value in values.items()}


def _write(folder: Path, rows: Sequence[Mapping[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys([*COLUMNS, *rows[0]])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / RESULTS, text.getvalue())
