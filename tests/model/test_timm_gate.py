import importlib.util
import sys

import pytest
import torch

from archlab.errors import PlanError, UnknownNameError
from archlab.model import timm_gate

if importlib.util.find_spec("timm") is None:
    pytest.skip("timm is not installed", allow_module_level=True)


def test_fused_attention_is_off() -> None:
    module = timm_gate.create("vit_tiny_patch16_224")
    fused = [part.fused_attn for part in module.modules() if hasattr(part, "fused_attn")]
    assert len(fused) == 12
    assert not any(fused)
    assert not module.training


def test_fused_attention_is_kept_where_asked_for() -> None:
    module = timm_gate.create("vit_tiny_patch16_224", keeps_fused_attention=True)
    assert all(part.fused_attn for part in module.modules() if hasattr(part, "fused_attn"))


def test_unknown_network_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no timm model 'edgenext_smal'.*did you mean 'edgenext_small'"):
        timm_gate.create("edgenext_smal")


def test_options_reach_timm() -> None:
    assert timm_gate.create("convnext_atto", num_classes=7)(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


def test_without_timm_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(PlanError, match=r"timm is not installed.*pip install 'archlab\[timm\]'"):
        timm_gate.create("convnext_atto")


def test_other_failures_of_torchvision_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> object:
        raise RuntimeError("something else is broken")

    monkeypatch.setattr(timm_gate.importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="something else"):
        timm_gate.create("convnext_atto")
