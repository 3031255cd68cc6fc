"""Where a store is: a file, or a database by its URL, whose password is never shown.

Said by ``--storage``, ``REGNETLAB_STORAGE`` or ``storage`` in a study's [run], in this order; the last one
may only name a file.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from regnetlab.errors import InputError

VARIABLE = "REGNETLAB_STORAGE"
_SERVERS = ("postgresql", "postgres", "postgresql+psycopg")
_FORMS = "a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_SECRET = re.compile(
    r"(?<=://)([^/@:\s]*):[^@\s]*@|((?:password|passfile|sslpassword)=)[^&\s]*", re.IGNORECASE
)
_HIDDEN = re.compile(
    r"(?:^|[\s;&?])(?:password|passwd|passphrase|pwd)\s*=|^(?:\w+:/{0,2}|\w*//)?[^/\\]*:[^/\\]*@",
    re.IGNORECASE,
)
"""Of what is no URL: how it may begin, or hold, a password."""
_PASSWORDS = ("password", "sslpassword", "passfile")
_SHORTEST = 4
"""Characters of a password that is looked for in other texts: a shorter one stands in many words."""
_known: set[str] = set()  # passwords of URLs that were read, as written and as meant


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
    check_no_secret(text)
    kind, separator, rest = text.partition(":")
    kind = kind.lower()
    if kind == "journal" and separator:
        raise InputError(
            f"storage {text!r}: a journal file is no store any more",
            f"copy it once: regnetlab store copy {text} FILE.db (on a shared folder, see docs/cluster.md)",
        )
    if kind == "sqlite" and rest.startswith("///") and len(rest) > 3:
        return _file(rest[3:], folder)
    if kind in _SERVERS and not rest.startswith("//") and separator:
        raise InputError(f"storage {kind}:… is no URL", f"it is {_FORMS}")
    if kind in _SERVERS and rest.startswith("//"):
        return Database(readable_url(f"postgresql:{rest}"), study)
    if "://" in text or not text.strip() or (separator and kind == "sqlite"):
        shown = f"{kind[:20]}://…" if "://" in text else text  # what follows may be a password
        raise InputError(f"storage {shown!r} is not known", f"it is {_FORMS}")
    return _file(text, folder)


def check_no_secret(text: str) -> None:
    """Raise ``InputError``, which quotes nothing, for what is no URL and may hold a password all the same."""
    if "://" not in text and _HIDDEN.search(text):
        raise InputError("this place of a store seems to hold a password, and is no URL", f"it is {_FORMS}")


def readable_url(text: str) -> str:
    """This URL, whose password no message shows from now on.

    Raises:
        InputError: It is not clear where in it a password begins and ends; nothing of it is quoted.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
        after = "" if url.drivername.startswith("sqlite") else f"{url.host}{url.database}"
        unclear = "@" in after or (bool(after) and (not text.isprintable() or " " in text))
        unclear |= any("=" not in part for part in text.partition("?")[2].split("&") if "?" in text)
        unclear |= any("pass" in name.lower() and name not in _PASSWORDS for name in url.query)
    except (ArgumentError, ValueError):
        unclear = True
    if unclear:
        raise InputError(
            "the storage's URL can't be read",
            "in a password, write @ as %40, / as %2F, : as %3A, % as %25, white space as %20",
        )
    secrets = [url.password, *(url.query.get(name) for name in _PASSWORDS)]
    for secret in secrets:
        if isinstance(secret, str) and len(secret) >= _SHORTEST:
            _known.update({secret, quote(secret, safe=""), quote_plus(secret)})
    return text


def from_here(text: str) -> str:
    """A storage given on the command line or in the environment: files are relative to where we are."""
    found = location_of(text, Path.cwd(), "")
    return text if isinstance(found, Database) else str(found)


def from_environment() -> str | None:
    """What ``REGNETLAB_STORAGE`` says."""
    given = os.environ.get(VARIABLE)
    return from_here(given) if given else None


def check_no_server(text: str | None) -> None:
    """Raise ``InputError`` for a database in a study file, which someone else may have written.

    It would be sent the user's password, and what it answers would count as trained.
    """
    if text is not None and isinstance(location_of(text, Path(), ""), Database):
        raise InputError(
            "run: storage in a study file can't be a database's URL, whose server could be anybody's",
            f"say it where you run it: --storage URL, or {VARIABLE}",
        )


def mask(text: str) -> str:
    """The text without passwords: those of its URLs, and of all URLs that were read."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SECRET.sub(lambda found: f"{found[2]}***" if found[2] else f"{found[1]}:***@", text)


def _file(text: str, folder: Path) -> Path:
    if not text.isprintable():
        raise InputError(f"storage {text!r} has characters that no name should have", f"it is {_FORMS}")
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # of a user who is not known here
        path = Path(text)
    return path if path.is_absolute() else folder / path
