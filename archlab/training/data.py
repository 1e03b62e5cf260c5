"""Which images does `--data` name? digits, CIFAR-10's own archive, a folder of images by class, or an .npz.

Where a source has no scoring split of its own, a tenth of its images, drawn with a fixed seed, is held out; the seed of
a training has no say in it, so that all trainings are scored on the same images.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits

from archlab.errors import PlanError, four_parts
from archlab.training.dataset import Dataset, Images, Labels

__all__ = ["load_data"]

_KINDS = "digits, cifar10:DIR, a folder with one subfolder of images per class, or an .npz with images and labels"
_HELD_OUT = 0.1
_SPLIT_SEED = 2024
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm"}
_CIFAR_SIDE, _CIFAR_CLASSES = 32, 10
_CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"


def load_data(data: str | Path, *, side: int = 128) -> Dataset:
    """Read the images that `--data` names into memory.

    Args:
        data: ``digits``; ``cifar10:DIR`` or a folder with CIFAR-10's binary archive, packed or not; a folder with one
            subfolder per class, or with ``train`` and ``val`` that hold those; an ``.npz`` with `images`
            `(N, H, W, 3)` uint8 and `labels`, and perhaps `val_images` and `val_labels`.
        side: To which images of a folder are cropped and scaled, in pixels; the other kinds keep their own.

    Raises:
        PlanError: If nothing of that name is there, or it cannot be read as labelled images.
    """
    text = str(data)
    if text == "digits":
        return _digits()
    path = Path(text.removeprefix("cifar10:"))
    if text == "cifar10":
        _refuse("CIFAR-10 needs its folder", text, "cifar10:DIR, where DIR holds its binary archive", "add the folder")
    if path.is_file() and path.suffix == ".npz":
        return _npz(path)
    if not path.is_dir():
        _refuse("no such data", text, _KINDS, "check the name or the path")
    cifar = _cifar_files(path)
    if cifar:
        return _cifar10(path, cifar)
    if text.startswith("cifar10:"):
        _refuse("no CIFAR-10 in that folder", path, f"data_batch_*.bin or {_CIFAR_ARCHIVE}", "check the folder")
    return _folder(path, side)


def _refuse(wrong: str, given: object, allowed: str, do: str) -> NoReturn:
    raise PlanError(four_parts(wrong, given=given, allowed=allowed, do=do))


def _digits() -> Dataset:
    """1,797 digits of 8×8 pixels, which come with scikit-learn."""
    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return _split("digits", np.repeat(grey[..., None], 3, axis=3), bunch.target, has_mirror=False)


def _npz(path: Path) -> Dataset:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        _refuse(f"{path.name} cannot be read", str(error)[:120], "an .npz without pickled objects", "write it anew")
    missing = {"images", "labels"} - arrays.keys() | {
        ours for ours, other in (("val_images", "val_labels"), ("val_labels", "val_images"))
        if other in arrays and ours not in arrays
    }  # fmt: skip
    if missing:
        lacking = f"{path.name} lacks {', '.join(sorted(missing))}"
        _refuse(lacking, ", ".join(arrays) or "an empty file", "images and labels, val_images and val_labels", "add it")
    images, labels = _checked(path.name, arrays["images"], arrays["labels"])
    if "val_images" not in arrays:
        return _split(str(path), images, labels)
    val_images, val_labels = _checked(path.name, arrays["val_images"], arrays["val_labels"])
    if val_images.shape[1:] != images.shape[1:]:
        given = f"{val_images.shape[1:3]} beside {images.shape[1:3]}"
        _refuse(f"{path.name}: val_images have another side", given, "one side for all", "scale them alike")
    return _dataset(str(path), images, labels, val_images, val_labels)


def _checked(name: str, images: np.ndarray, labels: np.ndarray) -> tuple[Images, Labels]:
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or not len(images):
        given = f"{images.dtype} {images.shape}"
        _refuse(f"{name} holds no images", given, "uint8 (N, H, W, 3) with N of 1 or more", "convert them")
    is_whole = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)
    if not is_whole or len(labels) != len(images) or labels.min() < 0:
        given = f"{labels.dtype} {labels.shape} for {len(images)} images"
        _refuse(f"{name} holds no labels for its images", given, "one whole number from 0 per image", "mend the labels")
    return images, labels.astype(np.int64)


def _cifar_files(path: Path) -> list[Path]:
    for folder in (path, path / "cifar-10-batches-bin"):
        found = sorted(folder.glob("data_batch_*.bin"))
        if found:
            return [*found, folder / "test_batch.bin"]
    archive = path / _CIFAR_ARCHIVE
    return [archive] if archive.is_file() else []


def _cifar10(path: Path, files: list[Path]) -> Dataset:
    parts: dict[bool, list[tuple[Images, Labels]]] = {False: [], True: []}
    try:
        for name, data in _cifar_bytes(files):
            parts[name == "test_batch.bin"].append(_cifar_records(name, data))
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        _refuse("CIFAR-10's archive cannot be read", f"{path} ({error})", "the official binary archive", "get it anew")
    if not parts[False]:
        _refuse("no CIFAR-10 in the archive", path, "data_batch_*.bin", "get it anew")
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts[False], strict=True))
    if not parts[True]:
        return _split("cifar10", images, labels)
    return _dataset("cifar10", images, labels, *parts[True][0])


def _cifar_bytes(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the batches, in order."""
    if files[0].name != _CIFAR_ARCHIVE:
        yield from ((file.name, file.read_bytes()) for file in files if file.is_file())
        return
    with tarfile.open(files[0], "r:gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            stream = archive.extractfile(member) if Path(member.name).match("*_batch*.bin") else None
            if stream is not None:
                yield Path(member.name).name, stream.read()


def _cifar_records(name: str, data: bytes) -> tuple[Images, Labels]:
    """A label byte, then 1,024 red, green and blue bytes per image."""
    length = 1 + 3 * _CIFAR_SIDE * _CIFAR_SIDE
    records = np.frombuffer(data, np.uint8)
    if not len(records) or len(records) % length or records[::length].max() >= _CIFAR_CLASSES:
        _refuse(f"{name} is no batch of CIFAR-10", f"{len(data)} bytes", f"records of {length} bytes", "get it anew")
    records = records.reshape(-1, length)
    maps = records[:, 1:].reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE)
    return np.ascontiguousarray(maps.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)


def _folder(path: Path, side: int) -> Dataset:
    if (path / "train").is_dir() and (path / "val").is_dir():
        names = _class_names(path / "train")
        held = _class_names(path / "val")
        if not set(held) <= set(names):
            given = ", ".join(sorted(set(held) - set(names))[:3])
            _refuse("val has classes that train lacks", given, "the classes of train", "rename or remove them")
        train, val = (_mixed(*_read(path / split, names, side)) for split in ("train", "val"))
        return _dataset(str(path), *train, *val)
    return _split(str(path), *_read(path, _class_names(path), side))


def _mixed(images: Images, labels: Labels) -> tuple[Images, Labels]:
    """In an order in which the first images are not all of one class."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    return images[order], labels[order]


def _class_names(path: Path) -> list[str]:
    names = [entry.name for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    if not names:
        _refuse("no images by class in that folder", path, _KINDS, "make one subfolder per class")
    return names


def _read(path: Path, names: list[str], side: int) -> tuple[Images, Labels]:
    images, labels = [], []
    for label, name in enumerate(names):
        for file in sorted((path / name).rglob("*")) if (path / name).is_dir() else []:
            if file.suffix.lower() in _SUFFIXES:
                images.append(_square(file, side))
                labels.append(label)
    if not images:
        _refuse("no images in that folder", path, ", ".join(sorted(_SUFFIXES)), "check the subfolders")
    return np.stack(images), np.array(labels, np.int64)


def _square(file: Path, side: int) -> Images:
    """The middle square of an image, scaled to `side`."""
    try:
        with Image.open(file) as image:
            rgb = image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        _refuse(f"{file.name} cannot be read as an image", f"{file} ({error})", "whole images", "remove or replace it")
    short = min(rgb.size)
    left, top = (rgb.width - short) // 2, (rgb.height - short) // 2
    return np.asarray(rgb.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + short, top + short)))


def _split(name: str, images: Images, labels: Labels, *, has_mirror: bool = True) -> Dataset:
    """Hold a tenth out for scoring."""
    if len(images) < 2:
        _refuse(f"{name} has too few images", len(images), "2 or more", "add images")
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    held, kept = np.split(order, [max(1, round(_HELD_OUT * len(order)))])
    return _dataset(name, images[kept], labels[kept], images[held], labels[held], has_mirror=has_mirror)


def _dataset(
    name: str, images: Images, labels: Labels, val_images: Images, val_labels: Labels, *, has_mirror: bool = True
) -> Dataset:
    sample = images[:: max(1, len(images) // 5000)].reshape(-1, 3)
    means = sample.mean(0)
    squares = np.einsum("pc,pc->c", sample, sample, dtype=np.float64) / len(sample)  # no copy as floats: bytes are many
    red, green, blue = (float(round(v / 255, 4)) for v in means)
    red_std, green_std, blue_std = (float(max(round(v / 255, 4), 1e-3)) for v in np.sqrt(squares - means**2))
    return Dataset(
        name=name,
        images=images,
        labels=labels,
        val_images=val_images,
        val_labels=val_labels,
        classes=int(max(labels.max(), val_labels.max())) + 1,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        has_mirror=has_mirror,
    )
