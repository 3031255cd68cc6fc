"""Pages are filled in from the files of templates/."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from regnetlab import __version__


def filled_in(template: str, **facts: Any) -> str:
    """The text of a template; what a page doesn't get is an error, and text is escaped."""
    environment = Environment(
        loader=PackageLoader("regnetlab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(template).render(version=__version__, **facts)


def _breakable(name: str) -> Markup:
    """A network's name, which narrow columns break between its parts and not inside one."""
    return Markup(escape(name).replace("_", Markup("_<wbr>")).replace("@", Markup("<wbr>@")))
