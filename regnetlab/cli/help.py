"""How help looks: an example and a page of the docs below each command, and nothing that says little."""

from inspect import cleandoc
from typing import Any

from typer.core import TyperCommand, TyperGroup

_FAR = 1_000_000  # from here on a limit is one that nobody comes near


def ending(example: str, page: str) -> str:
    """What stands below a command's help: an example, and the page that explains it."""
    return f"Example: regnetlab {example}\nExplained in {page}"


class Command(TyperCommand):
    """A command whose help shows no types of flags, and no limits that nobody comes near."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        paragraphs = cleandoc(self.help or "").split("\n\n")
        self.help = "\n\n".join(
            " ".join(each.split()) for each in paragraphs
        )  # lines as wide as there is room

    def get_params(self, ctx: Any) -> list[Any]:
        return _plainer(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands, with such a help."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plainer(super().get_params(ctx))


def _plainer(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
        elif (getattr(each, "max", None) or 0) >= _FAR:
            each.metavar = each.metavar or "<int>"
            vars(each)["_get_number_range_help_str"] = lambda: ""
    return parameters
