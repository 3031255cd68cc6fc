"""``regnetlab bands``."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.options import Errors, From, StudyOrNewest, trials_of
from regnetlab.cli.output import (
    Json,
    count,
    echo,
    filled,
    number,
    print_json,
    print_next,
    print_notes,
    print_table,
)
from regnetlab.errors import InputError
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.analysis.bands import Band, Bands
    from regnetlab.study.child_space import ChildSpace
    from regnetlab.study.plan import Plan


def bands(
    study: StudyOrNewest = None,
    from_: From = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By default the last of several, RegNet and derived ones aside."),
    ] = None,
    as_space: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write the bands into the study's file, as a new space."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000_000, help="Networks of the new space; as many as its parent's by default."
        ),
    ] = None,
    errors: Errors = None,
    json: Json = False,
) -> None:
    """Show where the best networks of a space lie, property by property, and narrow the space to it."""
    if n is not None and as_space is None:
        raise InputError("--n is the number of networks of a new space", "name it with --as-space")
    if as_space is not None and from_:
        raise InputError(
            "--as-space writes into a study's file, and --from FILE has none",
            "make a study of your own: regnetlab new NAME",
        )
    trials, plan = trials_of(study, from_, errors)
    from regnetlab.analysis.bands import bands  # pandas, SciPy

    found = bands(trials, space)
    print_notes(found.notes)
    child = None
    if plan is not None and as_space is not None:
        child = _written(study or plan.name, plan, found, as_space, n)
    if json:
        own: dict[str, Any] = {"study": None if plan is None else plan.name}
        print_json(own | found.to_json() | {"as_space": None if child is None else _document(child)})
        return
    _print_bands(found, space is None)
    if child is not None:
        echo(f"\nwrote space {as_space} into the study's file: {plural(child.n, 'network')} of {found.space}")
        if child.shared:
            echo(filled(_shared(child)))
        print_next(f"{each} {shlex.quote(study or plan.name)}" for each in ("run", "compare") if plan)
    elif plan is not None and found.constraints:
        words = ["bands", study or plan.name, "--space", found.space]
        echo()
        print_next([f"{shlex.join(words)} --as-space NAME"])


def _written(study: str, plan: "Plan", found: "Bands", name: str, n: int | None) -> "ChildSpace":
    """The new space, once it stands in the study's file."""
    from regnetlab.study.child_space import add_space, child_space, parent_of
    from regnetlab.study.plan_file import find_study

    parent = parent_of(plan, found.space, name)
    if not found.constraints:
        raise InputError(
            f"no band of {found.space} is narrower than by chance, so there is nothing to narrow",
            "train more networks, or choose another with --space; nothing is written",
        )
    child = child_space(plan, parent, name, found.constraints, n)
    command = ["regnetlab", "bands", study, "--space", found.space, "--as-space", name]
    comment = f"Where the best of {found.n} networks of {found.space} lie: {shlex.join(command)}"
    add_space(find_study(study), child, comment)
    return child


def _document(child: "ChildSpace") -> dict[str, Any]:
    space = child.space
    constraints = [each.meaning for each in space.custom]
    return {
        "space": space.name,
        "parent": space.parent,
        "n": child.n,
        "shared": child.shared,
        "constraints": constraints,
    }


def _shared(child: "ChildSpace") -> str:
    return (
        f"{child.shared} of them are networks of {child.space.parent} too, from which the bands were read:"
        " their errors are known already and say nothing new"
    )


def _print_bands(found: "Bands", by_default: bool) -> None:
    others = [each for each in found.spaces if each != found.space]
    choose = f" (--space for {', '.join(others)})" if others and by_default else ""
    echo(filled(f"{found.space}, {found.n} networks{choose}"))
    echo()
    rows = (
        (
            each.name,
            _range(each, each.low, each.high),
            _range(each, each.low_all, each.high_all),
            *(f"{100 * share:.0f}%" for share in (each.narrowness.inside, each.narrowness.by_chance)),
            number(each.narrowness.p, 3),
        )
        for each in found.bands
    )
    headers = ("property", "the best", "all", "inside", "by chance", "p")
    print_table(headers, rows, "lrrrrr")
    echo()
    echo(
        filled(
            "inside: the share of all networks that lie where the best do; by chance: the same where errors"
            " are dealt out to the networks at random"
        )
    )
    for sentence in found.remarks():
        echo(filled(sentence))


def _range(each: "Band", low: float, high: float) -> str:
    from regnetlab.spaces.expression import COUNTS

    write = count if each.name in COUNTS else "{:.3g}".format
    return f"{write(low)} … {write(high)}"
