"""The findings: sentences computed from the data, each with its interval.

A sentence claims what its verdict claims; where nothing is decided, it says that
these networks can't tell, which is not the same as no difference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from regnetlab.analysis.guessing import not_learned
from regnetlab.analysis.law_evidence import FREE, HOLDS, LawEvidence
from regnetlab.analysis.space_errors import SpaceErrors
from regnetlab.analysis.statistics.edf import edf
from regnetlab.analysis.statistics.intervals import median_difference
from regnetlab.analysis.statistics.random_search import best_at_random
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, UNDECIDED, WORSE, points, verdict
from regnetlab.analysis.trends import PROPERTIES, Trend
from regnetlab.report.content import Content
from regnetlab.report.style import title
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.regime import format_count
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
    """One sentence, its chip (a verdict, *measured* or *guessing*), and what to add in small print."""

    chip: str
    text: str
    remarks: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return KINDS[self.chip]


def guessing_findings(content: Content) -> list[Finding]:
    """The spaces, derived RegNets and tuned networks that have not, or not clearly, learned."""
    compared = content.comparison
    derived = not_learned(title(DERIVED), content.errors(DERIVED), compared.guess)
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
    networks = content.networks
    missing = content.planned - len(networks) - _without_error(content)
    stopped = sum(each.incomplete for each in content.comparison.spaces)
    failed = _without_error(content) - stopped
    notes = [
        f"; {failed} failed" if failed else "",
        f"; {stopped} were stopped before their end" if stopped else "",
        f"; {missing} are missing" if missing > 0 else "",
    ]
    best = networks.iloc[int(networks["error"].argmin())]
    return (
        f"{len(networks):,} networks earned an error; the best has {best['error']:.2f}% and is of"
        f" {title(str(best['space']))}{''.join(notes)}."
    )


def selection(content: Content) -> str:
    """Which networks the page shows one by one, where these are not all; else empty."""
    if len(content.shown) == len(content.networks):
        return ""
    return (
        f"Single networks, in figures and table, are {len(content.shown):,} of these: of each space those at"
        " equal distances in the order of their errors. Distributions, verdicts, trends and laws are of all."
    )


def caution(content: Content) -> str:
    """How much so many networks can show at all."""
    fewest = min(content.comparison.spaces, key=lambda each: len(each.errors), default=None)
    n = len(fewest.errors) if fewest is not None else len(content.networks)
    margin = edf(fewest.errors if fewest is not None else content.networks["error"].to_numpy()).margin
    margin_text, noise = points(content.comparison.margin), content.comparison.noise
    seeds = "one training seed per network where not said otherwise"
    if noise is not None:
        seeds = (
            f"seeds of one network differ by a standard deviation of {noise.seed.estimate:.1f} points,"
            f" networks of one space by {noise.between.estimate:.1f}"
        )
    return (
        f"Verdicts are of 95% intervals of the medians' difference and a margin of {margin_text}"
        f" of error. With {n} network{'s' * (n != 1)}, a whole error distribution is known to"
        f" ± {min(100, 100 * margin):.0f} points of share"
        f" (Dvoretzky–Kiefer–Wolfowitz); {seeds}; a longer budget may order the spaces differently."
    )


def law_finding(content: Content) -> Finding:
    """The width law of the best networks, and whether it describes them."""
    law = content.law
    if law is None:
        return Finding(UNDECIDED, f"No width law: {content.law_reason}.")
    grows = (
        "grow from stage to stage"
        if law.growth.low > 1
        else "fall from stage to stage"
        if law.growth.high < 1
        else "may grow or fall"
    )
    return Finding(
        "measured",
        f"The widths of the best {law.n_best} of {law.n} freely drawn networks {grows}: by a factor of"
        f" {law.growth.estimate:.2f} a stage (95% interval {law.growth.low:.2f} to {law.growth.high:.2f})."
        f" One line explains {_percent(law.r2)} of the variance of their log widths, a line of its own"
        f" {_percent(law.median_r2)} of a typical network's.",
        (_evidence(content.evidence),) if content.evidence is not None else (),
    )


def derived_findings(content: Content) -> list[Finding]:
    """The derived RegNets against the narrowest space of free widths and against RegNet, and their best
    against the best of as many networks drawn at random from the widest and the narrowest free space.
    """
    if DERIVED not in content.spaces:
        return []
    rivals = [each for each in content.comparison.spaces if each.space != "RegNet"][-1:]
    rivals += [each for each in content.comparison.spaces if each.space == "RegNet"]
    errors = np.array(content.errors(DERIVED))
    found = []
    for rival in rivals:
        change = median_difference(rival.errors, errors)
        chip = verdict(change, content.comparison.margin)
        found.append(
            Finding(chip, f"The derived RegNets against {rival.space}: {chip}; median {change.points}.")
        )
    free = [each for each in content.comparison.spaces if each.space != "RegNet"]
    for rival in {each.space: each for each in (free[:1] + free[-1:])}.values():
        if len(rival.with_failures) >= len(errors):
            found.append(_best_against_random(errors, rival))
    return found


def _best_against_random(errors: Floats, rival: SpaceErrors) -> Finding:
    n, best = len(errors), float(errors.min())
    chance = best_at_random(rival.with_failures, n, best)
    return Finding(
        chance.verdict,
        f"The best of {n} derived RegNets has {best:.2f}%; of {n} networks of {title(rival.space)} drawn at"
        f" random, {chance.text}",
    )


def trend_sentence(content: Content) -> str:
    """Which properties go with a low error, of those whose interval excludes zero."""
    clear = sorted(
        (each for each in content.trends if each.correlation.excludes_zero),
        key=lambda each: -abs(each.correlation.estimate),
    )
    if not clear:
        return "No property's rank correlation with the error is clear of zero over these networks."
    parts = [
        f"{PROPERTIES[each.name]} ({each.correlation.estimate:+.2f})".replace("-", "−") for each in clear[:4]
    ]
    return (
        "Clear of zero are the rank correlations of the error with "
        + ", ".join(parts)
        + "; below zero means that more goes with a lower error. Correlation is not cause: properties hang"
        " together, within a regime most of all."
    )


def trend_row(found: Trend) -> Mapping[str, str]:
    """One row of the table of trends."""
    rho, best = found.correlation, found.best
    return {
        "name": found.name,
        "title": PROPERTIES[found.name],
        "correlation": f"{rho.estimate:+.2f}".replace("-", "−"),
        "interval": f"{rho.low:+.2f} to {rho.high:+.2f}".replace("-", "−"),
        "best": f"{_number(best.estimate)} ({_number(best.low)} to {_number(best.high)})",
    }


def _evidence(evidence: LawEvidence) -> str:
    verdicts = {HOLDS: "the line is enough", FREE: "the line is not enough"}
    return (
        f"A line against one mean per stage by BIC ({evidence.gain:+.1f}): "
        f"{verdicts.get(evidence.answer, 'these networks do not tell whether the line is enough')}; the stage"
        f" farthest from it departs by a factor of {evidence.bend:.2f}"
    ).replace("-", "−")


def _without_error(content: Content) -> int:
    """Networks of which every training failed."""
    earned = set(zip(content.networks["space"], content.networks["index"], strict=True))
    failed = set(zip(content.failed["space"], content.failed["index"], strict=True))
    return len(failed - earned)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if math.isfinite(share) else "nothing"


def _number(value: float) -> str:
    return format_count(float(f"{value:.3g}")) if abs(value) >= 1_000 else f"{value:.3g}"
