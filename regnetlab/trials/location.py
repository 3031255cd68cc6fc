"""Where a store is: a file, or a database by its URL, whose password is never shown.

Said by ``--storage``, ``REGNETLAB_STORAGE`` or ``storage`` in a study's [run], in this order.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from regnetlab.errors import InputError

VARIABLE = "REGNETLAB_STORAGE"
_FORMS = "a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_SECRET = re.compile(
    r"(?<=://)([^/@:\s]*):[^@\s]*@|((?:password|passfile|sslpassword)=)[^&\s]*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL database by its URL; a study in it has the name of its folder."""

    url: str = field(repr=False)
    study: str

    def exists(self) -> bool:
        """Whether the database answers and has this study."""
        from regnetlab.trials.store import has_study

        return has_study(self)

    def __str__(self) -> str:
        return mask(self.url)


Location = Path | Database


def location_of(text: str | None, folder: Path, study: str) -> Location:
    """What ``text`` means for a study in ``folder``, whose files relative paths are relative to."""
    if text is None:
        return folder / "study.db"
    kind, separator, rest = text.partition(":")
    kind = kind.lower()
    if kind == "journal" and separator:
        raise InputError(
            f"storage {text!r}: a journal file is no store any more",
            f"copy it once: regnetlab store copy {text} FILE.db (on a shared folder, see docs/cluster.md)",
        )
    if kind == "sqlite" and rest.startswith("///") and len(rest) > 3:
        return _file(rest[3:], folder)
    if kind in ("postgresql", "postgres", "postgresql+psycopg") and rest.startswith("//"):
        return Database(f"postgresql:{rest}", study)
    if "://" in text or not text.strip() or (separator and kind == "sqlite"):
        raise InputError(f"storage {mask(text)!r} is not known", f"it is {_FORMS}")
    return _file(text, folder)


def from_here(text: str) -> str:
    """A storage given on the command line or in the environment: files are relative to where we are."""
    found = location_of(text, Path.cwd(), "")
    return text if isinstance(found, Database) else str(found)


def from_environment() -> str | None:
    """What ``REGNETLAB_STORAGE`` says."""
    given = os.environ.get(VARIABLE)
    return from_here(given) if given else None


def check_no_password(text: str | None) -> None:
    """Raise ``InputError`` for a password in a study file, which others get to read."""
    if text and mask(text) != text:
        raise InputError(
            f"storage {mask(text)!r} has a password in a file that is shared",
            f"leave it out there, and give it by PGPASSWORD, ~/.pgpass or the whole URL by {VARIABLE}",
        )


def mask(text: str) -> str:
    """The text without its passwords."""
    return _SECRET.sub(lambda found: f"{found[2]}***" if found[2] else f"{found[1]}:***@", text)


def _file(text: str, folder: Path) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # of a user who is not known here
        path = Path(text)
    return path if path.is_absolute() else folder / path
