"""Starting child processes: what they import, what they see of the environment, where they stand.

A current folder may have come from elsewhere, with a ``struct.py`` or a ``regnetlab`` in it. Children import
from where this process does, and from the current folder only where this package itself lies there.
"""

import os
import sys
from pathlib import Path

_PASSED = {
    *("CC", "HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "TZ"),
    *("USER", "VIRTUAL_ENV"),
}
_PASSED_PREFIXES = (
    # where things are
    *("LC_", "LD_", "DYLD_", "XDG_", "SSL_", "CURL_CA_", "REQUESTS_CA_"),
    # what computes, and how
    *("CUBLAS_", "CUDA", "CUDNN_", "DNNL_", "GOMP_", "HIP_", "HSA_", "KMP_", "MALLOC_", "MIOPEN_", "MKL_"),
    *(
        "NCCL_",
        "NUMEXPR_",
        "NVIDIA_",
        "OMP_",
        "ONEDNN_",
        "OPENBLAS_",
        "PYTORCH_",
        "ROCR_",
        "TORCH",
        "TRITON_",
    ),
    # this package's own, and Python's
    *("REGNETLAB_", "PYTHON", "COVERAGE_"),
)
SECRETS = ("REGNETLAB_STORAGE", "PGPASSWORD", "PGPASSFILE")
"""Variables that hold a database's password, or lead to it; no child needs them."""
_NOT_PASSED = frozenset((*SECRETS, "PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONINSPECT"))


def python(module: str, *arguments: str) -> list[str]:
    """The words that start this module in a Python of its own, with nothing of the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """What a child gets to see: what computation needs, and no secret such as a database's password.

    Proxies are passed for downloads, which may happen in a child.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if (name in _PASSED or name.startswith(_PASSED_PREFIXES) or name.lower().endswith("_proxy"))
        and name not in _NOT_PASSED
    }
    return passed | {"PYTHONPATH": os.pathsep.join(import_places())} | more


def import_places() -> list[str]:
    """``sys.path`` in absolute paths, without the current folder unless this package lies there."""
    here, own = Path.cwd(), Path(__file__).parents[1]
    places = dict.fromkeys(Path(each).absolute() for each in sys.path if each)
    return [str(each) for each in places if each != here or each.resolve() == own.resolve()]
