"""The papers, run again: their tables and figures, with the paper's value beside ours and a verdict that follows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from archlab.api.arguments import checked
from archlab.artifacts import ARTIFACTS
from archlab.artifacts import trained as trained_rows
from archlab.artifacts.artifact import Outcome
from archlab.artifacts.artifact import reproduce as run_again
from archlab.artifacts.bench import Bench
from archlab.artifacts.small_scale import train_small
from archlab.device.catalog import device as find_device
from archlab.errors import PlanError, four_parts, unknown_name
from archlab.training.data import load_data
from archlab.training.dataset import Dataset

__all__ = ["TRAINED", "Reproduction", "artifact_rows", "reproduce"]

TRAINED = Path("studies/trained")
"""Where networks trained at small scale are looked for, from the folder that archlab runs in."""


class Reproduction:
    """An artifact run again; `verdict` follows from `claims`, `table()` has the paper's values beside ours."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    @property
    def artifact(self) -> str:
        """Its name."""
        return self.outcome.artifact

    @property
    def source(self) -> str:
        """Paper and item."""
        return self.outcome.source

    @property
    def verdict(self) -> str:
        """One of the five words of `archlab.artifacts.verdict`."""
        return self.outcome.verdict

    @property
    def because(self) -> str:
        """The numbers that decided, or what is missing."""
        return self.outcome.because

    def to_dict(self) -> dict[str, Any]:
        """Plain document with the keys of the public contract."""
        return self.outcome.to_dict()

    def table(self) -> pd.DataFrame:
        """One row per setting and metric."""
        return pd.DataFrame(self.to_dict()["rows"])

    def claims(self) -> pd.DataFrame:
        """One row per claim of the paper, with its verdict."""
        return pd.DataFrame(self.to_dict()["claims"])


def artifact_rows() -> list[dict[str, Any]]:
    """List the tables and figures that can be run again as plain rows: artifact, source, needs."""
    return [{"artifact": a.name, "source": a.source, "needs": a.needs} for a in ARTIFACTS.values()]


@checked
def reproduce(
    name: str | None = None,
    *,
    device: str | None = "cpu",
    runtime: str | None = None,
    threads: int | None = None,
    trained: str | Path | None = None,
    data: str | Path | None = None,
    train: bool = False,
    epochs: int = 1,
    images: int | None = None,
    seed: int = 0,
    tell: Callable[[str], object] = lambda line: None,
) -> Any:
    """Run a table or figure of a paper again.

    Args:
        name: An artifact, e.g. ``edgenext_table7``; None lists all of them.
        device: Where latencies are measured; None measures nothing.
        runtime: A runtime of the device; None takes its first one, or the one that the artifact asks for.
        threads: CPU threads; None is one.
        trained: A folder with the `results.csv` of networks trained at small scale; None takes `studies/trained`.
        data: The images that those networks were trained on, for the artifacts that look at their weights:
            ``cifar10:DIR`` or an ``.npz``; None leaves these out. With `train`, what to train on.
        train: Train the artifact's small networks first, into the folder `trained`.
        epochs: Passes over the images, with `train`; one is a smoke test and no result.
        images: Train on the first so many images only; None takes all.
        seed: Of the training; a verdict on accuracy needs several seeds, one call each.
        tell: Hears what is going on.

    Returns:
        A `Reproduction`; without a name the table of artifacts.

    Raises:
        UnknownNameError: No such artifact.
        DeviceUnreachable: For a device that is estimated only.
    """
    if name is None:
        return pd.DataFrame(artifact_rows())
    if name not in ARTIFACTS:
        raise unknown_name("artifact", name, ARTIFACTS, do="see: archlab reproduce list")
    options = _options(device, {"runtime": runtime, "threads": threads})
    dataset = None if data is None else load_data(data)
    if train:
        few = None if dataset is None else dataset.first(images, images)
        _train(name, few, trained, epochs=epochs, seed=seed, tell=tell)
    folder = _folder(trained)
    bench = Bench(
        device=None if device is None else find_device(device),
        options=options,
        trained=trained_rows.read(folder),
        folder=folder,
        data=dataset,
        tell=tell,
    )
    return Reproduction(run_again(ARTIFACTS[name], bench))


def _options(device: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked of the device."""
    options = {key: value for key, value in asked.items() if value is not None}
    if device is None and options:
        raise PlanError(
            four_parts(
                f"{', '.join(options)} without a device says nothing",
                given=", ".join(f"{key} {value}" for key, value in options.items()),
                allowed="runtime and threads together with a device",
                do="name a device, e.g. cpu",
            )
        )
    return options


def _train(name: str, dataset: Dataset | None, trained: str | Path | None, **options: Any) -> None:
    if dataset is None or trained is None:
        raise PlanError(
            four_parts(
                "training needs images and a folder",
                given=f"{'no data' if dataset is None else 'data'}, {'no folder' if trained is None else 'a folder'}",
                allowed="data (digits, cifar10:DIR, a folder, an .npz) and trained, the folder of what is trained",
                do="name both, e.g. --train --data digits --trained small",
            )
        )
    train_small(ARTIFACTS[name], dataset, Path(trained), **options)


def _folder(trained: str | Path | None) -> Path:
    if trained is None:
        return TRAINED
    folder = Path(trained)
    if not folder.is_dir():
        raise PlanError(
            four_parts(
                "no such folder of trained networks",
                given=str(trained),
                allowed="a folder with results.csv",
                do="check the path, or leave it out",
            )
        )
    return folder
