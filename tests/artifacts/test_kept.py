"""Figures that look at trained weights: what they read, what lacks, and the paper's values by hand."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from archlab.artifacts import ARTIFACTS
from archlab.artifacts.bench import Bench
from archlab.artifacts.checks import Larger
from archlab.artifacts.kept import Kept, Repeats, fields_of, kept, over_seeds
from archlab.artifacts.msra_fig4 import thirds
from archlab.artifacts.msra_fig5 import kept_share
from archlab.artifacts.rows import NEEDS_COMPUTE, NEEDS_MEANS, Lack
from archlab.families import swin
from archlab.model.build import build
from archlab.model.export import save_safetensors
from archlab.spec import ArchSpec
from archlab.training.dataset import Dataset


def tiny() -> ArchSpec:
    widths = {f"width_{i}": 8 for i in range(4)} | {f"heads_{i}": 2 for i in range(4)}
    layers = {f"{name}_{i}": 1 for name in ("attentions", "ffns") for i in range(4)}
    return swin.make(resolution=32, classes=10, patch=2, window=4, **widths, **layers)


def images(classes: int = 10) -> Dataset:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, size=(12, 32, 32, 3), dtype=np.uint8)
    y = np.arange(12, dtype=np.int64) % classes
    return Dataset(
        name="drawn",
        images=x,
        labels=y,
        val_images=x,
        val_labels=y,
        classes=classes,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two seeds of one network, as the training writes them."""
    for name in ("specs", "weights"):
        (tmp_path / name).mkdir()
    (tmp_path / "specs" / "swin.yaml").write_text(yaml.safe_dump(tiny().to_dict()))
    for seed in (3, 4):
        save_safetensors(build(tiny(), seed=seed), tmp_path / "weights" / f"swin-{seed}.safetensors")
    return tmp_path


def test_every_seed_is_read(folder: Path) -> None:
    found = kept(Bench(folder=folder), "swin")
    assert not isinstance(found, Lack)
    assert [network.seed for network in found] == [3, 4]
    assert found[0].spec == tiny()
    wanted = build(tiny(), seed=4).state_dict()
    for name, tensor in found[1].module.state_dict().items():
        assert tensor.equal(wanted[name])


def test_seeds_are_numbers_and_other_networks_no_seeds(folder: Path) -> None:
    weights = folder / "weights"
    for name in ("swin-10", "swin-wide-5"):
        (weights / f"{name}.safetensors").write_bytes((weights / "swin-3.safetensors").read_bytes())
    found = kept(Bench(folder=folder), "swin")
    assert not isinstance(found, Lack)
    assert [network.seed for network in found] == [3, 4, 10]


def test_what_lacks(folder: Path, tmp_path: Path) -> None:
    """No folder, no weights of that name, no images, images of other classes."""
    cases = [
        (Bench(), "swin", NEEDS_COMPUTE, "trained weights of swin"),
        (Bench(folder=folder), "deit", NEEDS_COMPUTE, "trained weights of deit"),
        (Bench(folder=folder), "swin", NEEDS_MEANS, "the images the networks were trained on were not given"),
        (Bench(folder=folder, data=images(5)), "swin", NEEDS_MEANS, "the images the networks were trained on"),
    ]
    for bench, net, verdict, what in cases:
        found = over_seeds(bench, net, lambda network, data: {})
        assert isinstance(found, Lack)
        assert found.verdict == verdict
        assert found.what.startswith(what)


def test_seeds_become_a_mean_with_an_interval(folder: Path) -> None:
    """Mean 3.5 of 3 and 4; Student's t of one degree is 12.706, the standard error 0.5."""
    found = over_seeds(Bench(folder=folder, data=images()), "swin", lambda network, data: {"seed": network.seed})
    assert not isinstance(found, Lack)
    fields = fields_of(found["seed"], "source")
    assert fields["ours_source"] == "source; 2 seeds"
    assert fields["ours"] == pytest.approx(3.5)
    assert fields["ours_ci95"] == pytest.approx((3.5 - 6.353, 3.5 + 6.353), abs=1e-3)
    assert (fields["runs"], fields["is_small_scale"]) == (2, True)
    alone = fields_of(Repeats(values=(7.0,), runs=1), "source")
    assert (alone["ours_ci95"], alone["ours_source"]) == (None, "source; 1 seed")


def test_few_seeds_give_an_interval_over_images(folder: Path) -> None:
    """Of two seeds the first is looked at on three parts of twelve images: 0 3 6 9, 1 4 7 10 and 2 5 8 11."""

    def look(network: Kept, data: Dataset) -> dict[str, float]:
        return {"seed": network.seed, "images": len(data.images), "first": float(data.labels[0])}

    found = over_seeds(Bench(folder=folder, data=images()), "swin", look, parts=3)
    assert not isinstance(found, Lack)
    assert (found["seed"].values, found["images"].values) == ((3, 3, 3), (4, 4, 4))
    assert found["first"].values == (0, 1, 2)
    fields = fields_of(found["first"], "source")
    assert (fields["runs"], fields["ours"]) == (1, pytest.approx(1.0))
    assert fields["ours_source"] == "source; 1 seed, interval over 3 parts of the images"


def test_thirds() -> None:
    """Of six blocks two make a third, of four blocks one."""
    assert thirds({1: 1.0, 2: 3.0, 3: 9.0, 4: 9.0, 5: 5.0, 6: 7.0}) == pytest.approx(
        {"first third": 2.0, "last third": 6.0, "all blocks": 34 / 6}
    )
    assert thirds({1: 1.0, 2: 2.0, 3: 3.0, 4: 6.0})["last third"] == 6.0


def test_figure_4_as_printed() -> None:
    """By hand: Swin's blocks 1 to 4 have mean 59.725, blocks 9 to 12 have 76.55."""
    (late, split) = [claim for claim in ARTIFACTS["msra_fig4"].checks if isinstance(claim, Larger)]
    assert late.by == pytest.approx(76.55 - 59.725, abs=0.01)
    assert split.by is None


def test_figure_5_as_printed() -> None:
    """By hand from the figure: FFN 3.94 and 3.84 over 4 in stage 1, 2.29 and 1.31 in stage 4; V 1, 1 and 0.85, 0.48."""
    rows = {row.setting: row for row in ARTIFACTS["msra_fig5"].compute(Bench())}
    assert len(rows) == 15
    assert rows["FFN, stage 1"].paper == pytest.approx((3.94 + 3.84) / 8)
    assert rows["FFN, stage 4"].paper == pytest.approx((2.29 + 1.31) / 8)
    assert rows["values, stage 4"].paper == pytest.approx((0.85 + 0.48) / 2)
    assert rows["queries and keys, stage 1"].paper == pytest.approx((0.49 + 0.54) / 2)
    assert {row.lack is not None for row in rows.values()} == {True}


def test_wide_stages_weigh_more() -> None:
    """10 of 10 and 30 of 90 channels are 40 of 100."""
    assert kept_share({1: (10.0, 10.0), 2: (90.0, 30.0)}) == pytest.approx(0.4)


def test_pruning_reads_the_trained_network(folder: Path) -> None:
    """The shares of the three roles, FFNs being four times as wide, come down to the paper's 56 %."""
    rows = {row.setting: row for row in ARTIFACTS["msra_fig5"].compute(Bench(folder=folder, data=images()))}
    shares = [rows[f"{role}, all stages"].ours for role in ("queries and keys", "values", "FFN")]
    assert all(isinstance(share, float) and 0 < share <= 1 for share in shares)
    kept_all = sum(weight * float(share or 0) for weight, share in zip((1, 1, 4), shares, strict=True)) / 6
    assert 0.4 < kept_all <= 0.57
