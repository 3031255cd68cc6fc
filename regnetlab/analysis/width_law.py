"""The width law of networks: each one's own, how those of good networks grow, and RegNets from it.

The law forwards, and its two notations, are in ``regnetlab.spaces.law``; the fits of one network in
``log_linear_fit`` and ``quantized_fit``.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from regnetlab.analysis.derive import derive, told_regime, told_se_ratio, told_template
from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.log_linear_fit import (
    FREE,
    HOLDS,
    ONE_STAGE,
    LawEvidence,
    fits_of_all,
)
from regnetlab.analysis.population_law import (
    GROWS,
    NO_EVIDENCE,
    Claim,
    PopulationLaw,
    SpaceGrowth,
    carrying,
    population_law,
    space_growths,
)
from regnetlab.analysis.quantized_fit import fit_quantized
from regnetlab.analysis.result import Result
from regnetlab.arguments import WHOLE, WINDOW, takes
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.spaces.ranges import PAPER_RANGES, Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import Template
from regnetlab.training.guessing import Guessing
from regnetlab.trials.networks import Network
from regnetlab.trials.table import (
    Trials,
    complete,
    incomplete,
    networks_of,
    records,
    spaces_of,
    with_widths,
)

Notation = Literal["log-linear", "quantized"]
LOG_LINEAR: Notation = "log-linear"
NOTATIONS = get_args(Notation)
DERIVED_NETWORKS = 8
"""RegNets that are derived where nothing else is said."""
FORCED = (
    "These RegNets are forced: they were derived although these networks do not show how good widths grow."
)
"""Of RegNets whose law claims no growth."""


@dataclass(frozen=True, repr=False)
class WidthLaw(Result):
    """What the widths of trained networks follow.

    ``fits`` has a row for each network: name, space, error, depths, widths and the parameters of its law in
    this ``notation`` (log-linear: ``w0, growth, r2, e_fit``; quantized: ``w0, wa, wm, e_fit`` and the
    ``fitted_depths`` and ``fitted_widths`` that the law gives), NaN for a log-linear fit of one stage.
    ``population`` is the growth of least error over the ``scored`` networks, which have an error and are of a
    space that leaves the widths free; where there is none, ``reason`` says why. ``spaces`` are all spaces,
    each with the growth of its best quarter and of all its networks. ``failed`` and ``incomplete`` networks
    have no error. ``networks`` are the trainings behind all that, ``drawn`` where they come from.
    """

    notation: Notation
    fits: pd.DataFrame
    population: PopulationLaw | None
    reason: InputError | None
    spaces: tuple[SpaceGrowth, ...]
    scored: int
    failed: int
    incomplete: int
    guess: Guessing | None = None
    notes: tuple[str, ...] = ()
    networks: pd.DataFrame = field(default_factory=pd.DataFrame)
    drawn: Trials | None = None

    def __repr__(self) -> str:
        law = self.population
        if law is None:
            return f"WidthLaw({self.claim}: {self.reason})"
        found = f"w_i ≈ {self.formula}" if self.formula else str(law.reason)
        return f"WidthLaw({self.claim}: {found}; {law.n} networks)"

    @property
    def claim(self) -> Claim:
        """Whether the widths of good networks grow: ``grows``, ``does not grow`` or ``no evidence``."""
        return NO_EVIDENCE if self.population is None else self.population.claim

    @property
    def forced(self) -> bool:
        """Whether RegNets can be derived by force alone, since no growth is claimed."""
        return self.claim != GROWS

    @property
    def formula(self) -> str:
        """The law of least error, as in ``11.9 · 1.67^i``; empty where no optimum is shown.

        It has ``w_0`` for a number where that of least error is not shown to lie inside what was drawn.
        """
        law = self.population
        if law is None or not law.inside:
            return ""
        w0 = f"{law.w0.estimate:.1f}" if law.w0_inside else "w_0"
        return f"{w0} · {law.growth.estimate:.2f}^i"

    @property
    def unfitted(self) -> list[str]:
        """The names of networks of one stage, which have no log-linear law."""
        one = self.fits["widths"].map(len) < 2
        return self.fits.loc[one, "name"].tolist() if self.notation == LOG_LINEAR else []

    @property
    def guessing(self) -> dict[str, Any]:
        """What guessing earns, and which spaces are not clearly better."""
        scored = complete(self.networks)
        errors = {space: scored.loc[scored["space"] == space, "error"] for space in spaces_of(scored)}
        return guessed(self.guess, errors)

    @property
    def template(self) -> Template:
        """What RegNets are derived on where nothing else is said: the trials' own, else the paper's.

        Raises:
            InputError: The trials are on several templates, or on one that can't be had.
        """
        known = None if self.drawn is None else self.drawn.template
        return told_template(self.networks) if known is None else known

    @takes(n=WHOLE, flops=WINDOW)
    def derive(
        self,
        n: int = DERIVED_NETWORKS,
        *,
        flops: str | None = None,
        template: Template | None = None,
        ranges: Ranges | None = None,
        se_ratio: float | None = None,
        force: bool = False,
    ) -> list[Network]:
        """RegNets over the law's interval of growth, the growth of least error first (``analysis.derive``).

        Args:
            n: How many at most.
            flops: The window that they lie in, as in ``"0.8M:1.2M"``; by default that of the study, or the
                range of the networks' own flops.
            template: What they are built on; by default ``self.template``.
            ranges: Of widths, depths, group widths and bottleneck ratios; by default the study's, or the
                paper's.
            se_ratio: Of squeeze and excitation; by default that of all networks, if they share one.
            force: Derive although the law does not claim that widths grow.

        Raises:
            InputError: There is no law, it does not claim growth, or no RegNet on it lies in the window.
        """
        if n < 1:
            raise InputError(f"n is {n}", "derive one RegNet at least")
        if self.population is None:
            raise self.reason or InputError("there is no law of good networks")
        designs = () if self.drawn is None else self.drawn.designs.values()
        if designs and all(each.variant for each in designs):
            raise InputError(
                "RegNets are derived from spaces of X blocks with as many stages as the template",
                "add one of these to the study",
            )
        shape = self.template if template is None else template
        if flops is not None:
            regime = Regime(flops=parse_window("flops", flops))
        else:
            known = None if self.drawn is None else self.drawn.regime
            regime = told_regime(self.networks) if known is None else known
        own = None if self.drawn is None else self.drawn.ranges
        squeeze = told_se_ratio(self.networks) if se_ratio is None else se_ratio
        configs = derive(self.population, n, shape, regime, ranges or own or PAPER_RANGES, squeeze, force)
        return [
            Network(config.text, shape, **config_complexity(config, shape), config=config)
            for config in configs
        ]

    def widths_in(self, growth: SpaceGrowth) -> str:
        """Whether the widths of one of ``spaces`` may count for the law, or why not."""
        if growth.carries:
            return "free"
        designs = {**SPACES, **(self.drawn.designs if self.drawn is not None else {})}
        carrier = next(
            (designs[each.space] for each in self.spaces if each.carries and each.space in designs),
            SPACES["AnyNetA"],
        )
        own = designs.get(growth.space, carrier)
        if own.block_text != carrier.block_text:
            return "another block"
        return "constrained" if own.stages == carrier.stages else "other stages"

    def remarks(self) -> list[str]:
        """The claim in sentences, what it rests on, and whether a line describes the best widths."""
        law = self.population
        if law is None:
            return [f"No evidence of a width law: {self.reason}."]
        growth, low, high = law.growth.estimate, law.growth.low, law.growth.high
        if law.claim == NO_EVIDENCE:
            claim = f"The width law is undecided: {law.reason}."
            if not law.inside:
                claim += f" Inside what was drawn, it may be any from {low:.2f} to {high:.2f} (95%)."
        else:
            claim = (
                f"Good widths {'grow' if law.claim == GROWS else 'do not grow'}: at equal depth, error is"
                f" least where they grow by a factor of {growth:.2f} a stage (95% interval {low:.2f} to"
                f" {high:.2f})."
            )
        lost = f"; {self.failed} more failed" if self.failed else ""
        sentences = [f"{claim} These are {law.n} networks of spaces that leave the widths free{lost}."]
        if law.inside:
            sentences.append(_w0_sentence(law))
        if np.isfinite(law.r2):
            sentences.append(
                f"The widths of their best {law.n_best} grow by {law.growth_best:.2f} on average, pulled"
                f" towards the growth of all networks; that line explains {_percent(law.r2)} of the"
                f" variance of their log widths, each network's own line typically {_percent(law.median_r2)}."
            )
        return sentences if law.evidence is None else [*sentences, _evidence_sentence(law.evidence)]

    def to_pandas(self) -> pd.DataFrame:
        """A copy of ``fits``."""
        return self.fits.copy()

    def to_json(
        self,
        template: Template | None = None,
        derived: Sequence[Network] = (),
        reason: str | None = None,
    ) -> dict[str, Any]:
        """The document of ``fit-regnet``.

        Args:
            template: What RegNets were derived on, if anything.
            derived: These RegNets.
            reason: Why there are none.
        """
        return {
            "law": self.notation,
            **self.guessing,
            "models": [_model(row) for row in records(self.fits)],
            "incomplete": self.incomplete,
            "population": self._population(),
            "template": None if template is None else template.facts() | {"input": template.input},
            "derived": [each.to_json() | {"forced": self.forced} for each in derived],
            "derived_reason": reason,
            "failed": self.failed,
            "notes": list(self.notes),
        }

    def _population(self) -> dict[str, Any]:
        law = self.population
        spaces = [_space(each) for each in self.spaces]
        if law is None:
            keys = (
                "growth",
                "growth_interval",
                "w0",
                "w0_interval",
                "w0_inside",
                "r2",
                "median_r2",
                "depth_growth",
                "depth",
            )
            return {
                "claim": NO_EVIDENCE,
                "reason": str(self.reason),
                "n": self.scored,
                "n_best": 0,
                **dict.fromkeys(keys),
                "spaces": spaces,
            }
        return {
            "claim": law.claim,
            "reason": law.reason,
            "n": law.n,
            "n_best": law.n_best,
            "growth": law.growth.estimate if law.inside else None,
            "growth_interval": law.growth.ends,
            "w0": law.w0.estimate,
            "w0_interval": law.w0.ends,
            "w0_inside": law.w0_inside,
            "r2": law.r2,
            "median_r2": law.median_r2,
            "depth_growth": law.depth_growth,
            "depth": law.depth,
            "spaces": spaces,
        }


def _space(found: SpaceGrowth) -> dict[str, Any]:
    return {
        "space": found.space,
        "n": found.n,
        "growth_best": found.growth_best,
        "growth_all": found.growth_all,
        "difference": found.difference.estimate,
        "interval": found.difference.ends,
        "p": found.p,
        "carries": found.carries,
    }


def fit_law(trials: Trials, notation: Notation = LOG_LINEAR) -> WidthLaw:
    """Fit the width law to every network, and find the growth of least error where widths were drawn freely.

    Args:
        trials: Trained networks, or networks without errors, which have fits alone.
        notation: Of each network's own fit: ``log-linear`` or ``quantized``.

    Returns:
        The law. It has no ``population``, and no ``fits`` either where widths are not known, if the trials
        can't carry one; ``reason`` says why.
    """
    every, reason, law = trials.frame, None, None
    spaces: tuple[SpaceGrowth, ...] = ()
    carriers: list[str] = []
    try:
        networks = with_widths(every)
    except InputError as error:
        networks, reason = every.head(0), error
    if reason is None:
        known = replace(trials, frame=networks)
        carriers, spaces = carrying(known), space_growths(known)
        try:
            law = population_law(known)
        except InputError as error:
            reason = error
    unfinished = len(incomplete(every))
    unknown = [each for each in carriers if each not in trials.designs and each not in SPACES]
    named = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
    judged = (
        f"the constraints of {named} are not known; the widths rise and fall there, so they count as free"
    )
    return WidthLaw(
        notation=notation,
        fits=_fits(notation, networks_of(networks)),
        population=law,
        reason=reason,
        spaces=spaces,
        scored=int(complete(networks)["space"].isin(carriers).sum()),
        failed=len(networks_of(every)) - len(complete(every)) - unfinished,
        incomplete=unfinished,
        guess=trials.guess,
        notes=(*trials.notes, *([judged] if unknown else [])),
        networks=networks,
        drawn=trials,
    )


def _fits(notation: Notation, networks: pd.DataFrame) -> pd.DataFrame:
    """The table of ``WidthLaw.fits``."""
    table = networks[["name", "space", "error", "depths", "widths"]].reset_index(drop=True)
    if notation == LOG_LINEAR:
        fits = fits_of_all(networks)
        return table.assign(w0=fits.w0, growth=fits.growth, r2=fits.r2, e_fit=fits.e_fit)
    columns = zip(*(networks[name] for name in STAGE_COLUMNS), strict=True)
    found = [asdict(fit_quantized(*stages)) for stages in columns]
    rows = [
        {f"fitted_{name}" if name in ("depths", "widths") else name: row[name] for name in row}
        for row in found
    ]
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def _model(row: dict[str, Any]) -> dict[str, Any]:
    """A network's fit, ready for JSON."""
    row = row | {"error": row["error"] if np.isfinite(row["error"]) else None}
    if "growth" in row and len(row["widths"]) < 2:
        return row | dict.fromkeys(("w0", "growth", "r2", "e_fit")) | {"reason": ONE_STAGE}
    return row


def _w0_sentence(law: PopulationLaw) -> str:
    low, high = law.w0.ends
    if law.w0_inside:
        return (
            f"At that growth and depth, error is least at w_0 = {law.w0.estimate:.1f}"
            f" (95% interval {low:.1f} to {high:.1f})."
        )
    return (
        f"Which w_0 is best at that growth and depth is not shown: any from {low:.1f} to {high:.1f} may be"
        " (95%)."
    )


def _evidence_sentence(found: LawEvidence) -> str:
    answers = {HOLDS: "the line is enough", FREE: "the line is not enough"}
    return (
        f"A line against one mean per stage by BIC ({found.gain:+.1f}): "
        f"{answers.get(found.answer, 'these networks do not tell whether the line is enough')}; the stage"
        f" farthest from it departs by a factor of {found.bend:.2f}."
    ).replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if np.isfinite(share) else "nothing"
