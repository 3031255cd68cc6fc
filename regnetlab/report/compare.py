"""The page's findings on the steps between spaces."""

from collections.abc import Mapping, Sequence

from regnetlab.analysis.compare import STATISTICS, SpaceComparison, StepComparison
from regnetlab.analysis.guessing import NEITHER
from regnetlab.report.findings import Finding
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.constraints import SHARED_BOTTLENECK, SHARED_GROUP_WIDTH
from regnetlab.spaces.space import SPACES, DesignSpace


def step_findings(found: SpaceComparison, custom: Sequence[DesignSpace] = ()) -> list[Finding]:
    """What every step from a space to the next one did to the errors; ``custom`` are spaces of the study."""
    spaces = {**SPACES, **{space.name: space for space in custom}}
    return [_finding(step, _constraint(spaces, step)) for step in found.steps if _alike(spaces, step)]


def block_findings(found: SpaceComparison, custom: Sequence[DesignSpace] = ()) -> list[Finding]:
    """What blocks, or numbers of stages, are to each other."""
    spaces = {**SPACES, **{space.name: space for space in custom}}
    return [_finding(step, "") for step in found.steps if not _alike(spaces, step)]


def _alike(spaces: Mapping[str, DesignSpace], step: StepComparison) -> bool:
    """Whether both spaces are of one block and number of stages, as far as they are known."""
    a, b = spaces.get(step.a.space), spaces.get(step.b.space)
    return a is None or b is None or (a.block_text, a.stages) == (b.block_text, b.stages)


def _finding(step: StepComparison, constraint: str) -> Finding:
    adds = f" ({constraint})" if constraint else ""
    doubt = f"; {NEITHER}" if step.neither_learned else ""
    what = STATISTICS[step.terms.statistic]
    provisional = "; provisional, since planned networks are missing" if step.provisional else ""
    alike = "; equal within the margin on both sides" if step.alike else ""
    points = step.points.replace(", for all steps together", "")  # the heading says so once
    text = f"{step.name}{adds}: {what} {points}{alike}{provisional}{doubt}"
    gist = f"{step.name}: {points.replace(' points', '')}"
    return Finding(step.verdict, text, (step.ranks, *step.remarks(), *_at_equal(step)), gist)


def _at_equal(step: StepComparison) -> list[str]:
    """The differences at equal complexity, of which at most one has a verdict."""
    named = step.terms.matched
    return [
        f"median at equal {name}: {each.text}"
        + (f"; the matching with a verdict: {step.claim_matched}" if name == named else "")
        for name, each in step.matched.items()
    ]


def _constraint(spaces: Mapping[str, DesignSpace], step: StepComparison) -> str:
    """What the second space demands beyond the first, in the papers' symbols."""
    a, b = spaces.get(step.a.space), spaces.get(step.b.space)
    if a is None or b is None:
        return ""
    before = {constraint.name for constraint in a.constraints}
    uses = block_named(b.block).uses
    of = {SHARED_BOTTLENECK: "b", SHARED_GROUP_WIDTH: "g"}  # which not every block has
    more = [c for c in b.constraints if c.name not in before and (c not in of or of[c] in uses)]
    added = (c.name if len(c.meaning) > 24 else c.meaning for c in more)
    return ", ".join(added).replace("_{i+1}", "ᵢ₊₁").replace("_i", "ᵢ")
