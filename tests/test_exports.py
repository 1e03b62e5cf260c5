"""Every module says what it offers: `__all__` is there, sorted, and holds nothing that does not exist."""

import ast
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "archlab"
SENT = PACKAGE / "device" / "board" / "agent.py"
"""Runs on boards and is imported by nobody: it offers nothing."""

MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != SENT)


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def declared(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(getattr(importlib.import_module(dotted(path)), "__all__"))  # noqa: B009 - plain to read
    return None


def in_order(names: list[str]) -> list[str]:
    """Sorted as ruff sorts `__all__`: CONSTANTS, then Classes, then everything else."""

    def rank(name: str) -> int:
        return 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2

    return sorted(names, key=lambda name: (rank(name), name))


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_all_is_sorted_and_complete(path: Path) -> None:
    names = declared(path)
    body = ast.parse(path.read_text()).body
    public = {
        n.name
        for n in body
        if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_") and n.name != "run"
    }
    if names is None:
        assert not public, f"{path.name} has public names but no __all__"
        return
    assert names == in_order(names)
    assert len(names) == len(set(names))
    module = importlib.import_module(dotted(path))
    assert all(hasattr(module, name) for name in names)


def test_the_package_offers_what_it_lists() -> None:
    import archlab

    assert archlab.__all__ == in_order(archlab.__all__)
    assert dir(archlab) == archlab.__all__
    for name in archlab.__all__:
        assert getattr(archlab, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        archlab.__getattr__("nothing_like_it")
