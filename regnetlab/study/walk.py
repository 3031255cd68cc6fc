"""A study that is a walk: which of its spaces are trained how far, and which constraints are left out.

What a walk decided stands in provenance.json, so that a clone is read as the study is. Everything else
follows from the errors: a walk that was interrupted goes through its steps again, and trains nothing twice.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from regnetlab.errors import InputError
from regnetlab.spaces.constraints import QUANTIZED_LINEAR, Constraint
from regnetlab.spaces.space import DesignSpace
from regnetlab.study.plan import Draw, Plan
from regnetlab.study.stages import first_networks, walk_steps, walked_jobs
from regnetlab.trials.terms import LOOKS, look_size

if TYPE_CHECKING:
    from regnetlab.analysis.walk import Asked, Step
    from regnetlab.spaces.arrays import Floats
    from regnetlab.study.session import Session

OutOfTime = Callable[[str, float], bool]
"""Asked after each look: whether the step to this space ends at this share of the planned networks."""


def as_walked(plan: Plan, facts: Mapping[str, Any]) -> Plan:
    """The plan after what its walk decided so far, as ``provenance.recorded`` has it."""
    walked = facts.get("walked") or {}
    if not plan.terms.walk or walked.get("planned") != _planned(plan.draws):
        return plan
    names = [draw.space.name for draw in plan.draws[1:]]
    looks = [share for share in walked["ended"].values() if share not in LOOKS]
    if looks or not {*walked["left_out"], *walked["ended"]} <= {*names}:
        raise InputError(
            f"{plan.provenance}: walked is not how this walk can have gone",
            "restore the file as `run` wrote it",
        )
    return _left_out(plan, walked["left_out"], walked["ended"])


def accepted(plan: Plan) -> DesignSpace:
    """The last space that was not left out."""
    return kept_spaces(plan)[-1]


def kept_spaces(plan: Plan) -> list[DesignSpace]:
    """The spaces that were not left out, the widest first."""
    return [draw.space for draw in plan.draws if draw.space.name not in plan.left_out]


def train_walk(session: "Session", out_of_time: OutOfTime = lambda space, share: False) -> None:
    """Walk as far as the session may train; what was decided is kept, and the session's plan follows it."""
    from regnetlab.analysis.space_errors import space_errors  # pandas, SciPy
    from regnetlab.analysis.statistics.differences import ANYTIME, SEQUENTIAL
    from regnetlab.analysis.statistics.verdicts import WORSE
    from regnetlab.analysis.walk import walk
    from regnetlab.study.provenance import extended_spaces, guessing_in
    from regnetlab.training.budget import WORST
    from regnetlab.trials.table import trials_of

    before, store = session.plan, session.store
    stated = before.stated or before.draws
    start = replace(before, draws=stated, stated=(), left_out=(), ended=())
    names = [draw.space.name for draw in stated]
    ended = {names.index(name): share for name, share in before.ended if name in names}
    left_out: list[str] = []
    shares: dict[str, float] = {}
    why: dict[str, str] = {}
    minutes = dict((store.fact("provenance").get("walked") or {}).get("minutes") or {})
    began = time.monotonic()
    session.plan = start

    def spaces(numbers: frozenset[int]) -> list[DesignSpace]:
        return [draw.space for draw in _left_out(start, [names[i] for i in sorted(numbers)], {}).draws]

    def errors(asked: "Asked[DesignSpace]") -> "tuple[Floats, Floats] | None":
        sizes = dict(zip((asked.a.name, asked.b.name), asked.n, strict=True))
        jobs = first_networks(session.plan, sizes)
        session.train(jobs)
        scores = session.scores()
        if any(job.identity not in scores for job in jobs):
            return None
        found = {each.space: each for each in space_errors(trials_of(jobs, scores).frame)}
        return found[asked.a.name].as_drawn, found[asked.b.name].as_drawn

    def on_step(number: int, step: "Step[DesignSpace]") -> None:
        nonlocal began
        shares[names[number]], why[names[number]] = step.share, step.ended
        left_out.extend([names[number]] * (step.verdict == WORSE))
        session.plan = _left_out(start, left_out, shares)
        if number not in ended:
            now = time.monotonic()
            minutes[names[number]], began = round((now - began) / 60, 2), now
            kept = {"planned": _planned(stated), "left_out": left_out, "ended": shares, "why": why}
            store.keep("provenance", {**store.fact("provenance"), "walked": kept | {"minutes": minutes}})
            session.observer.on_note(_line(step))
            session.observer.on_begin(walked_jobs(session.plan), session.scores())

    def over(number: int, share: float) -> bool:
        if share < LOOKS[-1]:  # a look whose networks were trained before costs no time
            following = LOOKS[LOOKS.index(share) + 1]
            pair = walk_steps(session.plan)[number - 1]
            sizes = {draw.space.name: look_size(draw.n, following) for draw in session.plan.draws}
            jobs = first_networks(session.plan, {name: sizes[name] for name in pair})
            if {job.identity for job in jobs} <= session.scores().keys():
                return False
        return out_of_time(names[number], share)

    facts = store.fact("provenance")
    guess = guessing_in(facts)
    extended = extended_spaces(facts, _planned(stated), names)
    walk(
        spaces,
        [draw.n for draw in stated],
        errors,
        start.terms,
        WORST if guess is None else guess.majority_error,
        ANYTIME if extended else SEQUENTIAL,
        over,
        ended,
        on_step,
    )


def _left_out(plan: Plan, names: Sequence[str], ended: Mapping[str, float]) -> Plan:
    """The plan where the constraints that the spaces of these names add are left out of all later ones.

    A space on the width law is drawn by that law, which has constraints of its own: it stays as it is.
    """
    draws = list(plan.draws)
    for place, draw in enumerate(plan.draws):
        if place and draw.space.name in names:
            kept = [each for each in draws[:place] if each.space.name not in names]
            added = {*draws[place].space.constraints} - {*kept[-1].space.constraints}
            draws[place + 1 :] = [
                replace(each, space=_free_of(each.space, added, draw.space.name, plan))
                for each in draws[place + 1 :]
            ]
    known = [draw.space.name for draw in plan.draws]
    return replace(
        plan,
        draws=tuple(draws),
        stated=plan.draws,
        left_out=tuple(name for name in names if name in known[1:]),
        ended=tuple((name, float(share)) for name, share in ended.items() if name in known[1:]),
    )


def _free_of(space: DesignSpace, added: Iterable[Constraint], name: str, plan: Plan) -> DesignSpace:
    """The space without these constraints, which the space ``name`` adds."""
    kept = [each for each in space.constraints if each not in added]
    if QUANTIZED_LINEAR in space.constraints or len(kept) == len(space.constraints):
        return space
    first = plan.draws[0].space
    more = [each for each in kept if each not in first.constraints]
    left = f" and {name}" if " without " in space.name else f" without {name}"
    return first.child(f"{space.name}{left}", more)


def _planned(draws: Sequence[Draw]) -> dict[str, int]:
    return {draw.space.name: draw.n for draw in draws}


def _line(step: "Step[DesignSpace]") -> str:
    """A step's end in words."""
    from regnetlab.analysis.statistics.verdicts import UNDECIDED, WORSE

    name = step.b.name
    ends = f"{step.interval.text('+.2f')} points" if math.isfinite(step.interval.low) else "no interval yet"
    claim = f"{step.a.name} → {name}: {step.verdict}, {ends}"
    if step.verdict == WORSE:
        return f"{claim}; what {name} adds is left out of the spaces that follow"
    if step.verdict == UNDECIDED:
        return f"{claim} ({step.ended}); {name} is kept, without evidence that it helps or harms"
    return claim
