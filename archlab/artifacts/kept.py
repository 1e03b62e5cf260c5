"""The networks trained at small scale themselves: specs and weights from the folder that the training wrote.

FOLDER/specs/NET.yaml is the network, FOLDER/weights/NET-SEED.safetensors are its weights, one file per seed.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from archlab.artifacts.bench import Bench
from archlab.artifacts.rows import NEEDS_COMPUTE, NEEDS_MEANS, Lack, small_scale
from archlab.model import weights
from archlab.model.build import Backbone, build
from archlab.spec import ArchSpec
from archlab.training.dataset import Dataset

__all__ = ["Kept", "Repeats", "fields_of", "kept", "over_seeds"]

_ENOUGH_SEEDS = 3
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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """Values of one thing: one of each seed, or several of one seed, each on other images; `runs` counts the seeds."""

    values: tuple[float, ...]
    runs: int

    @property
    def words(self) -> str:
        """What the interval is over."""
        if self.runs == 1:
            return f"1 seed, interval over {len(self.values)} parts of the images" if len(self.values) > 1 else "1 seed"
        return f"{self.runs} seeds"


def kept(bench: Bench, net: str) -> tuple[Kept, ...] | Lack:
    """The trained networks of a name, seed by seed, or what lacks."""
    lack = Lack(verdict=NEEDS_COMPUTE, what=f"trained weights of {net}")
    if bench.folder is None:
        return lack
    files = {
        int(number): file
        for file in (bench.folder / "weights").glob(f"{net}-*.safetensors")
        if (number := file.stem.removeprefix(f"{net}-")).isdecimal()
    }
    path = bench.folder / "specs" / f"{net}.yaml"
    if not files or not path.is_file():
        return lack
    spec = ArchSpec.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")), where=path.name)
    found = []
    for seed, file in sorted(files.items()):
        module = build(spec)
        weights.load(module, file)
        found.append(Kept(net=net, seed=seed, spec=spec, module=module.eval()))
    return tuple(found)


def over_seeds(
    bench: Bench, net: str, look: Callable[[Kept, Dataset], Values], *, parts: int = 1
) -> Mapping[str, Repeats] | Lack:
    """Look at every seed of a network: name → its values, or what lacks.

    Of fewer than three seeds the first one is looked at on `parts` disjoint parts of the images instead: what is found
    then holds for that one network, with an interval over images.

    Args:
        bench: What there is to compute with.
        net: Name of the network in the table of the training.
        look: Gives the values of one trained network on images.
        parts: Parts of the images for a network of few seeds; 1 leaves it at one value per seed.
    """
    networks = kept(bench, net)
    if isinstance(networks, Lack):
        return networks
    if bench.data is None or bench.data.classes != networks[0].spec.classes:
        return _NO_DATA
    is_one = len(networks) < _ENOUGH_SEEDS and parts > 1
    asked = (
        [(networks[0], part) for part in _parts(bench.data, parts)] if is_one else [(n, bench.data) for n in networks]
    )
    tables = []
    for network, images in asked:
        bench.tell(f"{net}, seed {network.seed}")
        tables.append(look(network, images))
    runs = 1 if is_one else len(networks)
    return {name: Repeats(values=tuple(table[name] for table in tables), runs=runs) for name in tables[0]}


def fields_of(found: Repeats | Lack, source: str) -> dict[str, Any]:
    """The fields of a row: the mean with Student's interval, of small scale."""
    if isinstance(found, Lack):
        return small_scale(found)
    return small_scale(found.values, runs=found.runs, source=f"{source}; {found.words}")


def _parts(data: Dataset, count: int) -> list[Dataset]:
    """Disjoint parts of the images."""
    return [
        dataclasses.replace(
            data,
            images=data.images[i::count],
            labels=data.labels[i::count],
            val_images=data.val_images[i::count],
            val_labels=data.val_labels[i::count],
        )
        for i in range(count)
    ]
