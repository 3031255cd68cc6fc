"""A new space of a study, written into its file: a space that is there, and constraints that narrow it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regnetlab.errors import InputError
from regnetlab.files import read_foreign, write_atomically
from regnetlab.spaces.custom import custom_space
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import DesignSpace
from regnetlab.study.plan import Draw, Plan
from regnetlab.study.plan_file import parse_plan
from regnetlab.study.tomlfile import read_text, write_pairs, write_value


@dataclass(frozen=True, slots=True)
class ChildSpace:
    """n networks of a space that the study's file does not have yet.

    ``shared`` of them are among those of the parent too, whose errors are known before.
    """

    space: DesignSpace
    n: int
    shared: int


def parent_of(plan: Plan, parent: str, name: str) -> Draw:
    """The space of the study to narrow; raises ``InputError`` unless it is one and the name is free."""
    draws = {draw.space.name: draw for draw in plan.draws}
    if name in draws:
        raise InputError(f"study {plan.name} has a space {name!r} already", "choose another name")
    if parent not in draws:
        raise InputError(
            f"space {parent!r} is not in the file of study {plan.name}", f"narrow one of {', '.join(draws)}"
        )
    custom_space(name, parent, ["depth > 0"], {parent: draws[parent].space})  # whether the name can be used
    return draws[parent]


def child_space(plan: Plan, parent: Draw, name: str, constraints: Sequence[str], n: int | None) -> ChildSpace:
    """The space with these constraints, as ``run`` will draw it.

    Raises ``InputError`` where there are not n such networks in the study's regime.
    """
    space = custom_space(name, parent.space.name, constraints, {parent.space.name: parent.space})
    count = parent.n if n is None else n
    try:
        drawn = sample(space, count, plan.template, plan.regime, plan.seed)
    except InputError as error:
        raise InputError(error.what, "ask for fewer with --n; nothing is written") from None
    own = sample(parent.space, parent.n, plan.template, plan.regime, plan.seed)
    known = set(own.population.configs())
    return ChildSpace(space, count, sum(config in known for config in drawn.population.configs()))


def add_space(path: Path, child: ChildSpace, comment: str) -> None:
    """Append the space to a study file, of which nothing else changes.

    Raises ``InputError``, with the file as it was, where it can't be written or would be no study file then.
    """
    path = path.resolve()
    mode = path.stat().st_mode
    if not (mode & 0o222 and os.access(path, os.W_OK)):
        raise InputError(f"{path} can't be written: it is read-only", "make it writable; nothing is written")
    text, there = read_text(path), read_foreign(path, 2**20)
    newline = "\r\n" if b"\r\n" in there else "\n"
    more = ("\n" if text.endswith("\n") else "\n\n") + _block(child, comment)
    try:
        parse_plan(text + more, path)
    except InputError as error:
        hint = f"its spaces must be tables under [[spaces]], for one more to stand at its end ({error.what})"
        raise InputError(f"{path}: a space can't be added", hint) from None
    write_atomically(path, there + more.replace("\n", newline).encode())
    path.chmod(mode)


def _block(child: ChildSpace, comment: str) -> str:
    space = child.space
    lines = [
        f"# {comment}",
        "[[spaces]]",
        *write_pairs({"space": space.name, "parent": space.parent, "n": child.n}),
        "constraints = [",
        *(f"    {write_value(each.meaning)}," for each in space.custom),
        "]",
    ]
    return "\n".join(lines) + "\n"
