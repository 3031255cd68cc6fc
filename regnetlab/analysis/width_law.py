"""The width law of networks: each one's own, the one that the best of them share, and RegNets from it.

The law forwards, and its two notations, are in ``regnetlab.spaces.law``; the fits of one network in
``log_linear_fit`` and ``quantized_fit``.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
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
    PopulationLaw,
    fits_of_all,
    population_law,
)
from regnetlab.analysis.quantized_fit import fit_quantized
from regnetlab.analysis.result import Result
from regnetlab.arguments import WHOLE, WINDOW, takes
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.ranges import PAPER_RANGES, Ranges
from regnetlab.spaces.regime import Regime, parse_window
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
    without_law,
)

Notation = Literal["log-linear", "quantized"]
LOG_LINEAR: Notation = "log-linear"
NOTATIONS = get_args(Notation)
DERIVED_NETWORKS = 8
"""RegNets that are derived where nothing else is said."""


@dataclass(frozen=True, repr=False)
class WidthLaw(Result):
    """What the widths of trained networks follow.

    ``fits`` has a row for each network: name, space, error, depths, widths and the parameters of its law in
    this ``notation`` (log-linear: ``w0, growth, r2, e_fit``; quantized: ``w0, wa, wm, e_fit`` and
    the ``fitted_depths`` and ``fitted_widths`` that the law gives), NaN for a log-linear fit of one stage.
    ``population`` is the log-linear law of the best of the ``scored`` networks, which have an error and
    widths that were drawn freely; where there is none, ``reason`` says why. ``failed`` and ``incomplete``
    networks have no error. ``networks`` are the trainings behind all that, ``drawn`` where they come from.
    """

    notation: Notation
    fits: pd.DataFrame
    population: PopulationLaw | None
    reason: InputError | None
    scored: int
    failed: int
    incomplete: int
    guess: Guessing | None = None
    notes: tuple[str, ...] = ()
    networks: pd.DataFrame = field(default_factory=pd.DataFrame)
    drawn: Trials | None = None

    def __repr__(self) -> str:
        law = self.population
        found = f"no law: {self.reason}" if law is None else f"w_i ≈ {self.formula}, best {law.n_best}"
        return f"WidthLaw({found} of {self.scored} networks)" if law else f"WidthLaw({found})"

    @property
    def formula(self) -> str:
        """The law of the best, as in ``11.9 · 1.67^i``; empty where there is none."""
        law = self.population
        return "" if law is None else f"{law.w0.estimate:.1f} · {law.growth.estimate:.2f}^i"

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
    ) -> list[Network]:
        """RegNets that have the law of the best networks, the nearest to it first.

        Args:
            n: How many at most.
            flops: The window that they lie in, as in ``"0.8M:1.2M"``; by default that of the study, or the
                range of the networks' own flops.
            template: What they are built on; by default ``self.template``.
            ranges: Of widths, depths, group widths and bottleneck ratios; by default the study's, or the
                paper's.
            se_ratio: Of squeeze and excitation; by default that of all networks, if they share one.

        Raises:
            InputError: There is no law, it does not grow, or no RegNet on it lies in the window.
        """
        if n < 1:
            raise InputError(f"n is {n}", "derive one RegNet at least")
        if self.population is None:
            raise self.reason or InputError("there is no law of the best networks")
        shape = self.template if template is None else template
        if flops is not None:
            regime = Regime(flops=parse_window("flops", flops))
        else:
            known = None if self.drawn is None else self.drawn.regime
            regime = told_regime(self.networks) if known is None else known
        own = None if self.drawn is None else self.drawn.ranges
        squeeze = told_se_ratio(self.networks) if se_ratio is None else se_ratio
        configs = derive(self.population, n, shape, regime, ranges or own or PAPER_RANGES, squeeze)
        return [
            Network(config.text, shape, **config_complexity(config, shape), config=config)
            for config in configs
        ]

    def remarks(self) -> list[str]:
        """The law of the best in sentences, and whether a line describes their widths."""
        law = self.population
        if law is None:
            return [f"No width law: {self.reason}."]
        grows = (
            "grow from stage to stage"
            if law.growth.low > 1
            else "fall from stage to stage"
            if law.growth.high < 1
            else "may grow or fall"
        )
        lost = f" ({self.failed} more failed)" if self.failed else ""
        growth, low, high = law.growth.estimate, law.growth.low, law.growth.high
        sentence = (
            f"The widths of the best {law.n_best} of {law.n} freely drawn networks{lost} {grows}:"
            f" by a factor of {growth:.2f} a stage (95% interval {low:.2f} to {high:.2f})."
            f" One line explains {_percent(law.r2)} of the variance of their log widths, a line of its own"
            f" {_percent(law.median_r2)} of a typical network's."
        )
        return [sentence] if law.evidence is None else [sentence, _evidence_sentence(law.evidence)]

    def to_pandas(self) -> pd.DataFrame:
        """A copy of ``fits``."""
        return self.fits.copy()

    def to_json(
        self, template: Template | None = None, derived: Sequence[Network] = (), reason: str | None = None
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
            "template": None if template is None else asdict(template) | {"input": template.input},
            "derived": [each.to_json() for each in derived],
            "derived_reason": reason,
            "failed": self.failed,
            "notes": list(self.notes),
        }

    def _population(self) -> dict[str, Any] | None:
        law = self.population
        if law is None:
            keys = ("w0", "growth", "growth_interval", "r2", "median_r2")
            empty = {"n": self.scored, "n_best": 0, **dict.fromkeys(keys), "reason": str(self.reason)}
            return empty if self.scored else None
        return {
            "n": law.n,
            "n_best": law.n_best,
            "w0": law.w0.estimate,
            "w0_interval": [law.w0.low, law.w0.high],
            "growth": law.growth.estimate,
            "growth_interval": [law.growth.low, law.growth.high],
            "r2": law.r2,
            "median_r2": law.median_r2,
            "depth_growth": law.depth_growth,
            "depth": law.depth,
        }


def fit_law(trials: Trials, notation: Notation = LOG_LINEAR) -> WidthLaw:
    """Fit the width law to every network, and to the best of those whose widths were drawn freely.

    Args:
        trials: Trained networks, or networks without errors, which have fits and no law of the best.
        notation: Of each network's own fit: ``log-linear`` or ``quantized``.

    Returns:
        The law. It has no ``population``, and no ``fits`` either where widths are not known, if the trials
        can't carry one; ``reason`` says why.
    """
    every, reason, law = trials.frame, None, None
    try:
        networks = with_widths(every)
    except InputError as error:
        networks, reason = every.head(0), error
    scored = complete(without_law(networks))
    if reason is None and not len(scored):
        reason = InputError("no network has an error, so there are no best ones")
    if reason is None:
        try:
            law = population_law(scored)
        except InputError as error:
            reason = error
    unfinished = len(incomplete(every))
    return WidthLaw(
        notation=notation,
        fits=_fits(notation, networks_of(networks)),
        population=law,
        reason=reason,
        scored=len(scored),
        failed=len(networks_of(every)) - len(complete(every)) - unfinished,
        incomplete=unfinished,
        guess=trials.guess,
        notes=trials.notes,
        networks=networks,
        drawn=trials,
    )


def _fits(notation: Notation, networks: pd.DataFrame) -> pd.DataFrame:
    """The table of ``WidthLaw.fits``."""
    table = networks[["name", "space", "error", "depths", "widths"]].reset_index(drop=True)
    if notation == LOG_LINEAR:
        fits = fits_of_all(networks)
        return table.assign(w0=fits.w0, growth=fits.growth, r2=fits.r2, e_fit=fits.e_fit)
    columns = zip(
        *(networks[name] for name in ("depths", "widths", "group_widths", "bottleneck_ratios")), strict=True
    )
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


def _evidence_sentence(found: LawEvidence) -> str:
    answers = {HOLDS: "the line is enough", FREE: "the line is not enough"}
    return (
        f"A line against one mean per stage by BIC ({found.gain:+.1f}): "
        f"{answers.get(found.answer, 'these networks do not tell whether the line is enough')}; the stage"
        f" farthest from it departs by a factor of {found.bend:.2f}."
    ).replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if np.isfinite(share) else "nothing"
