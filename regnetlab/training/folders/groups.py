"""Images that belong together: a regular expression names the group of each by its path.

The expression may stand in a study file from elsewhere, and Python's matching can take for ever over one such
as ``(a+)+b``, or all memory over ``((a?){60000}){60000}``. So it is matched in a process of its own, whose
computing time and memory are limited: ``python -m regnetlab.training.folders.groups SECONDS`` reads
expression and paths from stdin, as JSON, and writes the groups.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence

from regnetlab.children import environment, python
from regnetlab.errors import InputError

_LONGEST = 200
_SECONDS = 10  # of computing; 100,000 paths take less than one
_BYTES = 2**30  # of memory; a million paths take a third
_NO_MEMORY = 3  # exit status
_HINT = r"""write one as Python's re has them, as in group_by = '([^/]+)-\d+\.png$'"""


def check_expression(text: str) -> None:
    """Raise ``InputError`` unless this is a regular expression, and of bearable length."""
    if len(text) > _LONGEST:
        raise InputError(f"group_by has {len(text):,} characters", f"{_LONGEST} are the most")
    if not text.isprintable():
        raise InputError(f"group_by is {text!r}", "write special characters out, as in \\t")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"group_by {text!r} is no regular expression: {error}", _HINT) from None


def groups_of(name: str, expression: str, paths: Sequence[str]) -> Mapping[str, str | None]:
    """The group of each path, ``None`` where the expression finds none; the data's ``name`` is for errors.

    What the expression's first pair of parentheses finds names the group, or all that it finds where it has
    none.

    Raises:
        InputError: It finds no group at all, or takes too much time or memory.
    """
    import signal
    import subprocess

    done = subprocess.run(
        python(__name__, str(_SECONDS)),
        input=json.dumps([expression, list(paths)]).encode(),
        capture_output=True,
        env=environment(),
        check=False,
    )
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL, _NO_MEMORY):
        much = f"{_BYTES / 1e9:.0f} GB" if done.returncode == _NO_MEMORY else f"{_SECONDS} seconds"
        raise InputError(
            f"data {name!r}: matching group_by {expression!r} with {len(paths):,} paths takes over {much}",
            "write it without repetitions inside repetitions, such as (a+)+",
        )
    done.check_returncode()
    found = dict(zip(paths, json.loads(done.stdout), strict=True))
    if not any(each is not None for each in found.values()):
        raise InputError(
            f"data {name!r}: group_by {expression!r} is found in no image's path, such as {paths[0]!r}", _HINT
        )
    return found


def _matched(expression: str, paths: Sequence[str]) -> list[str | None]:
    pattern = re.compile(expression)
    which = min(pattern.groups, 1)
    return [found[which] if (found := pattern.search(path)) else None for path in paths]


def _limit(seconds: int) -> None:
    """Have the system end this process once it has computed for so long, and refuse it more memory."""
    import resource

    # No core is written when it is ended.
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, _BYTES),
    ):
        soft, hard = resource.getrlimit(which)
        known = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(which, (min([most, *known]), hard))


if __name__ == "__main__":
    _limit(int(sys.argv[1]))
    try:
        json.dump(_matched(*json.load(sys.stdin.buffer)), sys.stdout)
    except MemoryError:
        sys.exit(_NO_MEMORY)
