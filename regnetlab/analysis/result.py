"""What every result shares: it can draw itself, with the function that the layer above registers for it."""

from functools import singledispatch
from typing import Any


@singledispatch
def figure_of(result: Any) -> Any:
    """The Plotly figure of a result; ``regnetlab.report.figures`` registers one for each kind."""
    raise TypeError(f"there is no figure of a {type(result).__name__}; import regnetlab.report.figures first")


class Result:
    """A result that ``plot()`` draws."""

    __slots__ = ()

    def plot(self) -> Any:
        """The result as a Plotly figure."""
        return figure_of(self)
