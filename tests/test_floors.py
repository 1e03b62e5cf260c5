"""The house has floors: a module imports lower floors and its own room, nothing else; each third party has one gate."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "archlab"

FLOORS = {
    **dict.fromkeys(["errors", "format", "interrupt", "pareto"], 0),
    **dict.fromkeys(["files", "spec"], 1),
    "families": 2,
    "space": 3,
    "model": 4,
    **dict.fromkeys(["cost", "training"], 5),
    "device": 6,
    **dict.fromkeys(["latency", "proxy", "pruning", "figures"], 7),
    **dict.fromkeys(["analysis", "study"], 8),
    "reports": 9,
    "artifacts": 10,
    "api": 11,
    "cli": 12,
}

GATES = {
    "optuna": {"study/engine.py"},
    "torch_pruning": {"pruning/graph.py"},
    "fvcore": {"cost/crosscheck.py"},
    "pynvml": {"device/nvml.py"},
    "timm": {"model/timm_gate.py"},
    "onnxruntime": {"device/backends/ort.py"},
    "openvino": {"device/backends/openvino.py"},
    "moocore": {"pareto.py"},
    "matplotlib": {"figures/"},
    "plotly": {"reports/"},
    "pandas": {"analysis/", "reports/", "artifacts/", "api/"},
}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Absolute dotted names of everything that `path` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(room: str, names: Iterator[str]) -> list[str]:
    bad = []
    for name in names:
        parts = name.split(".")
        if parts[0] != "archlab" or len(parts) < 2 or parts[1] == room or parts[1] not in FLOORS:
            continue
        if FLOORS[parts[1]] >= FLOORS[room]:
            bad.append(name)
    return bad


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_go_downstairs(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in FLOORS, f"{room} stands on no floor"
    assert not violations(room, imported(path))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_third_party_has_one_gate(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    for name in imported(path):
        gates = GATES.get(name.split(".")[0], {where})
        assert any(where == g or (g.endswith("/") and where.startswith(g)) for g in gates), f"{where} imports {name}"


def test_the_guard_can_fail() -> None:
    assert violations("model", iter(["archlab.study.engine"])) == ["archlab.study.engine"]
    assert violations("latency", iter(["archlab.proxy.synflow"])) == ["archlab.proxy.synflow"]
    assert violations("study", iter(["archlab.study.plan", "archlab.space", "torch"])) == []
