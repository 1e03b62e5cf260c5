"""How alike heads are, worked out by hand, and which sentence that makes."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archlab.analysis import Conditions, Subject
from archlab.analysis.head_similarity import head_similarity, similarities
from archlab.errors import PlanError, UnknownNameError
from archlab.training.dataset import Dataset


def unit(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def maps(*angles: float) -> Tensor:
    """One image, one head per angle, maps of one row and two columns that enclose these angles."""
    return torch.tensor([[[unit(a)] for a in angles]], dtype=torch.float64)


def test_the_nearest_other_head_counts() -> None:
    # heads at 0, 60 and 90 degrees: the nearest are at 60, 30 and 30 degrees
    near = [0.5, math.sqrt(3) / 2, math.sqrt(3) / 2]
    assert float(similarities(maps(0, 60, 90), 1, "mean")) == pytest.approx(sum(near) / 3)
    assert float(similarities(maps(0, 60, 90), 1, "max")) == pytest.approx(max(near))


def test_the_length_of_a_map_does_not_matter() -> None:
    assert float(similarities(3 * maps(0, 60), 1)) == pytest.approx(0.5)


def test_a_head_is_all_its_windows_together() -> None:
    # two images of two windows: heads alike in one window and at right angles in the other are at cosine 1/2
    same, square = maps(0, 0)[0], maps(0, 90)[0]
    windows = torch.stack([same, square, same, same])
    np.testing.assert_allclose(similarities(windows, 2).numpy(), [0.5, 1.0])


class Told(nn.Module):
    """A network whose attention maps are told image by image: the mean of an image is an angle between two heads."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(factor) for factor in factors))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y: Tensor = self.blocks(x_BCHW)
        return y


class Block(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW

    def attention_maps(self, x_BCHW: Tensor) -> Tensor:
        angle = x_BCHW.mean(dim=(1, 2, 3)) * self.factor
        other = torch.stack([angle.cos(), angle.sin()], dim=1)
        first = torch.tensor([1.0, 0.0]).expand_as(other)
        return torch.stack([first, other], dim=1)[:, :, None, :]


def dataset(angles: list[float]) -> Dataset:
    """Images that are one angle everywhere, in hundredths of a radian."""
    images = np.stack([np.full((4, 4, 3), round(100 * a), np.uint8) for a in angles])
    labels = np.zeros(len(angles), np.int64)
    scale = (100 / 255,) * 3
    return Dataset(name="a/b.npz", images=images, labels=labels, val_images=images, val_labels=labels, classes=1,
                   mean=(0.0, 0.0, 0.0), std=scale)  # fmt: skip


def found(factors: list[float], **conditions: Any) -> Any:
    angles = [0.5, 0.6, 0.7, 0.8] * 6
    subject = Subject(name="told", module=Told(factors).eval(), resolution=4, weights="weights of w")
    return head_similarity(subject, Conditions(data=dataset(angles), **conditions))


def test_rows_are_means_over_the_images_with_an_interval() -> None:
    rows = found([1.0, 0.5]).rows
    angles = [0.5, 0.6, 0.7, 0.8]
    wanted = [np.mean(np.cos(angles)), np.mean(np.cos(np.array(angles) / 2))]
    np.testing.assert_allclose(rows.similarity, wanted, rtol=1e-5)
    assert list(rows.images) == [24, 24]
    assert (rows.low < rows.similarity).all()
    assert (rows.high > rows.similarity).all()
    assert list(rows.path) == ["blocks.0", "blocks.1"]
    assert list(rows.columns[:4]) == ["block", "path", "kind", "heads"]
    assert set(rows.formula) == {"mean"}
    flat = np.mean((1 + np.cos(angles) + np.sin(angles)) / 2 / math.sqrt(2))
    assert rows.flatness[0] == pytest.approx(flat, rel=1e-5)


def test_no_more_images_than_asked_for() -> None:
    assert set(found([1.0, 0.5], images=5).rows.images) == {5}


@pytest.mark.parametrize("images", [1, 0, -3])
def test_one_image_has_no_interval(images: int) -> None:
    with pytest.raises(PlanError, match=rf"needs more of them; given: images {images}; allowed: 2 or more; leave"):
        found([1.0, 0.5], images=images)


def test_the_sentence_names_the_block_the_formula_and_the_trend() -> None:
    said = found([1.0, 0.9, 0.5]).sentence
    assert said.startswith(
        "On 24 images of b.npz the heads of told (weights of w) are most alike in block 3 of 3 (blocks.2)"
    )
    assert "the largest cosine similarity to another head, averaged over the heads" in said
    assert "level" not in said
    assert "the last block is more alike than the first, +0." in said
    assert "the last block is less alike than the first, -0." in found([0.5, 0.9, 1.0]).sentence
    assert "the largest cosine similarity of any two heads" in found([1.0, 0.5], formula="max").sentence


def test_blocks_that_cannot_be_told_apart_are_level() -> None:
    said = found([1.0, 1.0, 2.0]).sentence
    assert "block 1 of 3" in said
    assert "level with it within the noise: block 2" in said
    assert "the last block is level with the first" in found([1.0, 1.0]).sentence


def test_an_unknown_formula() -> None:
    with pytest.raises(
        UnknownNameError, match="no formula of head_similarity 'median'; given: 'median'; allowed: max, mean"
    ):
        found([1.0], formula="median")


def test_one_head_has_nothing_to_compare() -> None:
    module = nn.Sequential(nn.Flatten(2), Single())
    with pytest.raises(PlanError, match="no block of one has heads to compare; given: attention with one head"):
        head_similarity(Subject(name="one", module=module.eval(), resolution=4), Conditions(images=2))


class Single(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x

    def attention_maps(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 1, 2, 2)


def test_what_is_said_of_all_blocks_stands_in_every_row() -> None:
    rows = found([1.0, 0.5]).rows
    first, second = (np.cos(np.array([0.5, 0.6, 0.7, 0.8]) * factor).mean() for factor in (1.0, 0.5))
    np.testing.assert_allclose(rows.all_blocks, (first + second) / 2, rtol=1e-5)
    np.testing.assert_allclose(rows.late_less_early, second - first, rtol=1e-4)
    assert (rows.late_low < rows.late_less_early).all()
    assert found([1.0]).rows.late_less_early.isna().all()
