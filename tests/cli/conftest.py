"""Run the command line in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlab.cli import main

Result = tuple[int, str, str]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLAB_CACHE", str(tmp_path / "cache.sqlite"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the command line; gives exit status, stdout, stderr."""

    def call(*argv: object) -> Result:
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


@pytest.fixture
def answer(run: Callable[..., Result]) -> Callable[..., Any]:
    """Call the command line with --json; gives the document."""

    def call(*argv: object) -> Any:
        status, out, err = run(*argv, "--json")
        assert status == 0, err
        return json.loads(out)

    return call


@pytest.fixture
def refused(run: Callable[..., Result]) -> Callable[..., str]:
    """Call the command line with something it must refuse; gives the one line it says."""

    def call(*argv: object) -> str:
        status, out, err = run(*argv)
        assert status == 1, (status, out, err)
        lines = [line for line in err.splitlines() if line.startswith("archlab: ")]
        assert len(lines) == 1, err
        assert "Traceback" not in err
        assert lines[0].count("; ") >= 3, lines[0]
        return lines[0]

    return call
