"""What the page says of guessing: its error, and what is not clearly better."""

from collections.abc import Sequence

from regnetlab.analysis.compared_baselines import contender_not_learned, guesses_of
from regnetlab.analysis.guessing import not_learned
from regnetlab.report.content import Content
from regnetlab.report.findings import Finding
from regnetlab.report.style import title
from regnetlab.spaces.arrays import Floats
from regnetlab.study.provenance import guessing_in
from regnetlab.trials.job import DERIVED

GUESSING = "guessing"
"""The chip of what is not clearly better than that."""


def guessing_findings(content: Content) -> list[Finding]:
    """The spaces, derived RegNets and contenders that have not, or not clearly, learned."""
    guesses = guesses_of(content.provenance)
    spaces: dict[str, Sequence[float] | Floats] = {each.space: each.errors for each in content.populations}
    if DERIVED in content.spaces:
        spaces[title(DERIVED)] = content.errors(DERIVED)
    sentences = [not_learned(name, errors, guesses["validation"]) for name, errors in spaces.items()]
    sentences += [contender_not_learned(each, guesses) for each in content.standings]
    return [Finding(GUESSING, f"{sentence}.") for sentence in sentences if sentence]


def guessing_sentence(content: Content, tested: bool = False) -> str:
    """What always answering the commonest class has, on the test split too; empty where that is not known."""
    guess, test = (guessing_in(content.provenance, split) for split in ("validation", "test"))
    if guess is None:
        return ""
    errors = f"{guess.majority_error:.2f}%"
    if tested and test is not None:
        errors = f"{test.majority_error:.2f}% on the test split and {errors} on the validation split"
    return f"Always answering the commonest class of the training images has an error of {errors}."
