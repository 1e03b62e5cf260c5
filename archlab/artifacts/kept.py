"""The networks trained at small scale themselves: specs and weights from the folder that the training wrote.

FOLDER/specs/NET.yaml is the network, FOLDER/weights/NET-SEED.safetensors are its weights, one file per seed.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import yaml

from archlab.analysis.intervals import of_repeats
from archlab.artifacts.bench import Bench
from archlab.artifacts.rows import NEEDS_COMPUTE, NEEDS_MEANS, Lack
from archlab.model import weights
from archlab.model.build import Backbone, build
from archlab.spec import ArchSpec
from archlab.training.dataset import Dataset

__all__ = ["Kept", "fields_of", "kept", "over_seeds"]

_NO_DATA = Lack(verdict=NEEDS_MEANS, what="the images the networks were trained on were not given")

Values = Mapping[str, float]
"""Name → value, of one network."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Kept:
    """One trained network: its name in the table of the training, its seed, and the module in evaluation mode."""

    net: str
    seed: int
    spec: ArchSpec
    module: Backbone


def kept(bench: Bench, net: str) -> tuple[Kept, ...] | Lack:
    """The trained networks of a name, seed by seed, or what lacks."""
    lack = Lack(verdict=NEEDS_COMPUTE, what=f"trained weights of {net}")
    if bench.folder is None:
        return lack
    files = sorted((bench.folder / "weights").glob(f"{net}-*.safetensors"))
    path = bench.folder / "specs" / f"{net}.yaml"
    if not files or not path.is_file():
        return lack
    spec = ArchSpec.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")), where=path.name)
    found = []
    for file in files:
        module = build(spec)
        weights.load(module, file)
        seed = int(file.stem.rpartition("-")[2])
        found.append(Kept(net=net, seed=seed, spec=spec, module=module.eval()))
    return tuple(found)


def over_seeds(bench: Bench, net: str, look: Callable[[Kept, Dataset], Values]) -> dict[str, list[float]] | Lack:
    """Look at every seed of a network: name → its values, one per seed, or what lacks.

    Args:
        bench: What there is to compute with.
        net: Name of the network in the table of the training.
        look: Gives the values of one trained network on images.
    """
    networks = kept(bench, net)
    if isinstance(networks, Lack):
        return networks
    if bench.data is None or bench.data.classes != networks[0].spec.classes:
        return _NO_DATA
    tables = []
    for network in networks:
        bench.tell(f"{net}, seed {network.seed}")
        tables.append(look(network, bench.data))
    return {name: [table[name] for table in tables] for name in tables[0]}


def fields_of(values: list[float] | Lack, source: str) -> dict[str, Any]:
    """The fields of a row: the mean over the seeds with Student's interval, of small scale."""
    if isinstance(values, Lack):
        return {"is_small_scale": True, "lack": values}
    mean, low, high = of_repeats(np.asarray(values, dtype=np.float64))
    interval = (low, high) if len(values) > 1 else None
    return {"ours": mean, "ours_ci95": interval, "ours_source": source, "runs": len(values), "is_small_scale": True}
