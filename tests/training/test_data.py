"""Every kind of `--data` is read into the same value; what cannot be read says why in four parts."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from archlab.errors import PlanError
from archlab.training.data import load_data
from archlab.training.dataset import to_input


def write_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def pixels(count: int, side: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def batch_of_cifar(labels: list[int], first_byte: int) -> bytes:
    """Records whose red, green and blue planes are first_byte, +1, +2."""
    planes = b"".join(bytes([first_byte + c]) * 1024 for c in range(3))
    return b"".join(bytes([label]) + planes for label in labels)


def test_digits() -> None:
    data = load_data("digits")
    assert data.images.shape == (1617, 8, 8, 3)
    assert data.val_images.shape == (180, 8, 8, 3)
    assert data.images.dtype == np.uint8
    assert data.labels.dtype == np.int64
    assert data.classes == 10
    assert data.images.max() == 255
    assert not data.has_mirror
    assert load_data("digits").digest == data.digest


def test_npz_with_its_own_scoring_images(tmp_path: Path) -> None:
    images, val = pixels(6), pixels(2)
    path = write_npz(
        tmp_path / "a.npz", images=images, labels=[0, 1, 2, 0, 1, 2], val_images=val, val_labels=np.array([1, 3])
    )
    data = load_data(path)
    assert (data.images == images).all()
    assert (data.val_images == val).all()
    assert data.classes == 4
    assert data.side == 4


def test_npz_without_holds_a_tenth_out(tmp_path: Path) -> None:
    images = pixels(30)
    data = load_data(write_npz(tmp_path / "a.npz", images=images, labels=np.arange(30) % 3))
    assert (len(data.images), len(data.val_images)) == (27, 3)
    together = np.concatenate([data.images, data.val_images]).reshape(30, -1)
    assert {row.tobytes() for row in together} == {row.tobytes() for row in images.reshape(30, -1)}
    again = load_data(tmp_path / "a.npz")
    assert (again.val_images == data.val_images).all()


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_cifar10_binary(tmp_path: Path, packed: bool) -> None:
    files = {
        "data_batch_1.bin": batch_of_cifar([3, 1], 10),
        "data_batch_2.bin": batch_of_cifar([9], 20),
        "test_batch.bin": batch_of_cifar([7], 30),
        "batches.meta.txt": b"airplane\n",
    }
    if packed:
        with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
    for name in (f"cifar10:{tmp_path}", str(tmp_path)):
        data = load_data(name)
        assert data.labels.tolist() == [3, 1, 9]
        assert data.val_labels.tolist() == [7]
        assert data.images.shape == (3, 32, 32, 3)
        assert data.images[2, 5, 6].tolist() == [20, 21, 22]
        assert data.val_images[0, 0, 0].tolist() == [30, 31, 32]


def test_folder_by_class(tmp_path: Path) -> None:
    for name, colour, count in (("cat", (255, 0, 0), 12), ("dog", (0, 0, 255), 8)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("RGB", (20 + i, 10), colour).save(tmp_path / name / f"{i}.png")
    data = load_data(tmp_path, side=16)
    assert data.classes == 2
    assert (len(data.images), len(data.val_images)) == (18, 2)
    for image, label in zip(data.images, data.labels, strict=True):
        assert image.shape == (16, 16, 3)
        assert (image == ((255, 0, 0), (0, 0, 255))[label]).all()


def test_folder_with_its_own_split(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2)):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                shade = 10 * i + (100 if name == "b" else 0)
                Image.new("L", (8, 8), shade).save(tmp_path / split / name / f"{i}.jpg")
    data = load_data(tmp_path, side=8)
    for images, labels, wanted in (
        (data.images, data.labels, [(0, 0), (0, 10), (0, 20), (1, 100), (1, 110), (1, 120)]),
        (data.val_images, data.val_labels, [(0, 0), (0, 10), (1, 100), (1, 110)]),
    ):
        assert sorted(zip(labels.tolist(), images[:, 0, 0, 0].tolist(), strict=True)) == wanted


def test_the_first_images_of_a_folder_are_of_all_classes(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("a", "b", "c"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(10):
                Image.new("L", (4, 4), i).save(tmp_path / split / name / f"{i}.png")
    few = load_data(tmp_path, side=4).first(12, 12)
    assert set(few.labels.tolist()) == set(few.val_labels.tolist()) == {0, 1, 2}


def refuse(data: str | Path) -> str:
    with pytest.raises(PlanError) as refused:
        load_data(data)
    message = str(refused.value)
    assert message.count("; ") >= 3
    return message


def test_refusals_of_names(tmp_path: Path) -> None:
    assert "no such data" in refuse("digit")
    assert "CIFAR-10 needs its folder" in refuse("cifar10")
    assert "no CIFAR-10 in that folder" in refuse(f"cifar10:{tmp_path}")
    assert "no images by class" in refuse(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "no images in that folder" in refuse(tmp_path)


def test_refusals_of_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"not an archive")
    assert "a.npz cannot be read" in refuse(path)
    whole = write_npz(tmp_path / "whole.npz", images=pixels(3), labels=[0, 1, 0]).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:200] + b"\xff" + whole[201:]):
        path.write_bytes(damaged)
        assert "a.npz cannot be read" in refuse(path)
    with path.open("wb") as file:
        np.save(file, pixels(3))
    assert "a.npz cannot be read" in refuse(path)
    assert "lacks labels" in refuse(write_npz(path, images=pixels(3)))
    assert "lacks val_labels" in refuse(write_npz(path, images=pixels(3), labels=[0, 1, 0], val_images=pixels(1)))
    assert "holds no images" in refuse(write_npz(path, images=pixels(3) / 255, labels=[0, 1, 0]))
    assert "holds no labels" in refuse(write_npz(path, images=pixels(3), labels=[0, 1]))
    assert "holds no labels" in refuse(write_npz(path, images=pixels(3), labels=[0, 1, -1]))
    assert "too few images" in refuse(write_npz(path, images=pixels(1), labels=[0]))
    other = {"images": pixels(3), "labels": [0, 1, 0], "val_images": pixels(1, 8), "val_labels": [0]}
    assert "another side" in refuse(write_npz(path, **other))
    (tmp_path / "data_batch_1.bin").write_bytes(b"\0" * 100)
    assert "no batch of CIFAR-10" in refuse(tmp_path)
    (tmp_path / "data_batch_1.bin").unlink()
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"no archive")
    assert "archive cannot be read" in refuse(tmp_path)


def test_refusals_of_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"no image")
    assert "x.png cannot be read as an image" in refuse(tmp_path)
    for name in ("train/a", "val/b"):
        (tmp_path / "own" / name).mkdir(parents=True)
    assert "val has classes that train lacks" in refuse(tmp_path / "own")


def test_input_is_normalised_and_scaled() -> None:
    data = load_data("digits")
    x_BHWC = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    x_BHWC[1] = 255
    x_BCHW = to_input(x_BHWC, data, 12)
    assert x_BCHW.shape == (2, 3, 12, 12)
    black, white = (0 - data.mean[0]) / data.std[0], (1 - data.mean[0]) / data.std[0]
    torch.testing.assert_close(x_BCHW[0], torch.full((3, 12, 12), black))
    torch.testing.assert_close(x_BCHW[1], torch.full((3, 12, 12), white))
    everything = torch.cat([x for x, _ in data.batches(500)])
    assert abs(float(everything.mean())) < 0.01
    assert abs(float(everything.std()) - 1) < 0.01


def test_batches_go_once_through_a_split() -> None:
    data = load_data("digits")
    labels = [y for _, y in data.batches(64, 8, seed=3)]
    assert [len(y) for y in labels] == [64] * 25 + [17]
    assert (np.bincount(torch.cat(labels)) == np.bincount(data.labels)).all()
    again = torch.cat([y for _, y in data.batches(64, 8, seed=3)])
    assert torch.equal(again, torch.cat(labels))
    assert not torch.equal(again, torch.cat([y for _, y in data.batches(64, 8, seed=4)]))
    in_order = torch.cat([y for _, y in data.batches(64, 8, None, split="val")])
    assert in_order.tolist() == data.val_labels.tolist()


def test_the_first_images() -> None:
    data = load_data("digits")
    few = data.first(10, 5)
    assert (few.images == data.images[:10]).all()
    assert len(few.val_labels) == 5
    assert len(data.first(10).val_labels) == 180
    assert few.digest != data.digest
    assert data.first(None).digest == data.digest


@pytest.mark.parametrize("counts", [(0, None), (-3, 5), (5, 0)])
def test_no_images_are_refused(counts: tuple[int, int | None]) -> None:
    with pytest.raises(PlanError, match=r"so few images are none; given: (0|-3); allowed: 1 or more; ask for more"):
        load_data("digits").first(*counts)
