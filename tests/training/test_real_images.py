"""The script that turns shards of real images into .npz, on one shard of each set, where the images are there."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = os.environ.get("ARCHLAB_DATA", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT and Path(ROOT).is_dir()), reason="no real images: ARCHLAB_DATA is not set"),
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "studies" / "data" / "make_npz.py"
    found = importlib.util.spec_from_file_location("make_npz", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "shard", "shape", "per_class"),
    [("cifar10", "test-00", (5000, 32, 32, 3), 500), ("tiny50", "val-00", (2500, 64, 64, 3), 50)],
)
def test_a_shard(script: ModuleType, name: str, shard: str, shape: tuple[int, ...], per_class: int) -> None:
    folder, _, read = script.SETS[name]
    with np.load(Path(ROOT) / folder / f"{shard}.npz", allow_pickle=False) as file:
        images, labels = read(file)
    assert images.shape == shape
    assert images.dtype == np.uint8
    assert set(np.bincount(labels)) == {per_class}
    assert 90 < images.mean() < 140  # photographs, neither black nor noise around a wrong stride
    neighbours = np.abs(np.diff(images[:200].astype(int), axis=2)).mean()
    assert neighbours < 25  # and smooth along a row
