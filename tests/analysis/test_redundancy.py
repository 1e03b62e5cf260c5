"""Redundancy: rows that add up, intervals around their shares, a planted dead role found, and refusals."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archlab.analysis import ANALYSES, Conditions, Finding, Subject
from archlab.errors import PlanError
from archlab.families import FAMILIES
from archlab.model.build import Backbone, build
from archlab.training.dataset import Dataset

SIDE, CLASSES, IMAGES = 32, 4, 48


def network(layers: int = 4) -> Backbone:
    """A narrow DeiT with weights that leave no role without influence."""
    spec = FAMILIES["deit"].make(
        resolution=SIDE, classes=CLASSES, patch=8, width=16, heads=2, attentions=layers, ffns=layers, expansion=2.0
    )
    module = build(spec, seed=2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return module.eval()


@functools.cache
def data() -> Dataset:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    labels = draw.integers(0, CLASSES, IMAGES)
    return Dataset(
        name="noise", images=images, labels=labels, val_images=images, val_labels=labels, classes=CLASSES,
        mean=(0.5,) * 3, std=(0.3,) * 3,
    )  # fmt: skip


def run(module: Backbone, **options: object) -> Finding:
    subject = Subject(name="mine", module=module, resolution=SIDE, spec=module.spec)
    return ANALYSES["redundancy"].run(subject, Conditions(**{"data": data(), "images": IMAGES, **options}))  # type: ignore[arg-type]


def test_rows_add_up_and_lie_in_their_intervals() -> None:
    found = run(network(), keep=0.6)
    rows = found.rows.set_index(["stage", "role"])
    assert list(dict.fromkeys(found.rows["stage"])) == [*(f"quarter {i}" for i in range(1, 5)), "all"]
    for role in ("qk", "v", "ffn"):
        inside = [rows.loc[(f"quarter {i}", role)] for i in range(1, 5)]
        assert sum(r.after for r in inside) == rows.loc[("all", role)].after
        assert sum(r.before for r in inside) == rows.loc[("all", role)].before
    assert rows.loc[("all", "qk")].before == 4 * 16
    assert rows.loc[("all", "v")].before == 4 * 16
    assert rows.loc[("all", "ffn")].before == 4 * 32
    assert rows.loc[("all", "heads")].before == 4 * 2
    assert rows.loc[("all", "embedding")].before == 16
    inside = [rows.loc[("all", role)].after for role in ("qk", "v", "ffn", "embedding")]
    assert 0.55 < sum(inside) / (4 * 64 + 16) <= 0.6
    assert (found.rows.share == found.rows.after / found.rows.before).all()
    assert (found.rows.low <= found.rows.high).all()
    assert "Of the channels of mine (random weights) 60 % are kept" in found.sentence
    assert found.plot().axes[0].get_ylabel() == "channels kept, %"


def test_quarters_of_a_depth_that_four_does_not_divide() -> None:
    """Six blocks, attention and FFN in turn: a quarter has one and a half, the second begins with block 2 of 0 to 5."""
    rows = run(network(layers=3), keep=0.9).rows.set_index(["stage", "role"])
    sizes = {key: int(rows.loc[key].before) for key in rows.index if key[0] != "all" and key[1] in ("qk", "ffn")}
    assert sizes == {
        ("quarter 1", "qk"): 16,
        ("quarter 1", "ffn"): 32,
        ("quarter 2", "qk"): 16,
        ("quarter 3", "ffn"): 32,
        ("quarter 3", "qk"): 16,
        ("quarter 4", "ffn"): 32,
    }


def test_a_role_that_is_dead_goes_first() -> None:
    """With the last layer of every FFN at zero its inner channels carry no gradient; the bias before it neither."""
    module = network()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "mlp.fc2.weight" in name or "mlp.fc1.bias" in name:
                parameter.zero_()
    found = run(module, keep=0.75)
    rows = found.rows[found.rows["stage"] == "all"].set_index("role")
    assert rows.loc["ffn"].share < 0.6
    assert rows.loc[["qk", "v", "embedding"]].share.min() == 1.0
    assert "the most less the least is +" in found.sentence


def test_networks_without_a_head_and_data_with_more_classes_are_refused() -> None:
    module = network()
    headless = build(module.spec.replace(classes=0)).eval()
    with pytest.raises(PlanError, match=r"the network has no classifier; given: mine"):
        run(headless)
    few = build(module.spec.replace(classes=2)).eval()
    with pytest.raises(
        PlanError, match=r"more classes than the network; given: 4 classes in noise; allowed: at most 2"
    ):
        run(few)


class Plain(nn.Module):
    """A module without a spec: two inner widths around one map; the second is dead behind a zeroed layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.first = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1))
        self.second = nn.Sequential(nn.Conv2d(8, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1))
        self.head = nn.Linear(8, CLASSES)
        nn.init.zeros_(self.second[2].weight)
        nn.init.zeros_(self.second[0].weight)
        nn.init.ones_(self.second[0].bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = self.stem(x_BCHW)
        x_BCHW = x_BCHW + self.first(x_BCHW)
        x_BCHW = x_BCHW + self.second(x_BCHW)
        logits: Tensor = self.head(x_BCHW.mean((2, 3)))
        return logits


@pytest.mark.parametrize("has_data", [True, False])
def test_a_module_without_a_spec_loses_the_width_that_moves_nothing(has_data: bool) -> None:
    torch.manual_seed(0)
    subject = Subject(name="mine", module=Plain().eval(), resolution=SIDE)
    given = Conditions(data=data() if has_data else None, images=IMAGES, keep=0.7)
    found = ANALYSES["redundancy"].run(subject, given)
    rows = found.rows.set_index(["stage", "role"])
    before = {key: int(rows.loc[key].before) for key in rows.index}
    assert before == {
        ("stem", "embedding"): 8, ("first.0", "ffn"): 16, ("first.0", "all"): 16, ("second.0", "ffn"): 16,
        ("second.0", "all"): 16, ("all", "embedding"): 8, ("all", "ffn"): 32, ("all", "all"): 32,
    }  # fmt: skip
    assert rows.loc[("second.0", "ffn")].after == 2  # all weigh nothing; the eighth that always stays
    assert rows.loc[("first.0", "ffn")].after == 16
    assert "the first part keeps more than the last, +88 points" in found.sentence
    assert found.plot().axes[0].get_ylabel() == "channels kept, %"


def test_a_deep_module_is_shown_in_quarters_of_its_parts() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 4, stride=4)
            self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)) for _ in range(12))
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x_BCHW: Tensor) -> Tensor:
            x_BCHW = self.stem(x_BCHW)
            for block in self.blocks:
                x_BCHW = x_BCHW + block(x_BCHW)
            logits: Tensor = self.head(x_BCHW.mean((2, 3)))
            return logits

    found = ANALYSES["redundancy"].run(
        Subject(name="mine", module=Deep().eval(), resolution=SIDE), Conditions(images=16, keep=0.9)
    )
    rows = found.rows.set_index(["stage", "role"])
    assert list(dict.fromkeys(found.rows["stage"])) == [*(f"quarter {i}" for i in range(1, 5)), "all"]
    assert [int(rows.loc[(f"quarter {i}", "ffn")].before) for i in range(1, 5)] == [24] * 4  # three blocks of eight
