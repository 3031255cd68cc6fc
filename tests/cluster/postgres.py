"""A PostgreSQL server of one's own on the loopback interface, with a password, gone after the test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.study.processes import children_of, free_port

PASSWORD = "Zx9secretQ7"
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []


def missing() -> str | None:
    """Why there can be no server here."""
    if not _FOLDERS:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0 and "postgres" not in {each.pw_name for each in pwd.getpwall()}:
        return "there is no user postgres to run the server as"
    return None


class Server:
    """A server in its own folder; may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._user = "postgres" if os.geteuid() == 0 else None
        (folder / "password").write_text(PASSWORD)
        if self._user:
            for each in (folder, folder / "password"):
                shutil.chown(each, self._user)
        self._command(
            "initdb",
            "-D",
            f"{folder}/data",
            "-U",
            "me",
            "--auth=scram-sha-256",
            f"--pwfile={folder}/password",
        )
        self.start()
        self._command("psql", self.url.replace("/lab", "/postgres"), "-c", "create database lab")

    @property
    def url(self) -> str:
        return f"postgresql://me:{PASSWORD}@127.0.0.1:{self.port}/lab"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder}"
        words = ("-w", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", options)
        for _ in range(20):  # right after a kill the old server's children may still hold its memory
            with suppress(subprocess.CalledProcessError):
                self._command("pg_ctl", *words, "start")
                return
            time.sleep(0.5)
        raise AssertionError((self.folder / "log").read_text()[-2_000:])

    def kill(self) -> None:
        """kill -9 of the postmaster and everything below it."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        for each in (pid, *children_of(pid)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        time.sleep(0.2)

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self._command("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "stop")

    def _command(self, name: str, *words: str) -> None:
        subprocess.run(
            [str(_FOLDERS[-1] / name), *words],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self.folder,
        )


@contextmanager
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="regnetlab-pg-"))
    made: Server | None = None
    try:
        made = Server(folder)
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)
