"""What the page says of guessing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest

from regnetlab.analysis.baselines import baselines
from regnetlab.analysis.compare import compare
from regnetlab.report.compare import step_findings
from regnetlab.report.content import Content, files_content
from regnetlab.report.distributions import edf_figure
from regnetlab.report.findings import guessing_findings, guessing_sentence
from regnetlab.report.page import page
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import BASELINES
from regnetlab.trials.files import read_trials
from tests.cli.asked import pilot

Guessed = Callable[[float], Content]


@pytest.fixture
def guessed(tmp_path: Path) -> Guessed:
    """Space A has errors near 30%, B and C near 27%; guessing has this error, on the test split 90%."""
    file = pilot(tmp_path)

    def content(error: float) -> Content:
        trials = replace(read_trials([file]), guess=Guessing(error, error, 5_000))
        return replace(
            files_content([file]),
            comparison=compare(trials),
            baselines=baselines(BASELINES.frame(()), guess_test=Guessing(90.0, 90.0, 10_000)),
        )

    return content


def drawn(content: Content) -> go.Figure:
    return edf_figure(content.networks.frame, content.comparison.spaces, content.comparison.guess)


def test_a_space_near_the_error_of_guessing_is_named_and_others_are_not(guessed: Guessed) -> None:
    content = guessed(29.5)
    (found,) = guessing_findings(content)
    assert found.text.startswith("A has not learned: median ")
    assert found.text.endswith(" where guessing gives 29.5%.")
    text = page(content)
    assert "What has not learned?" in text
    assert "Always answering the commonest class of the training images has an error of 29.50%." in text


def test_a_step_between_spaces_that_have_not_learned_says_so(guessed: Guessed) -> None:
    first, second = step_findings(guessed(26.5).comparison)
    assert "neither space has clearly learned" in first.text
    assert "neither space has clearly learned" in second.text
    first, second = step_findings(guessed(29.5).comparison)
    assert "learned" not in first.text + second.text


def test_guessing_is_a_line_in_the_distributions_where_these_reach_it(guessed: Guessed) -> None:
    near = drawn(guessed(30.0))
    (line,) = near.layout.shapes
    assert line.x0 == line.x1 == 30.0
    assert near.layout.annotations[0].text == "guessing 30.0%"
    assert not drawn(guessed(90.0)).layout.shapes


def test_where_nothing_is_known_nothing_is_said(tmp_path: Path) -> None:
    content = files_content([pilot(tmp_path)])
    assert guessing_findings(content) == []
    assert guessing_sentence(content) == guessing_sentence(content, tested=True) == ""
    assert not drawn(content).layout.shapes
    assert "commonest class" not in page(content)


def test_final_errors_stand_beside_the_test_splits_own(guessed: Guessed) -> None:
    sentence = guessing_sentence(guessed(91.0), tested=True)
    assert "90.00% on the test split and 91.00% on the validation split" in sentence
