"""A small space, a plan for it, and made-up services; the same code runs as a program of its own (`searcher.py`)."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archlab.study.plan import StudyPlan

SEARCHER = Path(__file__).with_name("searcher.py")
ROOT = Path(__file__).parents[2]
SPACE = """
family: convnext
axes:
  - {name: resolution, choices: [32, 64]}
  - {name: width, choices: [8, 16, 24, 32]}
  - {name: ratio, choices: ["1-1-1-1", "1-1-3-1"]}
  - {name: kernel_0, choices: [3, 5, 7]}
"""


@pytest.fixture(scope="session")
def searcher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("searcher", SEARCHER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def services(searcher: ModuleType) -> Any:
    return searcher.Services()


@pytest.fixture
def space_file(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SPACE)
    return str(path)


@pytest.fixture
def make_plan(space_file: str) -> Callable[..., StudyPlan]:
    def make(**changes: Any) -> StudyPlan:
        return StudyPlan(**{"budget_ms": 10.0, "device": "orin", "space": space_file, "trials": 12, **changes})

    return make


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start the searcher as a process; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def go(*words: object) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        process = subprocess.Popen(
            [sys.executable, str(SEARCHER), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        running.append(process)
        return process

    yield go
    for process in running:
        process.kill()
        process.communicate()
