"""To add a thing is to join its table: a file in a room of extensions that no table names is a mistake."""

import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "archlab"

TABLES = {
    "artifacts": (
        "ARTIFACTS",
        {
            "artifact",
            "bench",
            "checks",
            "edgenext_ablation",
            "kept",
            "memory",
            "mixes",
            "msra_ablation",
            "paper",
            "rows",
            "small_scale",
            "throughput",
            "trained",
            "verdict",
        },
    ),
    "families": (
        "FAMILIES",
        {"cells", "hybrid_reading", "hybrid_stages", "knobs", "layouts", "published", "reading", "refit"},
    ),
    "model/blocks": ("BLOCKS", set()),
    "device/backends": ("BACKENDS", {"cuda_kernels"}),
    "latency": (
        "PREDICTORS",
        {
            "calibrate",
            "choice",
            "estimate",
            "familiarity",
            "features",
            "fit",
            "frameworks",
            "fusion",
            "kernel_cache",
            "kernel_inputs",
            "kernel_net",
            "kernel_sums",
            "kernel_times",
            "kernels",
            "launches",
            "launches_compiled",
            "launches_eager",
            "launches_rows",
            "operators",
            "own",
            "own_errors",
            "own_measure",
            "own_predictor",
            "own_roofline",
            "process",
            "samples",
            "sources",
            "tables",
            "terms",
            "transfer",
            "trees",
            "without",
        },
    ),
    "proxy": (
        "PROXIES",
        {
            "answer",
            "evidence",
            "flow",
            "halving",
            "judging",
            "learning",
            "look",
            "modes",
            "noise",
            "passes",
            "published_data",
            "published_features",
            "published_kernel",
            "published_trees",
            "ranking",
            "row",
            "rungs",
            "scoring",
            "subject",
        },
    ),
    "analysis": ("ANALYSES", {"attention", "finding", "intervals", "knobs", "shares"}),
}
"""Room → (its table, files that are plumbing of the room and no entry)."""


def defining_files(table: dict[str, object]) -> set[str]:
    """File names of the modules in which the entries of a table were made."""
    found = set()
    for entry in table.values():
        parts = [entry, *vars(entry).values()] if hasattr(entry, "__dict__") else [entry]
        if hasattr(entry, "__dataclass_fields__"):
            parts += [getattr(entry, name) for name in entry.__dataclass_fields__]
        found |= {str(getattr(p, "__module__", "")).rpartition(".")[2] for p in parts}
        found |= {str(getattr(p, "__name__", "")).rpartition(".")[2] for p in parts}
    return found


@pytest.mark.parametrize("room", TABLES)
def test_every_file_is_in_its_table(room: str) -> None:
    name, plumbing = TABLES[room]
    table = getattr(importlib.import_module(f"archlab.{room.replace('/', '.')}"), name)
    assert isinstance(table, dict)
    assert table
    files = {p.stem for p in (PACKAGE / room).glob("*.py")} - {"__init__"} - plumbing
    assert files <= defining_files(table), f"not in {name}: {files - defining_files(table)}"
