"""`import archlab` and every `--help` are light: they load no torch, optuna, pandas, matplotlib or plotly."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "optuna", "pandas", "matplotlib", "plotly", "onnx", "onnxruntime", "scipy", "sklearn")

CHECK = (
    "import sys; loaded = [m for m in {heavy!r} if m in sys.modules]; sys.exit(f'loaded {{loaded}}' if loaded else 0)"
)

HELP = """
import contextlib, io, sys
from archlab.cli import main
with contextlib.redirect_stdout(io.StringIO()) as text:
    try:
        main({argv!r})
    except SystemExit as stop:
        assert stop.code == 0, stop.code
assert "Usage" in text.getvalue(), text.getvalue()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    script = code + "\n" + CHECK.format(heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "import archlab",
        HELP.format(argv=["--help"]),
        HELP.format(argv=["search", "--help"]),
        HELP.format(argv=["space", "show", "--help"]),
    ],
    ids=["import", "help", "search-help", "space-help"],
)
def test_is_light(code: str) -> None:
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_the_check_can_fail() -> None:
    assert "loaded ['torch']" in run("import types, sys; sys.modules['torch'] = types.ModuleType('torch')").stderr
