"""What the page says of guessing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from regnetlab.report.content import Content, files_content
from regnetlab.report.distributions import edf_figure
from regnetlab.report.findings import step_findings
from regnetlab.report.guessing import guessing_findings, guessing_sentence
from regnetlab.report.page import page
from tests.cli.asked import pilot


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Space A has errors near 30%, B and C near 27%."""
    return files_content([pilot(tmp_path)])


def facts(error: float) -> Mapping[str, float]:
    return {
        **{"majority_error": error, "best_constant_error": error, "validation_images": 5_000},
        **{"majority_error_test": 90.0, "best_constant_error_test": 90.0, "test_images": 10_000},
    }


def test_a_space_near_the_error_of_guessing_is_named_and_others_are_not(content: Content) -> None:
    (found,) = guessing_findings(replace(content, provenance=facts(29.5)))
    assert found.text.startswith("A has not learned: median ")
    assert found.text.endswith(" where guessing gives 29.5%.")
    text = page(replace(content, provenance=facts(29.5)))
    assert "What has not learned?" in text
    assert "Always answering the commonest class of the training images has an error of 29.50%." in text


def test_a_step_between_spaces_that_have_not_learned_says_so(content: Content) -> None:
    first, second = step_findings(replace(content, provenance=facts(26.5)))
    assert "neither space has clearly learned" in first.text
    assert "neither space has clearly learned" in second.text
    first, second = step_findings(replace(content, provenance=facts(29.5)))
    assert "learned" not in first.text + second.text


def test_guessing_is_a_line_in_the_distributions_where_these_reach_it(content: Content) -> None:
    near = edf_figure(replace(content, provenance=facts(30.0)))
    (line,) = near.layout.shapes
    assert line.x0 == line.x1 == 30.0
    assert near.layout.annotations[0].text == "guessing 30.0%"
    assert not edf_figure(replace(content, provenance=facts(90.0))).layout.shapes


def test_where_nothing_is_known_nothing_is_said(content: Content) -> None:
    assert guessing_findings(content) == []
    assert guessing_sentence(content) == guessing_sentence(content, tested=True) == ""
    assert not edf_figure(content).layout.shapes
    assert "commonest class" not in page(content)


def test_final_errors_stand_beside_the_test_splits_own(content: Content) -> None:
    sentence = guessing_sentence(replace(content, provenance=facts(91.0)), tested=True)
    assert "90.00% on the test split and 91.00% on the validation split" in sentence
