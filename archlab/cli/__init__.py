"""The command line: one file per command, over the Python interface; torch is imported only inside a command's run.

Exit status: 0 done, 1 an error the user can repair (one line on stderr), 2 wrong usage, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from archlab.cli import (
    analyze,
    demo,
    device,
    doctor,
    export,
    measure,
    models,
    profile,
    proxy,
    prune,
    report,
    reproduce,
    search,
    space,
    train,
    worker,
)
from archlab.errors import ArchlabError, four_parts

__all__ = ["app", "main"]

_INTERRUPTED = (
    "interrupted; nothing is half written: run the same command again, a search or a training goes on where it stopped"
)

_USAGE_ERROR: Any = typer.BadParameter.__base__
"""typer's class of all usage errors, which it has no public name for."""

app = typer.Typer(
    name="archlab",
    help="Find, explain and trim efficient vision backbones for a device and a latency budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    models,
    profile,
    measure,
    analyze,
    search,
    report,
    reproduce,
    train,
    prune,
    export,
    worker,
    doctor,
    demo,
):
    command.register(app)
for group in (space, device, proxy):
    group.register(app)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    raise SystemExit(_status(list(sys.argv[1:] if argv is None else argv)))


def _status(argv: list[str]) -> int:
    try:
        code = app(args=argv, standalone_mode=False)
        return _fail(_INTERRUPTED, 130) if code == 130 else code if isinstance(code, int) else 0
    except ArchlabError as error:
        return _fail(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        return _fail(_INTERRUPTED, 130)
    except _USAGE_ERROR as error:
        error.show()
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(_os_line(error), 1)


def _os_line(error: OSError) -> str:
    return four_parts(
        f"a file cannot be read or written: {error.strerror or error}",
        given=error.filename or "no file name",
        allowed="a readable, writable place with free space",
        do="choose another path or free some space",
    )


def _fail(line: str, status: int) -> int:
    sys.stderr.write(f"archlab: {' '.join(line.split())}\n")
    return status
