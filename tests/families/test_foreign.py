"""Any network may be held against any family: it reads back or is refused, nothing else."""

import dataclasses
import random

import pytest

from archlab.errors import SpecError
from archlab.families import FAMILIES, all_published
from archlab.spec import ArchSpec, BlockSpec, StageSpec

ROWS = all_published()
VALUES = {
    "kind": ["convnext", "sdta", "cga", "mhsa", "msla", "mbconv", "dw", "ffn", "patchify", "strange", ""],
    "width": [1, 16, 100, 65_536],
    "stride": [0, 1, 2, 16],
    "hidden": [None, 0, 7, 64, 10**9],
    "kernels": [None, (), (4,), (7, 5), (0, 0, 0), (5,) * 40],
    "splits": [None, 0, 1, 3, 10**6],
    "heads": [None, 0, 1, 7, 10**6],
    "key_dim": [None, 0, 16, (16, 8), 10**6],
    "value_dim": [None, 0, 5, (16, 8), 10**6],
    "window": [None, 0, 5, 10**6],
    "position": [None, "fourier", "bias", "strange"],
    "norm": [None, "ln", "bn", "bn_last", "strange"],
    "act": [None, "gelu", "relu", "strange"],
    "eps": [None, 0.0, 1e-7, float("inf"), float("nan")],
}


def changed(block: BlockSpec, rng: random.Random) -> BlockSpec:
    field = rng.choice(sorted(VALUES))
    return dataclasses.replace(block, **{field: rng.choice(VALUES[field])})


def mutated(spec: ArchSpec, rng: random.Random) -> ArchSpec:
    """A stage dropped, doubled or emptied, or one layer changed in one field."""
    stages = list(spec.stages)
    i = rng.randrange(len(stages))
    entry, blocks = stages[i].entry, list(stages[i].blocks)
    match rng.randrange(6):
        case 0:
            stages.insert(i, stages[i])
        case 1 if len(stages) > 1:
            del stages[i]
        case 2:
            stages[i] = StageSpec(entry=entry, blocks=tuple(blocks[: rng.randrange(len(blocks) + 1)]))
        case 3:
            stages[i] = StageSpec(entry=changed(entry, rng), blocks=tuple(blocks))
        case _ if blocks:
            j = rng.randrange(len(blocks))
            blocks[j] = changed(blocks[j], rng)
            stages[i] = StageSpec(entry=entry, blocks=tuple(blocks))
    return spec.replace(stages=tuple(stages), classes=rng.choice([1000, 1000, 0, 10]))


@pytest.mark.parametrize("family", FAMILIES)
def test_two_thousand_mutated_networks(family: str) -> None:
    rng, refused = random.Random(0), 0
    for _ in range(2000):
        spec = mutated(rng.choice(ROWS).spec, rng)
        if rng.random() < 0.3:
            spec = mutated(spec, rng)
        try:
            axes = FAMILIES[family].axes_of(spec)
        except SpecError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert FAMILIES[family].make(**axes) == spec
    assert 500 < refused < 2000
