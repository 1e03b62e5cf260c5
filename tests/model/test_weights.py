import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from archlab.errors import WeightsError
from archlab.families import published
from archlab.model import weights
from archlab.model.build import build
from archlab.model.timm_gate import create
from archlab.spec import ArchSpec

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm, the oracle, is not installed", allow_module_level=True)


def small(name: str) -> ArchSpec:
    return published(name).spec.replace(classes=6)


def shared(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module without storage tricks, as a file can hold them."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.fixture
def tiny() -> nn.Module:
    return build(small("edgenext_xx_small"), seed=1)


def saved(folder: Path, tensors: dict[str, Tensor], name: str = "w.safetensors") -> Path:
    safetensors.torch.save_file(tensors, folder / name)
    return folder / name


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_our_own_file_loads_and_changes_everything(tiny: nn.Module, tmp_path: Path) -> None:
    other = build(small("edgenext_xx_small"), seed=2)
    weights.load(other, saved(tmp_path, shared(tiny)))
    assert same(dict(other.state_dict()), dict(tiny.state_dict()))


@pytest.mark.parametrize(
    "prefix", ["model.", "model_ema.", "state_dict.", "module.", "state_dict.module.", "model.module."]
)
def test_prefixes_of_training_checkpoints_are_seen_through(prefix: str, tiny: nn.Module, tmp_path: Path) -> None:
    file = saved(tmp_path, {prefix + n: t for n, t in shared(tiny).items()} | {"optimizer.step": torch.zeros(1)})
    other = build(small("edgenext_xx_small"), seed=2)
    weights.load(other, file)
    assert same(dict(other.state_dict()), dict(tiny.state_dict()))


def test_the_averaged_weights_come_first(tiny: nn.Module, tmp_path: Path) -> None:
    tensors = {f"model.{n}": t for n, t in shared(build(small("edgenext_xx_small"), seed=5)).items()}
    other = build(small("edgenext_xx_small"), seed=2)
    weights.load(other, saved(tmp_path, tensors | {f"model_ema.{n}": t for n, t in shared(tiny).items()}))
    assert same(dict(other.state_dict()), dict(tiny.state_dict()))


def test_half_precision_files_become_the_networks_precision(tiny: nn.Module, tmp_path: Path) -> None:
    other = build(small("edgenext_xx_small"), seed=2)
    weights.load(other, saved(tmp_path, {n: t.half() for n, t in shared(tiny).items()}))
    assert other.state_dict()["head.fc.weight"].dtype == torch.float32
    torch.testing.assert_close(
        other.state_dict()["head.fc.weight"], tiny.state_dict()["head.fc.weight"], atol=1e-4, rtol=1e-3
    )


def test_a_backbone_takes_the_rest_of_a_classifier(tmp_path: Path) -> None:
    oracle = create("efficientvit_m0")
    backbone = build(published("efficientvit_m0").spec, seed=3, features_only=True)
    weights.load(backbone, saved(tmp_path, shared(oracle)))
    key = "stages.0.blocks.0.dw.conv.weight"
    assert torch.equal(backbone.state_dict()[key], oracle.state_dict()["stages.0.blocks.0.dw0.m.conv.weight"])


def test_flat_pointwise_kernels_are_reshaped() -> None:
    """Some published files store 1×1 kernels as matrices."""
    spec = small("efficientvit_m0")
    tensors = shared(create("efficientvit_m0", num_classes=6))
    flat = {n: t.flatten(1) if t.dim() == 4 and t.shape[-1] == 1 and "dw" not in n else t for n, t in tensors.items()}
    assert same(weights.convert(spec, flat), weights.convert(spec, tensors))


def broken(change: Callable[[dict[str, Tensor]], Any]) -> dict[str, Tensor]:
    tensors = shared(build(small("edgenext_xx_small"), seed=1))
    change(tensors)
    return tensors


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "missing": (
        lambda d: [d.pop(f"stages.0.blocks.0.mlp.fc{k}.{n}") for k in (1, 2) for n in ("weight", "bias")],
        r"w\.safetensors lacks 4 tensors of edgenext; given: stages\.0\.blocks\.0\.mlp\.fc1\.weight, .* and 1 more",
    ),
    "one missing": (lambda d: d.pop("head.fc.bias"), r"lacks 1 tensor of edgenext; given: head\.fc\.bias, read in"),
    "extra": (lambda d: d.update({"stages.9.x": torch.zeros(2)}), r"holds unknown 1 tensor of .*stages\.9\.x"),
    "shape": (
        lambda d: d.update({"head.fc.weight": torch.zeros(7, 168), "head.fc.bias": torch.zeros(7)}),
        r"has other shapes for 2 tensors of edgenext; given: head\.fc\.weight \(7×168, wanted 6×168\), .*classes",
    ),
    "kind": (
        lambda d: d.update({"head.fc.bias": torch.zeros(6, dtype=torch.int8)}),
        r"head\.fc\.bias \(6 int8, wanted 6\)",
    ),
    "other network": (
        lambda d: (d.clear(), d.update({f"layer{i}.weight": torch.zeros(1) for i in range(9)})),
        r"does not hold weights of edgenext; given: 9 tensors: layer0\.weight, .* and 6 more; allowed: 160 tensors",
    ),
    "empty": (lambda d: d.clear(), r"does not hold weights of edgenext; given: 0 tensors"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(case: str, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    module = build(small("edgenext_xx_small"), seed=2)
    before = shared(module)
    with pytest.raises(WeightsError, match=message) as caught:
        weights.load(module, saved(tmp_path, broken(change)), family="edgenext")
    assert "\n" not in str(caught.value)
    assert same(before, dict(module.state_dict()))


def test_no_such_file(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no such weights file; given: .*nowhere\.safetensors; allowed: .*check"):
        weights.load(tiny, tmp_path / "nowhere.safetensors")


def test_a_folder_is_no_file(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        weights.load(tiny, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 pickled", b"\xff" * 40])
def test_what_is_no_safetensors_is_not_opened(content: bytes, tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"w\.pth cannot be read as safetensors.*can run code.*convert it: python -c"
    ):
        weights.load(tiny, tmp_path / "w.pth")


def test_a_cut_file_is_refused(tiny: Any, tmp_path: Path) -> None:
    file = saved(tmp_path, shared(tiny))
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        weights.load(tiny, file)


def test_timm_names_of_another_size_name_the_misfit() -> None:
    with pytest.raises(WeightsError, match=r"lacks \d+ tensors of this network; given: .*, read in timm's names"):
        weights.convert(small("edgenext_small"), shared(create("edgenext_xx_small", num_classes=6)))
