"""Turn the shards of real images under ARCHLAB_DATA into one .npz per set, as `archlab train --data` reads it.

    python studies/data/make_npz.py --out DIR        # writes DIR/cifar10.npz and DIR/tiny50.npz, two files each

The files hold `images` (N, H, W, 3, uint8) and `labels` for training, `val_images` and `val_labels` for scoring. A
set whose shards are not there is named and left out. Beside each lies NAME_search.npz: its training images alone, the
last tenth of them to score on. A search that looked at the images on which its networks are judged in the end would
choose what happens to be good there. The images themselves are not part of the repository.
"""

import argparse
import io
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["SETS", "cifar10_shard", "for_search", "join", "main", "tiny50_shard"]

_MOSAIC = (25, 40)
_SIDE = 32
_SEARCH_SHARE = 0.1


def cifar10_shard(shard: Any) -> tuple[np.ndarray, np.ndarray]:
    """Decode five mosaics of 25 × 40 images each; gives images `(5000, 32, 32, 3)` and labels."""
    blob, offsets = shard["blob"].tobytes(), shard["offsets"]
    rows, columns = _MOSAIC
    tiles = []
    for start, end in itertools.pairwise(offsets):
        mosaic = np.asarray(Image.open(io.BytesIO(blob[start:end])).convert("RGB"))
        tiles.append(mosaic.reshape(rows, _SIDE, columns, _SIDE, 3).swapaxes(1, 2).reshape(-1, _SIDE, _SIDE, 3))
    return np.concatenate(tiles), shard["labels"].astype(np.int64)


def tiny50_shard(shard: Any) -> tuple[np.ndarray, np.ndarray]:
    """Decode JPEGs that share two headers; gives images `(N, 64, 64, 3)` and labels."""
    blob, offsets = shard["blob"].tobytes(), shard["offsets"]
    headers = [shard["header_0"].tobytes(), shard["header_1"].tobytes()]
    images = []
    for k, which in enumerate(shard["header"]):
        jpeg = headers[which] + blob[offsets[k] : offsets[k + 1]]
        images.append(np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
    return np.stack(images), shard["labels"].astype(np.int64)


SETS: dict[str, tuple[str, str, Callable[[Any], tuple[np.ndarray, np.ndarray]]]] = {
    "cifar10": ("cifar10", "test", cifar10_shard),
    "tiny50": ("tiny-imagenet-50", "val", tiny50_shard),
}
"""Name of the file → folder of the shards, name of its scoring split, how a shard is read."""


def join(folder: Path, split: str, read: Callable[[Any], tuple[np.ndarray, np.ndarray]]) -> tuple[Any, Any]:
    """Join all shards of a split, in the order of their numbers."""
    parts = []
    for path in sorted(folder.glob(f"{split}-*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            parts.append(read(shard))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def for_search(images: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
    """Split training images `(N, H, W, 3)` and labels `(N,)` into those to train on and those to score on, the last."""
    at = round(len(images) * (1 - _SEARCH_SHARE))
    return images[:at], labels[:at], images[at:], labels[at:]


def _write(path: Path, images: Any, labels: Any, val_images: Any, val_labels: Any) -> None:
    np.savez(path, images=images, labels=labels, val_images=val_images, val_labels=val_labels)
    sys.stdout.write(f"{path.stem}: {images.shape} for training, {val_images.shape} for scoring\n")


def main() -> None:
    """Write every set whose shards are there."""
    parser = argparse.ArgumentParser(description="Make .npz files of the image shards under ARCHLAB_DATA.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the .npz files")
    out = parser.parse_args().out
    root = Path(os.environ.get("ARCHLAB_DATA") or "none")
    out.mkdir(parents=True, exist_ok=True)
    for name, (folder, scored, read) in SETS.items():
        if not all(any((root / folder).glob(f"{split}-*.npz")) for split in ("train", scored)):
            sys.stderr.write(f"{name}: no shards in {root / folder}; set ARCHLAB_DATA\n")
            continue
        images, labels = join(root / folder, "train", read)
        _write(out / f"{name}.npz", images, labels, *join(root / folder, scored, read))
        _write(out / f"{name}_search.npz", *for_search(images, labels))


if __name__ == "__main__":
    main()
