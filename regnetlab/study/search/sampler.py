"""Proposals: Optuna's own samplers, asked until they name a network of the space and regime.

A proposal is a function of the search, its number and what was told before its batch; the sampler's random
numbers derive from the search's seed and that number. So nothing of a sampler has to be kept: a search that
was killed goes on with the proposals that an undisturbed one makes.

Networks outside of the space or regime, and those that the search has already, are refused as soon as they
are named. They cost no training and are not told to the sampler: Optuna's constraint functions are advice
to two of the samplers and unknown to the third, a training is not to be spent on what they let through, and
the narrow regimes here would bury the errors under thousands of refusals.

Where a sampler names no such network for long, one is drawn from the space, as its population is.
"""

import hashlib
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from regnetlab.spaces.sampler import sample
from regnetlab.study.search.definition import NSGA2, TPE, Candidate, Search, Step
from regnetlab.study.search.space import distributions, expressed, proposed, with_notes
from regnetlab.training.budget import WORST

FAILED: Mapping[str, float] = MappingProxyType({"error": WORST, "flops": 1e18})
"""What a sampler is told of a network that earned no error: the worst that can happen, in flops too, or a
small network that fails would count as one that no other beats."""

_ASKS = 1_000
"""Refusals after which a network is drawn from the space instead."""


def propose(search: Search, told: Sequence[Step], pending: Sequence[Candidate], number: int) -> Candidate:
    """The proposal with this number.

    ``told`` are the finished trainings of earlier batches, ``pending`` the proposals of its own batch
    before it. Raises ``InputError`` where the space has no other network in the regime (``spaces.sampler``).
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = distributions(search.space, len(search.plan.template.strides))
    seen = {each.config.text for each in (*(step.proposal for step in told), *pending)}
    sampler = _Feasible(search, space, seen, _seed(search, number))
    study = optuna.create_study(directions=["minimize"] * len(search.objectives), sampler=sampler)
    study.add_trials([_trial(step.proposal, space, values(search, step)) for step in told])
    study.add_trials([_trial(each, space, None) for each in pending])
    study.ask(space)
    return with_notes(sampler.found, study.get_trials(deepcopy=False)[-1].system_attrs)


def values(search: Search, step: Step) -> list[float]:
    """What a sampler is told of a training, in the order of the search's objectives."""
    error = step.score.error
    known = FAILED if error is None else {"error": error, "flops": float(step.proposal.counts["flops"])}
    return [known[name] for name in search.objectives]


class _Feasible(BaseSampler):
    """Another sampler, asked again until its answer is a new network of the space and regime."""

    found: Candidate

    def __init__(self, search: Search, space: dict[str, BaseDistribution], seen: Set[str], seed: int) -> None:
        self._search, self._space, self._seen = search, space, seen
        self._asked, self._seed = _sampler(search, seed), seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        together = self._asked.infer_relative_search_space(study, trial)
        plan = self._search.plan
        for _ in range(_ASKS):
            modelled = self._asked.sample_relative(study, trial, together)
            answer = {
                name: modelled[name]
                if name in modelled
                else _only(distribution)
                if distribution.single()
                else self._asked.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
            found = proposed(self._search.space, plan.template, plan.regime, answer)
            if found is not None and found.config.text not in self._seen:
                self.found = found
                return answer
        self.found = self._drawn()
        return dict(self.found.params)

    def _drawn(self) -> Candidate:
        space, plan = self._search.space, self._search.plan
        networks = sample(space, len(self._seen) + 1, plan.template, plan.regime, self._seed).population
        index = next(i for i, each in enumerate(networks.configs()) if each.text not in self._seen)
        return expressed(space, plan.template, plan.regime, networks.take(np.array([index])))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name} was not sampled with the others")


def _sampler(search: Search, seed: int) -> BaseSampler:
    if search.sampler == TPE:
        return TPESampler(seed=seed, multivariate=True)
    if search.sampler == NSGA2:
        return NSGAIISampler(seed=seed, population_size=search.batch)
    return RandomSampler(seed=seed)


def _seed(search: Search, number: int) -> int:
    digest = hashlib.sha256(f"search|{search.seed}|{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _trial(proposal: Candidate, space: dict[str, BaseDistribution], told: list[float] | None) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=TrialState.RUNNING if told is None else TrialState.COMPLETE,
        values=told,
        params=dict(proposal.params),
        distributions=space,
        system_attrs=dict(proposal.notes),
    )


def _only(distribution: BaseDistribution) -> Any:
    """The value of a distribution that has one alone."""
    choices = getattr(distribution, "choices", None)
    return choices[0] if choices else distribution.low  # type: ignore[attr-defined]
