"""The findings: sentences computed from the data, each with its interval.

A sentence claims what its verdict claims; where nothing is decided, it says that these networks can't tell,
which is not the same as no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regnetlab.analysis.guessing import not_learned
from regnetlab.analysis.statistics.edf import edf
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, UNDECIDED, WORSE, points
from regnetlab.report.content import Content
from regnetlab.report.style import title
from regnetlab.trials.job import DERIVED

KINDS: Mapping[str, str] = MappingProxyType(
    {
        BETTER: "better",
        NO_WORSE: "better",
        WORSE: "worse",
        UNDECIDED: "open",
        "measured": "fact",
        "guessing": "worse",
    }
)
"""The look of each verdict's chip."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, its chip (a verdict, *measured* or *guessing*), what to add in small print, and the gist
    of the sentence for a place where many stand together.
    """

    chip: str
    text: str
    remarks: tuple[str, ...] = ()
    gist: str = ""

    @property
    def kind(self) -> str:
        return KINDS[self.chip]


def guessing_findings(content: Content) -> list[Finding]:
    """The spaces, derived RegNets and tuned networks that have not, or not clearly, learned."""
    compared = content.comparison
    derived = not_learned(title(DERIVED), content.networks.errors(DERIVED), compared.guess)
    sentences = [*compared.not_learned, derived, *content.baselines.not_learned]
    return [Finding("guessing", f"{sentence}.") for sentence in sentences if sentence]


def guessing_sentence(content: Content, tested: bool = False) -> str:
    """What always answering the commonest class has, on the test split too; empty where that is not known."""
    guess, test = content.comparison.guess, content.baselines.guess_test
    if guess is None:
        return ""
    errors = f"{guess.majority_error:.2f}%"
    if tested and test is not None:
        errors = f"{test.majority_error:.2f}% on the test split and {errors} on the validation split"
    return f"Always answering the commonest class of the training images has an error of {errors}."


def overview(content: Content) -> str:
    """How many networks, how many failed, and the best of them."""
    networks = content.networks.frame
    missing = content.networks.planned - len(networks) - _without_error(content)
    stopped = sum(each.incomplete for each in content.comparison.spaces)
    failed = _without_error(content) - stopped
    notes = [
        f"; {failed} failed" if failed else "",
        f"; {stopped} {_were(stopped)} stopped before the end" if stopped else "",
        f"; {missing} {'is' if missing == 1 else 'are'} missing" if missing > 0 else "",
    ]
    best = networks.iloc[int(networks["error"].argmin())]
    space = str(best["space"])
    kind = "a derived RegNet" if space == DERIVED else f"from {space}"
    return (
        f"{len(networks):,} network{'s' * (len(networks) != 1)} trained{''.join(notes)};"
        f" the best, {kind}, has {best['error']:.2f}%."
    )


def selection(content: Content) -> str:
    """Which networks the page shows one by one, where these are not all; else empty."""
    if len(content.networks.shown) == len(content.networks.frame):
        return ""
    return (
        f"Figures and table show {len(content.networks.shown):,} of these networks one by one: of each space"
        " those at equal distances in the order of their errors. Distributions, verdicts, trends and laws are"
        " of all networks."
    )


def caution(content: Content) -> str:
    """How much so many networks can show at all."""
    compared = content.comparison
    errors = [each.with_failures for each in compared.spaces] or [content.networks.frame["error"].to_numpy()]
    fewest = min(errors, key=len)
    n, margin = len(fewest), edf(fewest).margin
    margin_text, noise = points(compared.terms.margin), compared.noise
    seeds = "Each network was trained once, with one seed, unless the page says otherwise."
    if noise is not None:
        seeds = (
            f"Trainings of one network with several seeds have a standard deviation of"
            f" {noise.seed.estimate:.1f} points, networks of one space one of {noise.between.estimate:.1f}."
        )
    hold = f"all {compared.verdicts} hold together" if compared.verdicts > 1 else "they hold"
    return (
        f"Verdicts compare the {compared.compared}, with a margin of {margin_text} of error;"
        f" {hold} with 95% confidence. Failed networks count as 100%. With {n}"
        f" network{'s' * (n != 1)} in a space, its error distribution is known to"
        f" ± {min(100, 100 * margin):.0f} points of share (Dvoretzky–Kiefer–Wolfowitz)."
        f" {seeds} A longer budget may order the spaces differently."
    )


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _without_error(content: Content) -> int:
    """Networks of which every training failed."""
    earned = set(zip(content.networks.frame["space"], content.networks.frame["index"], strict=True))
    failed = set(zip(content.networks.failed["space"], content.networks.failed["index"], strict=True))
    return len(failed - earned)
