"""``regnetlab sample``."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from regnetlab.cli.completion import among, blocks, spaces, study_names
from regnetlab.cli.output import Json, echo
from regnetlab.errors import InputError
from regnetlab.files import check_output
from regnetlab.plain import plural
from regnetlab.spaces.template import template_named

Range = Annotated[str | None, typer.Option(metavar="LOW:HIGH", help="Range; the paper's by default.")]
Values = Annotated[str | None, typer.Option(metavar="A,B,…", help="Values; the paper's by default.")]
WindowText = Annotated[str | None, typer.Option(metavar="LOW:HIGH", help="Window, as in 300M:400M.")]
TemplateName = Annotated[
    str | None,
    typer.Option(
        help="paper (224 px, the default) or small (28 px).", autocompletion=among("paper", "small")
    ),
]
Input = Annotated[str | None, typer.Option(metavar="CxHxW", help="Another input than the template's.")]
Classes = Annotated[int | None, typer.Option(help="Another number of classes.")]


_SAID_EVERY = 5.0  # seconds between lines on how far a sample is


OfStudy = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="STUDY",
        help="Use the template of this study, and name its networks: derived1, AnyNetC:12.",
        autocompletion=study_names,
    ),
]


def sample(
    space: Annotated[
        str, typer.Option(help="AnyNetA, B, C, D, E or RegNet, or one of --study.", autocompletion=spaces)
    ],
    n: Annotated[int | None, typer.Option(help="How many different networks.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of the draw; 0 by default.")
    ] = None,
    template: TemplateName = None,
    input: Input = None,
    classes: Classes = None,
    flops: WindowText = None,
    params: WindowText = None,
    acts: WindowText = None,
    latency: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Window, as in :2ms, predicted as the study says.")
    ] = None,
    depth: Range = None,
    width: Range = None,
    group_width: Values = None,
    bottleneck_ratio: Values = None,
    block: Annotated[
        str | None,
        typer.Option(help="x, y, r, v, vr, basic, mbconv, convnext, or a package's.", autocompletion=blocks),
    ] = None,
    stages: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Numbers of stages; the template's by default.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A,B,…", help="Values of one of the block's own parameters; repeatable."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONSTRAINT", help=r'Narrow it, as in "w\[i] <= w\[i+1]"; repeatable.'),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Take what is not given here from this study.", autocompletion=study_names),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write .csv, .parquet or .json instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Draw networks from a design space; the same seed gives the same networks, however many."""
    if output is not None:
        check_output(output, (".csv", ".parquet", ".json"))
    # NumPy, which other commands and --help do without
    from regnetlab.cli.drawn import json_pieces, print_sample, write_sample
    from regnetlab.spaces.custom import named_constraint
    from regnetlab.spaces.regime import Regime, parse_window
    from regnetlab.spaces.sampler import sample as draw
    from regnetlab.spaces.space import space_named

    shape, regime = template_named(template or "paper"), Regime()
    if study is None:
        chosen = space_named(space)
    else:
        from regnetlab.study.plan_file import find_study, load_plan  # pydantic

        plan = load_plan(find_study(study))
        own = {draw.space.name: draw.space for draw in plan.draws}
        chosen, regime = (own.get(space) or space_named(space)).within(plan.ranges), plan.regime
        shape = plan.template if template is None else shape
        seed = plan.seed if seed is None else seed
        sizes = {each.space.name: each.n for each in plan.draws}
        n = sizes.get(space) if n is None else n
    if block is not None or stages is not None or parameter:
        if chosen.variant:
            raise InputError(f"space {space} of the study has a block and stages already", "leave them out")
        made = chosen.made_of(block or "x", _own(parameter or ()), _values("stages", stages) or ())
        chosen = made.within(made.ranges)
    if where:
        own_names = [name for name, _ in chosen.own]
        chosen = chosen.child(space, [named_constraint(each, own=own_names) for each in where])
    if n is None:
        raise InputError("--n is missing", "say how many networks, as in --n 64")
    ranges = chosen.ranges.changed(
        depth=_range("depth", depth),
        width=_range("width", width),
        group_width=_values("group-width", group_width),
        bottleneck_ratio=_ratios(bottleneck_ratio),
    )
    texts = {"flops": flops, "params": params, "acts": acts, "latency": latency}
    windows = regime.windows | {k: parse_window(k, v) for k, v in texts.items() if v is not None}
    shape = shape.changed(input, classes)
    regime = Regime(**windows, model=regime.model)
    chosen.check_letters(group_width, bottleneck_ratio)
    found = draw(replace(chosen, ranges=ranges), n, shape, regime, seed or 0, _progress(n))

    facts = {
        "space": chosen.name,
        "seed": seed or 0,
        "n": n,
        "template": shape.name,
        "input": shape.input,
        "classes": shape.classes,
        "drawn": found.drawn,
    }
    if output is not None:
        write_sample(output, facts, found)
        echo(f"wrote {plural(n, 'network')} of {space} to {output}", err=True)
    if json:
        sys.stdout.writelines(json_pieces(facts, found))
    elif output is None:
        print_sample(found)


def _progress(n: int) -> Callable[[int], None]:
    """Says on stderr how far a sample is that takes long."""
    began = said = time.monotonic()

    def tell(found: int) -> None:
        nonlocal said
        now = time.monotonic()
        if found and found < n and now - said > _SAID_EVERY:
            said = now
            left = (now - began) * (n - found) / found
            echo(f"{found:,} of {n:,} networks found, about {left / 60:.1f} min left", err=True)

    return tell


def _range(name: str, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    low, colon, high = text.partition(":")
    if not (colon and low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
        raise InputError(f"--{name} {text!r} is not LOW:HIGH", "write it as in 1:12")
    return int(low[:9]), int(high[:9])


def _values(name: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--{name} {text!r} is not a list of whole numbers", "write it as in 8,16,32")
    return tuple(int(part[:9]) for part in parts)


def _own(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """A block's own parameters and the values to draw them from."""
    found = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name.strip() and equals):
            raise InputError(f"--parameter {text!r} is not NAME=A,B,…", "write it as in k=3,5")
        if name.strip() in found:
            raise InputError(f"--parameter {name.strip()} is given twice", "list its values, as in k=3,5")
        found[name.strip()] = _values(f"parameter {name.strip()}", values) or ()
    return found


def _ratios(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    from regnetlab.spaces.ratio import parse_ratio

    return tuple(map(parse_ratio, text.split(",")))
