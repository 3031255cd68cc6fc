"""Compiling ``kernels.c`` for this machine: once, kept in the user's cache, found again by a hash.

The compiler is ``CC`` or the first of cc, gcc and clang. Without one there are no kernels.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
_SECONDS = 120


@cache
def library(lanes: int) -> ctypes.CDLL | None:
    """The kernels for ``lanes`` images side by side, or ``None`` where they can't be had."""
    compiler = find_compiler()
    if compiler is None:
        return None
    source = files(__package__).joinpath("kernels.c").read_bytes()
    try:
        version = subprocess.run([compiler, "--version"], capture_output=True, timeout=_SECONDS, check=True)
        facts = (source, version.stdout, repr((_FLAGS, lanes)).encode(), _processor())
        name = f"kernels-{hashlib.sha256(b'|'.join(facts)).hexdigest()[:24]}.so"
        folder = _cache_folder()
        if folder is None:
            with tempfile.TemporaryDirectory() as temporary:
                return _load(_compiled(compiler, source, lanes, Path(temporary) / name))
        if not (folder / name).exists():
            _compiled(compiler, source, lanes, folder / name)
        return _load(folder / name)
    except (OSError, subprocess.SubprocessError):
        return None


def find_compiler() -> str | None:
    """The path of a C compiler."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        if found := shutil.which(name):
            return found
    return None


def _compiled(compiler: str, source: bytes, lanes: int, path: Path) -> Path:
    """Compile beside the target and move it there: another process sees all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        (Path(temporary) / "kernels.c").write_bytes(source)
        made = Path(temporary) / "kernels.so"
        command = [compiler, *_FLAGS, f"-DLANES={lanes}", "-o", str(made), f"{temporary}/kernels.c", "-lm"]
        subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
        made.replace(path)
    return path


def _load(path: Path) -> ctypes.CDLL:
    kernels = ctypes.CDLL(str(path))
    pointer, number = ctypes.c_void_p, ctypes.c_int
    kernels.net_new.argtypes = [pointer, ctypes.c_int64, ctypes.c_float]
    kernels.net_new.restype = pointer
    kernels.net_free.argtypes = [pointer]
    kernels.net_free.restype = None
    kernels.net_forward.argtypes = [pointer, pointer, pointer, number, pointer, pointer]
    kernels.net_forward.restype = None
    kernels.net_evaluate.argtypes = [pointer, pointer, pointer, pointer, number, pointer]
    kernels.net_evaluate.restype = None
    kernels.net_backward.argtypes = [pointer, pointer, pointer, pointer, number]
    kernels.net_backward.restype = None
    return kernels


def _cache_folder() -> Path | None:
    """A folder that only this user can write to; ``None`` where there can't be one."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "regnetlab"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
        ours = facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return folder if ours and os.access(folder, os.W_OK) else None
    except (OSError, RuntimeError):
        return None


def _processor() -> bytes:
    """What the machine code depends on: the processor's model and abilities."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {line.partition(":")[0].strip(): line for line in reversed(lines)}
    kept = [told[each] for each in ("model name", "flags", "Features") if each in told]
    return "|".join((platform.machine(), platform.processor(), *kept)).encode()
