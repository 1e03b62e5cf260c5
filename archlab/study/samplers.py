"""Who suggests the next network: one row per sampler, as data; the engine builds it by name.

`options` are the keyword arguments of Optuna's class; the seed is added by the engine. The multivariate, grouped TPE
sees how axes work together and handles axes that only some networks have; the constant liar keeps several processes
apart.
"""

import dataclasses
import types
from collections.abc import Mapping

__all__ = ["SAMPLERS", "SamplerRow"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplerRow:
    """A sampler: the class in ``optuna.samplers`` and its options.

    A flat sampler is given every axis in every trial, those that are not active at their first choice: it joins only
    axes that all trials have.
    """

    name: str
    title: str
    kind: str
    options: Mapping[str, int | float | bool]
    is_flat: bool = False


SAMPLERS: dict[str, SamplerRow] = {
    "tpe": SamplerRow(
        name="tpe",
        title="tree-structured Parzen estimator, multivariate and grouped (default)",
        kind="TPESampler",
        options=types.MappingProxyType({"multivariate": True, "group": True, "constant_liar": True}),
    ),
    "nsga2": SamplerRow(
        name="nsga2",
        title="genetic algorithm with non-dominated sorting, population 30",
        kind="NSGAIISampler",
        options=types.MappingProxyType({"population_size": 30}),
        is_flat=True,
    ),
    "random": SamplerRow(
        name="random",
        title="uniform over the choices of each axis: the baseline of the others",
        kind="RandomSampler",
        options=types.MappingProxyType({}),
    ),
}
