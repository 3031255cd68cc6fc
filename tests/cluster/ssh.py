"""An SSH server of one's own on the loopback interface, with keys made for it, gone after the test."""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.study.processes import ROOT, background, free_port, listens, wait_for

_SERVER = Path("/usr/sbin/sshd")


def missing() -> str | None:
    """Why there can be no server here."""
    if not _SERVER.exists() or shutil.which("ssh-keygen") is None:
        return "OpenSSH's server is not installed (apt-get install openssh-server)"
    return None


@contextmanager
def server() -> Iterator[str]:
    """The ``connect_options`` by which the server lets us in, as TOML."""
    with tempfile.TemporaryDirectory(prefix="regnetlab-ssh-") as made:
        folder, port = Path(made), free_port()
        for name in ("host", "user"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(words, check=True, capture_output=True)
        shutil.copy(folder / "user.pub", folder / "authorized")
        host_key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        (folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nStrictModes no\n"
            f"PermitRootLogin prohibit-password\nSetEnv PYTHONPATH={ROOT}\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where the server gives its rights away
        with background(str(_SERVER), "-D", "-e", "-f", str(folder / "config")):
            wait_for(partial(listens, port), 20)
            yield (
                f'{{ port = {port}, username = "{getpass.getuser()}", known_hosts = "{folder}/known",'
                f' client_keys = ["{folder}/user"] }}'
            )
