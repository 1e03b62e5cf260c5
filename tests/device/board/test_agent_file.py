"""The agent as a file: what a board with nothing but an old Python can run."""

import ast
import sys
from pathlib import Path

from archlab.device.board import link

SOURCE = Path(link.__file__).with_name("agent.py").read_text()


def test_it_is_python_3_6() -> None:
    ast.parse(SOURCE, feature_version=(3, 6))
    ast.parse(link.LOADER, feature_version=(3, 6))


def test_it_imports_the_standard_library_only() -> None:
    names = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    assert names <= set(sys.stdlib_module_names)
    assert "pickle" not in names


def test_it_starts_no_shell() -> None:
    calls = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Call)]
    assert not [call for call in calls for word in call.keywords if word.arg == "shell"]
    named = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    assert not named & {"system", "popen", "getoutput", "getstatusoutput", "eval"}


def test_the_loader_has_no_sign_that_a_shell_could_end_its_quotes_with() -> None:
    assert "'" not in link.LOADER
