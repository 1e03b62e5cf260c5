"""Score NAS-Bench-201's networks with archlab's proxies, on CIFAR-10, so that they compare with published scores.

    python studies/proxies/nasbench201.py --data cifar10.npz [--bench FOLDER] [--part scores|az] [--networks 500]

`scores` takes networks at random from the 725 of NAS-Bench-Suite-Zero (`zc_proxies` of the bench folder) and scores
them as its source does: torch's own first weights; for each network a batch of its own of 32 training images with their
labels, shifted by up to 4 pixels and mirrored at random; one gradient of the whole batch, norms in training mode. Only
ZiCo, which compares batches and has no published scores here, takes the two halves. `az` takes networks at random from
all 15,625 and scores the four parts of AZ-NAS as its source does: He-normal weights, Gaussian noise for images, 64 of
them.

The bench folder is looked for beside the one that the variable ARCHLAB_DATA names. Writes `nasbench201.csv` and
`nasbench201_az.csv` beside itself, a line per network as soon as it is scored: a second call goes on where the first
stopped. Only our own scores and the official index are written. `nasbench201_report.py` compares them.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from cells import Network
from torch import Tensor

from archlab.errors import ProxyError
from archlab.proxy import PROXIES, Subject
from archlab.proxy.az_nas import PARTS
from archlab.proxy.subject import reinitialise

__all__ = ["bench_folder", "main"]

HERE = Path(__file__).parent
Bytes = npt.NDArray[np.uint8]
WHOLE = ("naswot", "swap", "meco", "jacob_cov", "synflow", "zen", "params", "macs", "activations", "grad_norm", "snip",
         "grasp", "fisher")  # fmt: skip
"""Scores of the whole batch."""
HALVES = ("zico",)
IMAGES, AZ_IMAGES, SHIFT = 32, 64, 4
MEAN, DEVIATION = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)
"""Of CIFAR-10's channels, 0 to 255."""


def main() -> int:
    """Score networks until as many as asked for are in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an .npz of CIFAR-10 (studies/data/make_npz.py); only for `scores`")
    parser.add_argument("--bench", type=Path, default=bench_folder(), help="folder of the published tables")
    parser.add_argument("--part", choices=["scores", "az"], default="scores")
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    options = parser.parse_args()
    torch.set_num_threads(1)
    texts = pd.read_parquet(options.bench / "nasbench201" / "accuracy.parquet").set_index("arch_idx")["arch_str"]
    if options.part == "az":
        path, columns, known = HERE / "nasbench201_az.csv", (*PARTS,), list(texts.index)
    else:
        path, columns = HERE / "nasbench201.csv", (*WHOLE, *HALVES)
        known = list(published_indices(options.bench))
        pixels, labels = training_set(options.data)
    chosen = np.random.default_rng(options.seed).permutation(sorted(known))[: options.networks]
    done = set(pd.read_csv(path)["arch_idx"]) if path.exists() else set()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not done:
            writer.writerow(["arch_idx", *columns, "cpu_s"])
        for index in map(int, chosen):
            if index in done:
                continue
            began = time.process_time()
            if options.part == "az":
                row = az(texts[index], index)
            else:
                row = learned(texts[index], index, *batch(pixels, labels, index))
            writer.writerow([index, *(row.get(name, "") for name in columns), round(time.process_time() - began, 3)])
            file.flush()
    return 0


def bench_folder() -> Path | None:
    """`../bench` beside the folder of ARCHLAB_DATA."""
    data = os.environ.get("ARCHLAB_DATA")
    return Path(data).parent / "bench" if data else None


def published_indices(bench: Path) -> Iterator[int]:
    """Networks whose scores on CIFAR-10 are published."""
    table = pd.read_parquet(bench / "zc_proxies" / "proxies.parquet")
    table = table[(table.space == "nasbench201") & (table.task == "cifar10")]
    yield from (int(index) for index in table.nb201_arch_idx)


def training_set(path: Path) -> tuple[Bytes, Bytes]:
    """Pixels `(N, 32, 32, 3)` and labels of CIFAR-10's training images."""
    with np.load(path) as arrays:
        return arrays["images"], arrays["labels"]


def batch(pixels: Bytes, labels: Bytes, index: int) -> tuple[Tensor, Tensor]:
    """The batch of one network, shifted, mirrored and normalised, and its labels."""
    rng = np.random.default_rng(index)
    chosen = rng.choice(len(pixels), size=IMAGES, replace=False)
    shifted = []
    for image in pixels[chosen]:
        padded = np.pad(image, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
        top, left = rng.integers(2 * SHIFT + 1, size=2)
        cut = padded[top : top + image.shape[0], left : left + image.shape[1]]
        shifted.append(cut[:, ::-1] if rng.random() < 0.5 else cut)
    scaled = (np.stack(shifted).astype(np.float32) - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels[chosen]).long()


def learned(text: str, index: int, images_BCHW: Tensor, labels_B: Tensor) -> dict[str, float]:
    """All scores of a network whose weights are drawn with its own index."""
    torch.manual_seed(index)
    network = Network(text)
    whole = Subject(network, images_BCHW, labels_B=labels_B, seed=index, parts=1)
    halves = Subject(network, images_BCHW, labels_B=labels_B, seed=index, reads=("gradients",))
    return {**scored(whole, WHOLE), **scored(halves, HALVES)}


def az(text: str, index: int) -> dict[str, float]:
    """The parts of AZ-NAS."""
    noise_BCHW = torch.randn(AZ_IMAGES, 3, 32, 32, generator=torch.Generator().manual_seed(index))
    return scored(Subject(reinitialise(Network(text), index), noise_BCHW, seed=index, reads=("graph",)), (*PARTS,))


def scored(subject: Subject, names: tuple[str, ...]) -> dict[str, float]:
    """Scores by name; one that the network does not have is left out."""
    found = {}
    for name in names:
        try:
            found[name] = PROXIES[name].score(subject)
        except ProxyError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
