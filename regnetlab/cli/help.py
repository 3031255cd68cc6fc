"""How help looks: an example and a page of the docs below each command, and nothing that says little."""

import shutil
from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

_FAR = 1_000_000  # from here on a limit is one that nobody comes near
_PANELS = 80  # columns: in narrower panels, names of options are cut
_LONGEST = 22  # letters of the choices that stand where others have a type


def ending(example: str, page: str) -> str:
    """What stands below a command's help: an example, and the page that explains it."""
    return f"Example: regnetlab {example}\nExplained in {page}"


class _Fitting:
    """What commands and groups share: help without panels in a narrow terminal."""

    rich_markup_mode: Any
    help: str | None
    epilog: str | None

    def get_short_help_str(self, limit: int = 0) -> str:
        """The whole first paragraph, however long."""
        return (self.help or "").partition("\n\n")[0]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if (room := shutil.get_terminal_size().columns) < _PANELS:
            self.rich_markup_mode = None
            self.epilog = (self.epilog or "").replace("\n", "\n\n")  # a paragraph a line
            formatter.width = room

            def write(rows: Iterable[tuple[str, str]], **_: Any) -> None:
                for name, text in rows:  # the text on lines of its own
                    formatter.write_text(name.replace("|", " | "))
                    with formatter.indentation():
                        formatter.write_text(text)

            formatter.write_dl = write
        super().format_help(ctx, formatter)  # type: ignore[misc]


class Command(_Fitting, TyperCommand):
    """A command whose help shows no types of flags, and no limits that nobody comes near."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        paragraphs = cleandoc(self.help or "").split("\n\n")
        self.help = "\n\n".join(
            " ".join(each.split()) for each in paragraphs
        )  # lines as wide as there is room

    def get_params(self, ctx: Any) -> list[Any]:
        return _plainer(super().get_params(ctx))


class Group(_Fitting, TyperGroup):
    """A group of commands, with such a help."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plainer(super().get_params(ctx))


def _plainer(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        kind = each.type_descriptor
        if isinstance(each, TyperArgument):
            vars(each)["display_type_rich"] = lambda ctx: None  # its name says it
        elif getattr(each, "is_flag", False):
            each.metavar = ""
        elif kind.is_choice and each.metavar is None and len("|".join(kind.choices)) > _LONGEST:
            each.metavar = "CHOICE"
            each.help = f"{each.help} One of: {', '.join(kind.choices)}."
        elif kind.is_list and each.metavar is None:
            each.metavar = "FILE"
        elif (getattr(each, "max", None) or 0) >= _FAR:
            each.metavar = each.metavar or "<int>"
            vars(each)["_get_number_range_help_str"] = lambda: ""
    return parameters
