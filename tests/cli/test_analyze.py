"""archlab analyze and al.analyze: what reaches the analyses, what comes back, what is refused."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archlab as al
from archlab.errors import PlanError, UnknownNameError

Answer = Callable[..., Any]


def test_the_document_and_its_files(answer: Answer, tmp_path: Path) -> None:
    found = answer("analyze", "memory_bound", "efficientvit_m0", "--device", "orin", "--out", tmp_path)
    assert {"rows", "finding", "figure"} <= set(found)
    assert found["finding"].startswith("efficientvit_m0 spends ")
    assert Path(found["figure"]) == tmp_path / "memory_bound-efficientvit_m0.svg"
    assert Path(found["figure"]).read_text().startswith("<?xml")
    with Path(found["table"]).open() as file:
        assert len(list(csv.DictReader(file))) == len(found["rows"])
    assert found["rows"][0]["share_low"] is None


def test_the_table_and_the_sentence(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    status, out, _ = run("analyze", "head_similarity", "edgenext_xx_small", "--images", 2, "--out", tmp_path,
                         "--formula", "max", "--resolution", 64)  # fmt: skip
    assert status == 0
    assert "stages.1.blocks.1" in out
    assert "On 2 generated images the heads of edgenext_xx_small (random weights)" in out
    assert "any two heads" in out
    assert f"figure: {tmp_path}/head_similarity-edgenext_xx_small.svg" in out


def test_images_and_weights_are_named(answer: Answer, tmp_path: Path) -> None:
    spec, weights = tmp_path / "net.yaml", tmp_path / "net.safetensors"
    answer("export", "efficientvit_m0", "--format", "spec", "--out", spec)
    answer("export", "efficientvit_m0", "--format", "safetensors", "--out", weights)
    found = answer("analyze", "head_similarity", spec, "--weights", weights, "--data", "digits", "--images", 2,
                   "--out", tmp_path)  # fmt: skip
    assert (found["rows"][0]["data"], found["rows"][0]["weights"]) == ("images of digits", "weights of net.safetensors")


def test_an_unknown_analysis(refused: Callable[..., str]) -> None:
    assert "did you mean 'memory_bound'" in refused("analyze", "memorybound", "efficientvit_m0")


def test_an_option_without_effect(refused: Callable[..., str]) -> None:
    said = refused("analyze", "head_similarity", "efficientvit_m0", "--device", "cpu")
    assert "device has no effect on head_similarity; given: device cpu; allowed: data, formula, images, seed" in said


def test_an_option_that_nobody_takes() -> None:
    with pytest.raises(PlanError, match="pictures has no effect on memory_bound"):
        al.analyze("memory_bound", "efficientvit_m0", pictures=3)


def test_a_network_without_attention(refused: Callable[..., str]) -> None:
    assert "no attention whose maps can be read" in refused(
        "analyze", "head_similarity", "convnext_atto", "--images", 2
    )


class Mine(nn.Module):
    """A user's own network."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        y: torch.Tensor = self.attention(tokens, tokens, tokens)[0]
        return y


def test_a_module_of_ones_own() -> None:
    found = al.analyze("head_similarity", Mine(), resolution=32, images=3)
    assert found.model == "Mine"
    (row,) = found.rows.to_dict("records")
    assert (row["path"], row["kind"], row["heads"], row["rows"], row["images"]) == (
        ("attention", "MultiheadAttention", 2, 16, 3)
    )
    assert "its own weights" in found.sentence
    split = al.analyze("memory_bound", Mine(), resolution=32, device="cpu", runtime="torch")
    assert split.rows.share.sum() == pytest.approx(1)


def test_a_module_whose_side_is_not_known() -> None:
    with pytest.raises(PlanError, match="the input side of this module is not known; given: Mine; allowed: any side"):
        al.analyze("head_similarity", Mine())


def test_a_module_brings_its_weights() -> None:
    with pytest.raises(PlanError, match="a module brings its own weights; given: weights f"):
        al.analyze("head_similarity", Mine(), resolution=32, weights="f.safetensors")


def test_an_unknown_knob() -> None:
    with pytest.raises(UnknownNameError, match="no knob 'kernels'"):
        al.analyze("sensitivity", "convnext_atto", knobs="kernels")
