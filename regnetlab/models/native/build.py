"""Compiling ``kernels.c`` for this machine: once, kept in the user's cache, found again by a hash.

The compiler is ``CC`` or the first of cc, gcc and clang. Without one there are no kernels. A file in the
cache has the digest of its content in its name, so one that was damaged since is compiled again.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from regnetlab.children import environment
from regnetlab.errors import InputError
from regnetlab.files import write_atomically

LANES = (64, 32, 16)
"""How many images the kernels can keep side by side; a batch is a multiple of one of these."""

_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
_SECONDS = 120
_FUNCTIONS = ("net_new", "net_free", "net_forward", "net_evaluate", "net_backward", "cross_entropy")
_TRIAL = "import ctypes, sys; kernels = ctypes.CDLL(sys.argv[1]); [getattr(kernels, n) for n in sys.argv[2:]]"


@cache
def libraries() -> Mapping[int, ctypes.CDLL]:
    """The kernels by how many images they keep side by side; empty where one of them can't be had.

    All or none: else a network's batch size would decide what trains it.
    """
    compiler = find_compiler()
    if compiler is None:
        return {}
    source, folder = files(__package__).joinpath("kernels.c").read_bytes(), _cache_folder()
    try:
        version = subprocess.run(
            [compiler, "--version"], capture_output=True, timeout=_SECONDS, check=True, env=environment()
        )
        names = {
            lanes: hashlib.sha256(
                b"|".join((source, version.stdout, repr((_FLAGS, lanes)).encode(), _processor()))
            ).hexdigest()[:24]
            for lanes in LANES
        }
        found = (
            {} if folder is None else {each: path for each in LANES if (path := _kept(folder, names[each]))}
        )
        loaded = {lanes: _load(path) for lanes, path in found.items()}
        missing = [each for each in LANES if each not in found]
        if not missing:
            return loaded
        with tempfile.TemporaryDirectory(prefix="regnetlab-") as temporary:
            made = _compiled(compiler, source, missing, Path(temporary))
            for lanes, path in made.items():
                loaded[lanes] = _load(path)
                if folder is not None:
                    content = path.read_bytes()
                    with suppress(InputError):  # a full disk: the next process compiles again
                        write_atomically(folder / f"kernels-{names[lanes]}-{_digest(content)}.so", content)
        return loaded
    except (OSError, AttributeError, subprocess.SubprocessError):
        return {}


def find_compiler() -> str | None:
    """The path of a C compiler."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        if found := shutil.which(name):
            return found
    return None


def _kept(folder: Path, name: str) -> Path | None:
    """The library of this name in the cache, if its content is what it was."""
    for path in sorted(folder.glob(f"kernels-{name}-*.so")):
        with suppress(OSError):
            if path.stem.rpartition("-")[2] == _digest(path.read_bytes()):
                return path
    return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _compiled(compiler: str, source: bytes, lanes: Sequence[int], folder: Path) -> dict[int, Path]:
    """Compile for these lanes in this folder, at once; raises where that makes no library.

    A folder without room is no reason to train with other kernels: an ``InputError`` says so.
    """
    try:
        (folder / "kernels.c").write_bytes(source)
    except OSError as error:
        raise InputError(
            f"kernels can't be compiled in {folder.parent}: {error.strerror}",
            "make room there, name another folder in TMPDIR, or train with --kernels torch",
        ) from None
    made = {each: folder / f"{each}.so" for each in lanes}
    running = [
        subprocess.Popen(
            [compiler, *_FLAGS, f"-DLANES={each}", "-o", str(path), str(folder / "kernels.c"), "-lm"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(),
        )
        for each, path in made.items()
    ]
    try:
        for each in running:
            if each.wait(_SECONDS):
                raise OSError("the compiler failed")
    finally:
        for each in running:
            each.kill()
            each.wait()
    for path in made.values():  # in a process of its own, which a file that is no library may take along
        words = [sys.executable, "-I", "-c", _TRIAL, str(path), *_FUNCTIONS]
        subprocess.run(words, capture_output=True, timeout=_SECONDS, check=True, env=environment())
    return made


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
    kernels.cross_entropy.argtypes = [pointer, pointer, number, number, ctypes.c_float, *3 * [pointer]]
    kernels.cross_entropy.restype = None
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
