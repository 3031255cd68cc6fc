"""Figures as files for papers and slides: SVG and PNG, drawn by Kaleido with the machine's Chromium."""

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import plotly.graph_objects as go

from regnetlab.errors import InputError
from regnetlab.report.content import Content
from regnetlab.report.page import drawn_figures

_THEMES = {"": "plotly_white", "-dark": "plotly_dark"}
"""What is added to a file's name, and Plotly's template: pages and slides are light or dark."""
_SIZE = {"width": 900, "height": 540}
_REMEDY = "pip install 'regnetlab[figures]', and Chromium or Chrome"


def write_pictures(content: Content, folder: Path) -> list[Path]:
    """Write every figure of the page into this folder, made where it is missing, and return the paths.

    Raises ``InputError`` where Kaleido or a browser is not there, or the folder can't be written.
    """
    if find_spec("kaleido") is None:  # Plotly imports it
        raise InputError(f"--figures needs Kaleido: {_REMEDY}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--figures {folder} is a file", "give a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--figures {folder} can't be made: {error.strerror}") from None
    written = []
    for each in drawn_figures(content):
        for theme, ending in product(_THEMES, ("svg", "png")):
            path = folder / f"{each.id}{theme}.{ending}"
            scale = 2 if ending == "png" else 1
            try:
                _on_paper(each.figure, _THEMES[theme]).write_image(path, **_SIZE, scale=scale)
            except (RuntimeError, ValueError, OSError) as error:
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                raise InputError(
                    f"--figures: {path.name} can't be drawn ({reason})", f"it needs {_REMEDY}"
                ) from None
            written.append(path)
    return written


def _on_paper(figure: go.Figure, template: str) -> go.Figure:
    """With background, grid and legend, which the page has outside of its figures."""
    paper = go.Figure(figure)
    paper.update_layout(
        template=template,
        showlegend=sum(trace.showlegend is not False and bool(trace.name) for trace in paper.data) > 1,
        legend={"orientation": "h", "y": -0.2},
        height=None,
        margin={"t": 30, "r": 30},
    )
    return paper
