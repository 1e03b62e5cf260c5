"""The one door to timm, which is an optional source of models and the tests' oracle.

timm imports torchvision. Beside a CPU-only torch that import fails until two operator schemas exist, so they are
declared here when, and only when, the import fails for that reason. Fused attention is switched off unless asked for:
counters and exporters would not see its products.
"""

import importlib
from typing import Any

from torch import library as schemas
from torch import nn

from archlab.errors import PlanError, four_parts, unknown_name

__all__ = ["create"]

_SCHEMAS = ("nms", "qnms")


def create(name: str, *, keeps_fused_attention: bool = False, **options: Any) -> nn.Module:
    """Create a network of timm with random weights, in evaluation mode.

    Args:
        name: timm's name of the network, without the prefix `timm:`.
        keeps_fused_attention: Whether attention runs as timm has it; else its products are written out.
        options: Passed on to timm's `create_model`.

    Raises:
        PlanError: If timm is not installed.
        UnknownNameError: If timm has no such network.
    """
    timm = _timm()
    if not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models(), do="see timm.list_models()")
    timm.layers.set_fused_attn(keeps_fused_attention)
    module = timm.create_model(name, pretrained=False, **options).eval()
    assert isinstance(module, nn.Module)
    return module


def _timm() -> Any:
    try:
        _declare_schemas_if_needed()
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise PlanError(
            four_parts(
                "timm is not installed",
                given=f"no module {error.name!r}",
                allowed="archlab's own networks work without it",
                do="install it with: pip install 'archlab[timm]'",
            )
        ) from None


def _declare_schemas_if_needed() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        for name in _SCHEMAS:
            schemas.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
