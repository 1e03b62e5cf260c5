"""Which networks are there, and build me one."""

from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from archlab.api.arguments import checked
from archlab.api.target import resolve
from archlab.errors import SpecError, four_parts, unknown_name
from archlab.families import FAMILIES, all_published
from archlab.model import weights as weights_file
from archlab.model.build import build
from archlab.model.deploy import deploy

__all__ = ["create", "deploy", "model_rows", "models"]


@checked
def model_rows(family: str | None = None) -> list[dict[str, Any]]:
    """List every published network as plain rows: name, family, resolution, params, macs, top1, source.

    A family by its name also lists the steps of its ablation.
    """
    if family is not None and family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    return [
        {
            "name": row.name,
            "family": row.family,
            "resolution": row.resolution,
            "params": row.params,
            "macs": row.macs,
            "top1": row.top1,
            "source": row.source,
        }
        for row in (all_published() if family is None else (*FAMILIES[family].published, *FAMILIES[family].steps))
    ]


@checked
def models(family: str | None = None) -> pd.DataFrame:
    """List every published network: params, multiply-adds, published ImageNet top-1 (%) and where it was read.

    Args:
        family: Only this family; None lists all.
    """
    return pd.DataFrame(model_rows(family))


@checked
def create(
    model: str,
    *,
    weights: str | Path | None = None,
    classes: int | None = None,
    resolution: int | None = None,
    features_only: bool = False,
    seed: int = 0,
) -> nn.Module:
    """Build a network in evaluation mode.

    Args:
        model: A published name, a spec file, STUDY_DIR:DIGEST or timm:NAME.
        weights: A safetensors file in archlab's, timm's or the authors' layout; None draws random weights.
        classes: Width of the classifier; None keeps the network's own (1000 for published ones).
        resolution: Input side in pixels; None keeps the network's own.
        features_only: Return the stage outputs, a list of maps `(B, C, H, W)`, instead of logits `(B, classes)`;
            their strides and widths are in the module's `feature_info`.
        seed: Seed of the random weights.

    Raises:
        UnknownNameError: No such network.
        WeightsError: The file does not fit the network.
    """
    target = resolve(model).at(resolution)
    if target.spec is None:
        if features_only or classes is not None or weights is not None:
            raise SpecError(
                four_parts(
                    "networks of timm are created as they are",
                    given=model,
                    allowed="features_only, classes and weights for archlab's own networks",
                    do="use timm's own create_model for these options",
                )
            )
        return target.build().eval()
    spec = target.spec if classes is None else target.spec.replace(classes=classes)
    module = build(spec, seed=seed)
    if weights is not None:
        weights_file.load(module, Path(weights), family=target.family)
    if features_only:
        module.head, module.features_only = None, True
    return module.eval()
