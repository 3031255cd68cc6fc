"""A Slurm of one's own on the loopback interface: munged, slurmctld and slurmd, gone after the test."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.study.processes import free_port

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "scancel")


def missing() -> str | None:
    """Why there can be no Slurm here."""
    absent = [
        each for each in _PROGRAMS if shutil.which(each, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install slurm-wlm)"
    if os.geteuid() != 0 or "munge" not in {each.pw_name for each in pwd.getpwall()}:
        return "slurmd needs root, and munged its user munge"
    return None


class Slurm:
    """Two cores of this machine as a partition."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.chmod(0o755)
        munge = folder / "munge"
        munge.mkdir(mode=0o755)
        (munge / "key").write_bytes(secrets.token_bytes(1024))
        (munge / "key").chmod(0o400)
        for each in (munge, munge / "key"):
            shutil.chown(each, "munge", "munge")
        paths = {
            "key": "key-file",
            "socket": "socket",
            "pid": "pid-file",
            "log": "log-file",
            "seed": "seed-file",
        }
        options = [f"--{option}={munge / name}" for name, option in paths.items()]
        self._start("munged", "--foreground", "--force", *options, user="munge")
        self._configure(munge / "socket")
        self._start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        self._start("slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", "one")
        end = time.monotonic() + 60
        while "idle" not in self.ask("sinfo", "-h", "-o", "%T"):
            assert time.monotonic() < end, self.logs()
            time.sleep(0.5)

    def ask(self, *words: str) -> str:
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2_000:] for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        self.ask("scancel", "--full", "--user", "root")
        time.sleep(1)
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, *words: str, user: str | None = None) -> None:
        program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        with (self.folder / f"{name}.log").open("w") as log:
            self._processes.append(
                subprocess.Popen(
                    [str(program), *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=user
                )
            )
        time.sleep(1)

    def _configure(self, munge: Path) -> None:
        for each in ("state", "spool"):
            (self.folder / each).mkdir()
        host = socket.gethostname()
        lines = [
            "ClusterName=regnetlab",
            f"SlurmctldHost={host}(127.0.0.1)",
            "AuthType=auth/munge",
            f"AuthInfo=socket={munge}",
            "CredType=cred/munge",
            "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
            f"SlurmctldPort={free_port()}",
            f"SlurmdPort={free_port()}",
            "SlurmUser=root",
            "SlurmdUser=root",
            f"StateSaveLocation={self.folder}/state",
            f"SlurmdSpoolDir={self.folder}/spool",
            f"SlurmctldPidFile={self.folder}/slurmctld.pid",
            f"SlurmdPidFile={self.folder}/slurmd.pid",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "JobAcctGatherType=jobacct_gather/none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU",
            "MailProg=/bin/true",
            "ReturnToService=2",
            "MinJobAge=300",
            "KillWait=5",
            f"NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory=2000",
            "PartitionName=debug Nodes=one Default=YES MaxTime=60 State=UP",
        ]
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n")


@contextmanager
def slurm() -> Iterator[Slurm]:
    folder = Path(tempfile.mkdtemp(prefix="regnetlab-slurm-"))
    made: Slurm | None = None
    try:
        made = Slurm(folder)
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)
