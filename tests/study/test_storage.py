from pathlib import Path

import pytest

from archlab.study.storage import sqlite_path, without_password


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///all.db", Path("all.db")),
        ("sqlite:////tmp/all.db", Path("/tmp/all.db")),
        ("sqlite+pysqlite:////tmp/all.db?timeout=9", Path("/tmp/all.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg://lab@127.0.0.1:5432/optuna", None),
        ("no url at all", None),
        ("sqlite", None),
    ],
)
def test_the_file_of_a_url(url: str, path: Path | None) -> None:
    assert sqlite_path(url) == path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--storage=postgresql://lab:s3cret@127.0.0.1/o", "--storage=postgresql://lab:***@127.0.0.1/o"),
        ("mysql://lab:s3/cr@et@db:3306/o tail", "mysql://lab:***@db:3306/o tail"),
        ("postgresql://:s3cret@db/o", "postgresql://:***@db/o"),
        ("postgresql://db/o?user=lab&password=s3cret&x=1", "postgresql://db/o?user=lab&password=***&x=1"),
        ("connection to host=db password=s3cret failed", "connection to host=db password=*** failed"),
    ],
)
def test_a_password_is_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


@pytest.mark.parametrize(
    "plain",
    [
        *("sqlite:////a/b:c@d.db", "journal:x.log", "postgresql://127.0.0.1:5432/optuna"),
        *("postgresql://db:5432/o?options=a@b", "postgresql://lab@127.0.0.1:5432/optuna"),
    ],
)
def test_what_has_no_password_stays(plain: str) -> None:
    assert without_password(plain) == plain
