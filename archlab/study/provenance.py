"""Where a result comes from: command, versions, commit, device, for ``run.json``."""

import importlib.metadata
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import archlab
from archlab.study.plan import StudyPlan
from archlab.study.storage import without_password

__all__ = ["commit", "provenance", "versions"]

_PACKAGES = ("torch", "optuna", "numpy", "scipy", "onnx", "onnxscript", "onnxruntime", "moocore")


def provenance(plan: StudyPlan, argv: Sequence[str], described: Mapping[str, Any], started: str) -> dict[str, Any]:
    """Everything in ``run.json`` that is known before the search.

    Args:
        plan: What was asked.
        argv: The command line; empty for a call from Python.
        described: Device, fingerprint, protocol and score, as the evaluator describes them.
        started: When the study was begun, ISO 8601.
    """
    return {
        "argv": [without_password(word) for word in argv],
        "version": archlab.__version__,
        "git": commit(Path(archlab.__file__).parent),
        "versions": versions(_PACKAGES),
        "seed": plan.seed,
        "plan": plan.to_dict(),
        "started": started,
        **described,
    }


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Installed version per package, None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def commit(folder: Path) -> dict[str, Any] | None:
    """Commit of the working tree that `folder` belongs to, and whether it was changed; None where git tracks it not."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or not _git(folder, "ls-files", "."):
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"hash": head, "dirty": bool(changes)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
