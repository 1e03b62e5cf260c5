"""Which small networks are still to be trained, without training any."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archlab.artifacts import ARTIFACTS, small_scale
from archlab.artifacts.small_scale import train_small
from archlab.training.dataset import Dataset


def images() -> Dataset:
    x, y = np.zeros((4, 8, 8, 3), np.uint8), np.arange(4, dtype=np.int64) % 2
    return Dataset(name="few", images=x, labels=y, val_images=x, val_labels=y, classes=2, mean=(0.5,) * 3,
                   std=(0.25,) * 3)  # fmt: skip


def test_rows_of_another_training_stay_and_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without the number of images: its rows are kept as they are, and every network is trained."""

    def trained(setting: str, spec: Any, *_: Any, **__: Any) -> dict[str, str]:
        return {"net": setting, "digest": spec.digest, "data": "few", "images": "4", "epochs": "1", "seed": "0"}

    monkeypatch.setattr(small_scale, "_trained", trained)
    artifact = ARTIFACTS["edgenext_table10"]
    first = next(iter(artifact.small.values())).replace(classes=2)
    path = tmp_path / "results.csv"
    path.write_text(f"net,data,resolution,epochs,seed,macs,top1,digest\nn,few,64,1,0,7,61.5,{first.digest}\n")
    told: list[str] = []
    train_small(artifact, images(), tmp_path, tell=told.append)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["net"], row["images"], row["macs"]) for row in rows] == [
        ("n", "", "7"),
        *((setting, "4", "") for setting in artifact.small),
    ]
    train_small(artifact, images(), tmp_path, tell=told.append)
    assert len(told) == 2
