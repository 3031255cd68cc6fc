"""The page on several studies together, reports/index.html: tables, bars made of CSS, and no script."""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from regnetlab.analysis.across import (
    MARGIN,
    Across,
    LongerStep,
    PooledContest,
    PooledGrowth,
    PooledStep,
    StudyResult,
    as_factor,
    in_percent,
)
from regnetlab.analysis.population_law import DOES_NOT_GROW, GROWS, NO_EVIDENCE
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.meta_analysis import Pooled
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, UNDECIDED, WORSE, points
from regnetlab.analysis.tuned_networks import TunedNetwork
from regnetlab.report.distributions import edf_figure
from regnetlab.report.findings import KINDS, Finding
from regnetlab.report.sketch import edf_sketch
from regnetlab.report.style import swatch
from regnetlab.report.templates import filled_in
from regnetlab.study.plan import Plan
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import complete

_DEMANDS = {
    ("AnyNetA", "AnyNetB"): "one bottleneck ratio for all stages",
    ("AnyNetB", "AnyNetC"): "one group width for all stages",
    ("AnyNetC", "AnyNetD"): "widths that don't fall from stage to stage",
    ("AnyNetD", "AnyNetE"): "depths that don't fall from stage to stage",
    ("AnyNetE", "RegNet"): "widths and depths on the paper's line",
}
"""What each of the paper's spaces demands beyond the one before it."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may do for the page (Content Security Policy): no script, and fetch nothing."""
_WIDEST = 0.5
"""Half an axis of ratios, as a logarithm: an interval that ends further out is cut off there."""


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval on an axis from 0 to 100, with its estimate; ``cut`` are the sides on which it goes on."""

    low: float
    high: float
    at: float
    cut: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: a study, the mean over data sets or a further data set (``kind``)."""

    kind: str
    name: str
    chip: str
    number: str
    bar: Bar | None
    note: str = ""

    @property
    def look(self) -> str:
        return KINDS.get(self.chip, "fact")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading, with the ends of their common axis in words."""

    title: str
    note: str
    rows: tuple[Row, ...]
    ends: tuple[str, str, str]


def across_page(found: Across, plans: Mapping[str, Plan], pages: Container[str] = ()) -> str:
    """The whole page; ``plans`` are the studies' own, ``pages`` the studies whose page lies beside it."""
    findings = [_step_finding(each) for each in found.steps if each.pooled is not None]
    findings += _growth_findings(found.growth) + _contest_findings(found.contest)
    findings += _longer_findings(found.longer)
    return filled_in(
        "across.html",
        sheets=("page.css", "across.css"),
        title="All studies",
        policy=Markup(_POLICY),  # our own
        found=found,
        pages=pages,
        networks=sum(_networks(each) for each in found.studies),
        findings=findings,
        summary=_summary(found.steps),
        sketches=[(each.name, _sketch(each)) for each in found.studies],
        key=[(space, swatch(space)) for space in _spaces(found.studies)],
        studies=[_study(each, plans[each.name]) for each in found.studies],
        steps=[_step_table(each, _reach(_intervals(found.steps))) for each in found.steps],
        contests_alone=sorted({e.study for e, _ in found.contest.matches} - {e.name for e in found.studies}),
        growth=_growth_table(found.growth),
        contest=_contest_table(found.contest),
        longer=[_longer_table(found.longer, name) for name in dict.fromkeys(e.longer for e in found.longer)],
        margin=f"{100 * MARGIN:g}%",
    )


def _summary(steps: Sequence[PooledStep]) -> str:
    """How many of the paper's claims hold over data sets, are contradicted, and stay open."""
    claimed = [each for each in steps if each.claim and each.pooled is not None]
    if not claimed:
        return ""
    as_good = {BETTER: (BETTER,), NO_WORSE: (NO_WORSE, BETTER)}
    in_part = [each for each in claimed if each.claim == BETTER and each.verdict == NO_WORSE]
    counts = {
        ("holds", "hold", "on data sets like these"): sum(
            each.verdict in as_good[each.claim] for each in claimed
        ),
        ("holds", "hold", "in part (no worse, but not shown to be better)"): len(in_part),
        ("is", "are", "contradicted"): sum(each.verdict == WORSE for each in claimed),
        ("is", "are", "open"): sum(each.verdict == UNDECIDED for each in claimed),
    }
    found = ", ".join(f"{n} {one if n == 1 else many} {rest}" for (one, many, rest), n in counts.items() if n)
    return f"Of the paper's {len(claimed)} claims about constraints: {found}."


def _step_finding(step: PooledStep) -> Finding:
    """What the step does to errors over data sets, beside the paper's claim."""
    pooled = step.pooled
    assert pooled is not None
    demand = _DEMANDS.get((step.a, step.b))
    text = f"{step.name}{f', {demand}' if demand else ''}: median error {_shown(in_percent(pooled.mean))}."
    alone = f"By themselves: {_counted([each.verdict for each in step.steps])}."
    if pooled.between > 0 and step.verdict == UNDECIDED:
        alone += " How much it changes differs between them, which makes the interval wide."
    further = _further(pooled, _range(in_percent(pooled.further)))
    return Finding(step.verdict, f"{text} {_beside_the_paper(step)}".strip(), (alone, *further))


def _further(pooled: Pooled, expected: str) -> tuple[str, ...]:
    """What to expect of one more data set, where that is known."""
    return (f"One more data set: {expected}.",) if math.isfinite(pooled.further.low) else ()


def _beside_the_paper(step: PooledStep) -> str:
    """How the verdict stands to the paper's claim; empty where it makes none."""
    agrees = {
        (BETTER, BETTER): "As the paper says.",
        (NO_WORSE, NO_WORSE): "As the paper says.",
        (NO_WORSE, BETTER): "The paper says no worse; here it is better.",
        (BETTER, NO_WORSE): "The paper says better, which is not shown here.",
        (BETTER, WORSE): "The paper says better: this contradicts it.",
        (NO_WORSE, WORSE): "The paper says no worse: this contradicts it.",
    }
    unknown = (
        f"The paper says {step.claim}; for data sets like these that is not decided." if step.claim else ""
    )
    return agrees.get((step.claim, step.verdict), unknown)


def _counted(verdicts: Iterable[str], order: Sequence[str] = (BETTER, NO_WORSE, WORSE, UNDECIDED)) -> str:
    """Verdicts in words, such as ``better in 3 of 4 studies, undecided in 1``."""
    every = list(verdicts)
    words = [f"{each} in {every.count(each)}" for each in order if each in every]
    words[0] += f" of {len(every)} studies" if len(every) > 1 else " study"
    return ", ".join(words)


def _growth_findings(found: PooledGrowth) -> list[Finding]:
    claims = [each.law.claim for each, _ in found.laws]
    more: tuple[str, ...] = ()
    words = {GROWS: "growth shown", DOES_NOT_GROW: "shown not to grow", NO_EVIDENCE: UNDECIDED}
    text = f"Widths of good networks: {_counted([words[each] for each in claims], tuple(words.values()))}"
    if found.pooled is not None:
        mean, further = as_factor(found.pooled.mean), as_factor(found.pooled.further)
        text += f". Where it shows, error is least at a growth of {mean.estimate:.2f} a stage ({mean.text()})"
        more = _further(found.pooled, further.text())
    return [Finding("measured", f"{text}.", more)] if claims else []


def _contest_findings(found: PooledContest) -> list[Finding]:
    if not found.matches:
        return []
    alone = _counted([match.verdict for _, match in found.matches])
    text = f"RegNets against networks designed by hand, tuned alike: {alone}."
    more: list[str] = []
    if found.pooled is not None:
        more.append(f"By themselves: {alone}.")
        change = _shown(in_percent(found.pooled.mean))
        text = f"RegNets against networks designed by hand, tuned alike: test error {change}."
        text += " The paper says better."
        more += _further(found.pooled, _range(in_percent(found.pooled.further)))
    return [Finding(found.verdict or "measured", text, tuple(more))]


def _longer_findings(steps: Sequence[LongerStep]) -> list[Finding]:
    """What training longer changes, a sentence for each study."""
    found = []
    for longer in dict.fromkeys(each.longer for each in steps):
        here = [each for each in steps if each.longer == longer]
        moved = [f"{each.name} by {_shown(each.change)}" for each in here if each.change.excludes_zero]
        what = f"that moves {'; '.join(moved)}" if moved else f"no move of the {len(here)} steps is shown"
        text = f"{longer}, the networks of {here[0].study} trained longer: {what}."
        found.append(Finding("measured", text))
    return found


def _study(result: StudyResult, plan: Plan) -> dict[str, str]:
    """A line on one study: what it trained on what, for how long."""
    budget, spaces = plan.budget, result.comparison.summaries
    flops = plan.regime.windows.get("flops")
    least, most = (f([each.median.estimate for each in spaces]) for f in (min, max))
    return {
        "name": result.name,
        "data": result.data,
        "networks": f"{_networks(result):,}",
        "flops": f"{flops.shown(flops.low)} to {flops.shown(flops.high)}" if flops is not None else "any",
        "budget": f"{budget.images * budget.epochs:,}",
        "medians": f"{least:.1f} to {most:.1f}",
        "margin": points(result.comparison.terms.margin),
    }


def _sketch(result: StudyResult) -> Markup:
    """The error distributions of the study's spaces."""
    drawn = complete(result.trials.frame[result.trials.frame["space"] != DERIVED])
    figure = edf_figure(drawn, result.comparison.spaces, result.comparison.guess)
    return edf_sketch(figure, [each.space for each in result.comparison.spaces])


def _spaces(studies: Iterable[StudyResult]) -> list[str]:
    return list(dict.fromkeys(space.space for each in studies for space in each.comparison.spaces))


def _networks(result: StudyResult) -> int:
    return sum(each.n + each.failed for each in result.comparison.summaries)


def _intervals(steps: Iterable[PooledStep]) -> list[Interval]:
    """All that one axis has room for: of every study and of the means."""
    found = [effect.effect.interval() for each in steps for effect in each.effects]
    return [*found, *(each.pooled.mean for each in steps if each.pooled is not None)]


def _step_table(step: PooledStep, reach: float) -> Table:
    logs = [each.effect.interval() for each in step.effects]
    rows = [
        Row(
            "study",
            each.study,
            own.verdict,
            _shown(in_percent(interval)),
            _bar(interval, reach),
            f"{own.single.estimate:+.2f} points ({own.corrected.text('+.2f')})".replace("-", "−"),
        )
        for each, own, interval in zip(step.effects, step.steps, logs, strict=True)
    ]
    rows += _pooled_rows(step.pooled, reach, step.verdict)
    demand = _DEMANDS.get((step.a, step.b), "")
    note = f"{demand[:1].upper()}{demand[1:]}. The paper: {step.claim}." if step.claim else ""
    if step.left_out:
        note += f" Left out, because a median error may be 0: {', '.join(step.left_out)}."
    return Table(step.name, note, tuple(rows), _ends(reach))


def _pooled_rows(pooled: Pooled | None, reach: float, chip: str) -> list[Row]:
    if pooled is None:
        return []
    rows = [
        Row(
            "pooled",
            f"mean over {pooled.studies} data sets",
            chip,
            _shown(in_percent(pooled.mean)),
            _bar(pooled.mean, reach),
        )
    ]
    if math.isfinite(pooled.further.low):
        further = in_percent(pooled.further)
        surer = pooled.further.low > pooled.mean.low and pooled.further.high < pooled.mean.high
        note = "95% by itself; the mean's is wider, as it holds together with the others'" * surer
        rows.append(
            Row("further", "one more data set", "", _range(further), _bar(pooled.further, reach), note)
        )
    return rows


def _growth_table(found: PooledGrowth) -> Table | None:
    known = [growth for _, growth in found.laws if growth is not None]
    if not found.laws:
        return None
    pooled = [] if found.pooled is None else [as_factor(found.pooled.mean), as_factor(found.pooled.further)]
    most = max([each.high for each in [*known, *pooled[:1]]], default=3.0)
    reach = max(math.log(most), math.log(2))

    def bar(growth: Interval) -> Bar:
        return _bar(Interval(*(math.log(max(each, 1e-9)) for each in (growth.estimate, *growth.ends))), reach)

    rows = []
    for each, growth in found.laws:
        law = each.law.population
        why = each.law.reason if law is None else law.reason
        note = f"{law.n} networks whose widths are free" if law is not None and why is None else str(why)
        claim = UNDECIDED if each.law.claim == NO_EVIDENCE else each.law.claim
        number = "–" if growth is None else f"{growth.estimate:.2f} ({growth.text()})"
        rows.append(Row("study", each.name, claim, number, None if growth is None else bar(growth), note))
    if found.pooled is not None:
        mean, further = pooled
        name = f"mean over {found.pooled.studies} data sets"
        rows.append(Row("pooled", name, "", f"{mean.estimate:.2f} ({mean.text()})", bar(mean)))
        if math.isfinite(further.high):
            rows.append(Row("further", "one more data set", "", further.text(), bar(further)))
    ends = (f"÷{math.exp(reach):.1f}", "no growth", f"×{math.exp(reach):.1f}")
    return Table("", "", tuple(rows), ends)


def _contest_table(found: PooledContest) -> Table | None:
    if not found.matches:
        return None
    logs = [each.effect.interval() for each, _ in found.matches]
    reach = _reach([*logs, *([] if found.pooled is None else [found.pooled.mean])])
    rows = [
        Row(
            "study",
            each.study,
            match.verdict,
            _shown(in_percent(interval)),
            _bar(interval, reach),
            f"{match.b.short_name} {_test(match.b)} against {match.a.short_name} {_test(match.a)}",
        )
        for (each, match), interval in zip(found.matches, logs, strict=True)
    ]
    rows += _pooled_rows(found.pooled, reach, found.verdict)
    return Table("", "", tuple(rows), _ends(reach))


def _test(network: TunedNetwork) -> str:
    return "" if network.test is None else f"{network.test.mean:.2f}%"


def _longer_table(every: Sequence[LongerStep], longer: str) -> Table:
    steps = [each for each in every if each.longer == longer]
    reach = _reach([_log(each) for step in steps for each in (step.short, step.long)])
    rows = []
    for step in steps:
        n = " and ".join(map(str, step.n))
        changed = step.change.excludes_zero
        note = f"changed by {_shown(step.change)}" + ("" if changed else ", which chance may explain")
        rows.append(
            Row("study", step.name, "", _shown(step.short), _bar(_log(step.short), reach), f"{n} networks")
        )
        rows.append(Row("pooled", "longer", "", _shown(step.long), _bar(_log(step.long), reach), note))
    return Table(f"{steps[0].study} and {longer}", "", tuple(rows), _ends(reach))


def _log(percent: Interval) -> Interval:
    return Interval(*(math.log1p(each / 100) for each in (percent.estimate, *percent.ends)))


def _reach(intervals: Sequence[Interval]) -> float:
    """Half an axis that has room for these logarithms of ratios."""
    most = max((abs(end) for each in intervals for end in each.ends if math.isfinite(end)), default=0.1)
    return min(max(1.05 * most, 0.05), _WIDEST)


def _bar(interval: Interval, reach: float) -> Bar:
    low, high, at = (
        50 + 50 * min(max(each / reach, -1.0), 1.0) for each in (*interval.ends, interval.estimate)
    )
    cut = "low " * (interval.low < -reach) + "high" * (interval.high > reach)
    return Bar(round(low, 2), round(high, 2), round(at, 2), cut.strip())


def _ends(reach: float) -> tuple[str, str, str]:
    low, high = (100 * math.expm1(sign * reach) for sign in (-1, 1))
    return f"{low:.0f}%, better".replace("-", "−"), "0", f"worse, +{high:.0f}%"


def _range(percent: Interval) -> str:
    return f"{percent.low:+.1f} to {percent.high:+.1f}%".replace("-", "−")


def _shown(percent: Interval) -> str:
    return f"{percent.estimate:+.1f}% ({percent.low:+.1f} to {percent.high:+.1f})".replace("-", "−")
