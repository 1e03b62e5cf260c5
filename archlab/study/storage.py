"""What a storage URL says: the file it names, and how to show it without its password."""

import re
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

__all__ = ["sqlite_path", "without_password"]

_USERINFO = re.compile(r"(://[^:/@\s]*):(?!\d+/)\S*@")
_FIELD = re.compile(r"(\bpassword=)[^&\s]+")


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL, which opening would create; None for other URLs and for a database in memory."""
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        return None
    is_file = found.get_backend_name() == "sqlite" and found.database not in (None, "", ":memory:")
    return Path(str(found.database)) if is_file else None


def without_password(text: str) -> str:
    """Replace the password of a storage URL by asterisks, wherever in `text` it stands, odd signs in it included."""
    return _FIELD.sub(r"\1***", _USERINFO.sub(r"\1:***@", text))
