"""Figures for notebooks: each is a function from trials or a result to a Plotly figure, without any study.

The page draws with the same functions and gives them its own sizes, colours of text and links.
"""

import pandas as pd
import plotly.graph_objects as go

from regnetlab.analysis.baselines import BaselineComparison
from regnetlab.analysis.compare import SpaceComparison
from regnetlab.analysis.fidelity import Fidelity
from regnetlab.analysis.latency import Latency
from regnetlab.analysis.result import figure_of
from regnetlab.analysis.search import SearchResult
from regnetlab.analysis.space_errors import space_errors
from regnetlab.analysis.trends import trends
from regnetlab.analysis.width_law import WidthLaw
from regnetlab.arguments import TEXT, takes
from regnetlab.errors import InputError, unknown
from regnetlab.report.baselines import baselines_figure
from regnetlab.report.distributions import edf_figure, efficiency_figure, strip_figure
from regnetlab.report.fidelity import fidelity_figure
from regnetlab.report.latency import latency_figure
from regnetlab.report.search import searches_figure
from regnetlab.report.trends import property_figure
from regnetlab.report.width_law import law_figure
from regnetlab.trials.table import Trials, as_trials, complete

_TEMPLATE = "plotly_white"


def plot_edf(trials: Trials) -> go.Figure:
    """The error distribution of every space: the share of its networks with at most this error.

    Args:
        trials: Trainings of one space or more; several seeds of a network are averaged.

    Raises:
        InputError: No network has an error.
    """
    scored = _scored(trials)
    found = [each for each in space_errors(trials.frame) if len(each.errors)]
    return _plain(edf_figure(scored, found, trials.guess))


def plot_errors(trials: Trials) -> go.Figure:
    """Every network's error, a strip for each space, with the median.

    Args:
        trials: As for ``plot_edf``.

    Raises:
        InputError: No network has an error.
    """
    return _plain(strip_figure(_scored(trials)))


def plot_random_search(trials: Trials) -> go.Figure:
    """The error to expect of the best of k networks drawn at random from each space.

    Args:
        trials: As for ``plot_edf``.

    Raises:
        InputError: No network has an error.
    """
    scored = _scored(trials)
    return _plain(efficiency_figure(scored, [e for e in space_errors(trials.frame) if len(e.errors)]))


@takes(name=TEXT)
def plot_property(trials: Trials, name: str) -> go.Figure:
    """Errors against one property of the networks, and the range of the best of them.

    Args:
        trials: As for ``plot_edf``; the networks' depths and widths are known.
        name: ``flops``, ``params``, ``acts``, ``depth``, ``growth`` or another of
            ``analysis.trends.PROPERTIES``; of a block's own parameter as in ``mean k``.

    Raises:
        InputError: There is no such property, or no network has an error.
    """
    _scored(trials)
    found = trends(trials)
    if name not in found.properties:
        raise unknown("property", name, found.properties)
    trend = next((each for each in found.trends if each.name == name), None)
    return _plain(property_figure(found.networks, name, found.properties[name], trend))


@figure_of.register
def _(result: SpaceComparison) -> go.Figure:
    rows = [(each.space, error) for each in result.spaces for error in each.errors]
    networks = pd.DataFrame(rows, columns=["space", "error"])
    return _plain(edf_figure(networks, result.spaces, result.guess))


@figure_of.register
def _(result: WidthLaw) -> go.Figure:
    return _plain(law_figure(result)).update_layout(showlegend=True)


@figure_of.register
def _(result: BaselineComparison) -> go.Figure:
    return _plain(baselines_figure(pd.DataFrame({"space": [], "flops": [], "error": []}), result))


@figure_of.register
def _(result: Fidelity) -> go.Figure:
    return _plain(fidelity_figure(result))


@figure_of.register
def _(result: Latency) -> go.Figure:
    return _plain(latency_figure(result))


@figure_of.register
def _(result: SearchResult) -> go.Figure:
    return _plain(searches_figure([result]))


def _scored(trials: Trials) -> pd.DataFrame:
    scored = complete(as_trials(trials).frame)
    if not len(scored):
        raise InputError("no network has an error, so there is nothing to draw")
    return scored


def _plain(figure: go.Figure) -> go.Figure:
    """The figure with a theme of its own, where no page gives it one."""
    return figure.update_layout(template=_TEMPLATE, margin={"t": 40})
