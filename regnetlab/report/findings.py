"""The findings: sentences computed from the data, each with its interval.

A sentence claims what its verdict claims; where nothing is decided, it says that
these networks can't tell, which is not the same as no difference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regnetlab.analysis.compare import Comparison
from regnetlab.analysis.guessing import NEITHER, has_learned
from regnetlab.analysis.statistics.edf import edf
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, UNDECIDED, WORSE, points, verdict
from regnetlab.report.content import Content
from regnetlab.report.style import title
from regnetlab.spaces.space import SPACES, DesignSpace
from regnetlab.study.provenance import guessing_in
from regnetlab.training.guessing import Guessing

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


def step_findings(content: Content) -> list[Finding]:
    """What every step from a space to the next one did to the errors."""
    guess = guessing_in(content.provenance)
    return [_step(each, _constraint(content, each), guess) for each in content.comparisons]


def overview(content: Content) -> str:
    """How many networks, how many failed, and the best of them."""
    networks = content.networks
    missing = content.planned - len(networks) - _without_error(content)
    stopped = sum(each.incomplete for each in content.populations)
    failed = _without_error(content) - stopped
    notes = [
        f"; {failed} failed" if failed else "",
        f"; {stopped} were stopped before their end" if stopped else "",
        f"; {missing} are missing" if missing > 0 else "",
    ]
    best = networks.iloc[int(networks["error"].argmin())]
    return (
        f"{len(networks):,} networks earned an error; the best has {best['error']:.2f} % and is of"
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
    fewest = min(content.populations, key=lambda each: len(each.errors), default=None)
    n = len(fewest.errors) if fewest is not None else len(content.networks)
    margin = edf(fewest.errors if fewest is not None else content.networks["error"].to_numpy()).margin
    noise = content.noise
    seeds = "one training seed per network where not said otherwise"
    if noise is not None:
        seeds = (
            f"seeds of one network differ by a standard deviation of {noise.seed.estimate:.1f} points,"
            f" networks of one space by {noise.between.estimate:.1f}"
        )
    return (
        f"Verdicts are of 95 % intervals of the medians' difference and a margin of {points(content.margin)}"
        f" of error. With {n} network{'s' * (n != 1)}, a whole error distribution is known to"
        f" ± {min(100, 100 * margin):.0f} points of share"
        f" (Dvoretzky–Kiefer–Wolfowitz); {seeds}; a longer budget may order the spaces differently."
    )


def _step(each: Comparison, constraint: str, guess: Guessing | None) -> Finding:
    arrow = f"{title(each.a.space)} → {title(each.b.space)}"
    adds = f" ({constraint})" if constraint else ""
    text = f"{arrow}{adds}: median {each.difference.points}"
    if has_learned(each.a.errors, guess) is has_learned(each.b.errors, guess) is False:
        text += f"; {NEITHER}"
    return Finding(each.verdict, text, tuple(_remarks(each)))


def _remarks(each: Comparison) -> list[str]:
    chance = each.tests.superiority
    remarks = [
        f"a network of {each.b.space} beats one of {each.a.space} in {_percent(chance.estimate)}"
        f" ({_percent(chance.low)} to {_percent(chance.high)}) of pairs; corrected for the number of"
        f" steps, Mann–Whitney p {each.mann_whitney_holm:.3f}, Kolmogorov–Smirnov p {each.ks_holm:.3f}"
    ]
    if each.verdict_corrected != each.verdict:
        remarks.append(f"{each.verdict_corrected}, if all steps are to hold together")
    if each.failures is not None:
        remarks.append(
            f"{each.a.failed} and {each.b.failed} networks failed; counted as the worst error:"
            f" {each.verdict_with_failures}"
        )
    for name, found in each.matched.items():
        claim = verdict(found.difference, each.margin)
        if claim != each.verdict:
            remarks.append(f"at equal {name}: {claim}, {found.difference.points}")
    if each.to_decide:
        needs = " or ".join(
            f"about {math.ceil(n):,} for “{claim}”" for claim, n in each.to_decide.items() if math.isfinite(n)
        )
        remarks.append(f"networks a space that would decide, if the difference is as here: {needs}")
    return remarks


def _constraint(content: Content, each: Comparison) -> str:
    """What the second space demands beyond the first, in the papers' symbols."""
    spaces: dict[str, DesignSpace] = dict(SPACES)
    if content.plan is not None:
        spaces |= {draw.space.name: draw.space for draw in content.plan.draws}
    a, b = spaces.get(each.a.space), spaces.get(each.b.space)
    if a is None or b is None:
        return ""
    before = {constraint.name for constraint in a.constraints}
    added = (c.name if len(c.meaning) > 24 else c.meaning for c in b.constraints if c.name not in before)
    return ", ".join(added).replace("_{i+1}", "ᵢ₊₁").replace("_i", "ᵢ")


def _without_error(content: Content) -> int:
    """Networks of which every training failed."""
    earned = set(zip(content.networks["space"], content.networks["index"], strict=True))
    failed = set(zip(content.failed["space"], content.failed["index"], strict=True))
    return len(failed - earned)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else "nothing"
