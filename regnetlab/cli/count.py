"""``regnetlab count``."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any

import typer

from regnetlab.cli.output import Json, print_json, print_table
from regnetlab.errors import InputError


def count(
    layers: Annotated[
        list[str],
        typer.Argument(
            metavar="LAYERS",
            help="Chains to compare, each in quotes, with + between layers: conv KxK A->B \\[groups=G]"
            " \\[stride=S] \\[padding=P] \\[bias], pool KxK, pool global, fc A->B; a letter is any number.",
        ),
    ],
    input: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of the map that the layers take.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare chains of layers: parameters, multiply-adds a pixel, receptive fields."""
    from regnetlab.models.layer_chain import parse_chain  # torch

    size = None if input is None else _size(input)
    chains = [parse_chain(text) for text in layers]
    rows: list[dict[str, Any]] = []
    for chain in chains:
        found = chain.counts(size)
        rows.append(
            {
                "layers": chain.text,
                "params": _value(found.params, chain.letter),
                "flops_per_pixel": _value(found.flops_per_pixel, chain.letter),
                "flops": _value(found.flops, chain.letter),
                "receptive_field": found.receptive_field,
                "output": found.output,
            }
        )
    if json:
        print_json({"input": input, "chains": rows})
        return
    names = [name for name in ("flops_per_pixel", "flops") if any(row[name] is not None for row in rows)]
    titles = {"flops_per_pixel": "flops a pixel", "flops": "flops an input"}
    print_table(
        ("layers", "params", *(titles[name] for name in names), "field"),
        [
            (
                row["layers"],
                *(_shown(row[name]) for name in ("params", *names)),
                _shown(row["receptive_field"]),
            )
            for row in rows
        ],
        "l" + "r" * (len(names) + 2),
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text, re.ASCII)
    if match is None or not all(1 <= int(side) <= 65_536 for side in match.groups()):
        raise InputError(f"input {text!r} is not HxW", "write it as in 56x56")
    return int(match[1]), int(match[2])


def _value(coefficients: Sequence[Fraction] | None, letter: str) -> int | float | str | None:
    """A number, or a polynomial as text: 25c², 9c² + c."""
    if coefficients is None:
        return None
    if not letter:
        return _plain(coefficients[-1])
    powers = (f"{letter}²", letter, "")
    terms = [
        f"{'' if factor == 1 and power else _shown(_plain(factor))}{power}"
        for factor, power in zip(coefficients, powers, strict=True)
        if factor
    ]
    return " + ".join(terms) or 0


def _plain(number: Fraction) -> int | float:
    return number.numerator if number.denominator == 1 else float(number)


def _shown(value: int | float | str | None) -> str:
    return "–" if value is None else value if isinstance(value, str) else f"{value:,}"
