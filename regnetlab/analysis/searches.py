"""Searches against random search at equal cost: the best so far after k trainings, and what k draws give.

A search is read from a study's store, or from searches.csv where there is none. It never becomes a
population: what it trained was chosen, so its errors say nothing of its space.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.space_errors import SpaceErrors, space_errors
from regnetlab.analysis.statistics.pareto import pareto_front
from regnetlab.analysis.statistics.random_search import AtRandom, best_at_random
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.config import Config
from regnetlab.spaces.ratio import parse_ratio
from regnetlab.spaces.space import SPACES
from regnetlab.study.plan import Plan
from regnetlab.study.search import protocol
from regnetlab.study.search_store import kept_searches
from regnetlab.study.search_table import COLUMNS, searches_csv
from regnetlab.training.budget import WORST
from regnetlab.training.guessing import Guessing


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One search: its trainings in the order of their proposals; an error is NaN where one failed."""

    space: str
    sampler: str
    seed: int
    batch: int
    protocol: str
    models: tuple[str, ...]
    errors: Floats
    flops: Floats
    params: Floats
    acts: Floats
    seconds: Floats

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def failed(self) -> int:
        return int(np.isnan(self.errors).sum())

    @property
    def best_so_far(self) -> Floats:
        """The least error of the first k trainings for each k, NaN while all failed; shape (n,)."""
        return np.asarray(np.fmin.accumulate(self.errors), np.float64)

    @property
    def best(self) -> int | None:
        """The place of the least error; of equal ones the first."""
        return None if np.isnan(self.errors).all() else int(np.nanargmin(self.errors))

    @property
    def front(self) -> list[int]:
        """Places of the networks that no other of the search beats in error and flops at once, by flops."""
        done = np.flatnonzero(~np.isnan(self.errors))
        return [int(done[i]) for i in pareto_front(self.flops[done], self.errors[done])]

    def first(self, n: int) -> "Trajectory":
        columns = (self.errors, self.flops, self.params, self.acts, self.seconds)
        facts = (self.space, self.sampler, self.seed, self.batch, self.protocol)
        return Trajectory(*facts, self.models[:n], *(column[:n] for column in columns))


def study_searches(plan: Plan) -> list[Trajectory]:
    """The searches that cost and earn what the study's own trainings do: same space, budget, recipe, data.

    Others, such as those made before the study file was changed, are left out.
    """
    known = {name: space.within(plan.ranges) for name, space in SPACES.items()}
    known |= {draw.space.name: draw.space for draw in plan.draws}
    return [
        each
        for each in all_searches(plan)
        if each.space in known and each.protocol == protocol(plan, known[each.space])
    ]


def all_searches(plan: Plan) -> list[Trajectory]:
    """Every search in the folder of this plan, of whatever protocol."""
    if plan.searches_store.exists():
        text = searches_csv(kept_searches(plan.searches_store))
    elif plan.searches.exists():
        try:
            text = plan.searches.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{plan.searches} can't be read: {error}") from error
    else:
        return []
    try:
        return trajectories(list(csv.DictReader(io.StringIO(text))))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{plan.searches} is not what a search writes ({error})", f"its columns are {', '.join(COLUMNS)}"
        ) from None


def trajectories(rows: Sequence[Mapping[str, str]]) -> list[Trajectory]:
    """The searches in these rows of a searches.csv, in the order in which they come."""
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("space", "sampler", "search_seed", "batch", "protocol"))
        groups.setdefault(key, []).append(row)
    return [_trajectory(sorted(group, key=lambda row: int(row["number"]))) for group in groups.values()]


def rivals(plan: Plan, networks: pd.DataFrame) -> dict[str, SpaceErrors]:
    """The populations by space, as one training of each network knows them: what a search pays for.

    Networks of another budget than the plan's are left out: a trials.csv may be older than its study file.
    """
    budget = plan.budget
    seen = budget.steps * min(budget.images, budget.batch_size)
    numbers = {
        name: pd.to_numeric(networks[name], errors="coerce")
        for name in ("replicate", "images", "epochs", "batch_size")
        if name in networks
    }
    if len(numbers) < 4:
        return {}
    alike = (numbers["epochs"] == budget.epochs) & (numbers["batch_size"] == budget.batch_size)
    alike &= (numbers["images"] == seen) | networks["error"].isna()
    return {each.space: each for each in space_errors(networks[alike & (numbers["replicate"] == 0)])}


def at_random(search: Trajectory, population: SpaceErrors) -> AtRandom:
    """What random search finds at the search's cost, as far as the population goes.

    k is the number of the search's trainings, or of the population's networks if these are fewer; failed
    trainings count on both sides.
    """
    errors = population.with_failures
    k = min(len(search), len(errors))
    best = search.best_so_far[k - 1]
    return best_at_random(errors, k, WORST if np.isnan(best) else float(best))


def searched(
    search: Trajectory, study: str | None, population: SpaceErrors | None, guess: Guessing | None = None
) -> dict[str, Any]:
    """The result of a search as the commands' JSON has it; ``guess`` is what guessing earns."""
    best_error = [] if search.best is None else [float(search.errors[search.best])]
    document: dict[str, Any] = {
        "study": study,
        "space": search.space,
        "sampler": search.sampler,
        "seed": search.seed,
        "batch": search.batch,
        "trials": len(search),
        "complete": len(search) - search.failed,
        "failed": search.failed,
        "best": None if search.best is None else _network(search, search.best),
        **guessed(guess, {f"the best of {len(search)}": best_error}, max(len(search), 1)),
    }
    if search.sampler == "nsga2":
        document["front"] = [_network(search, place) for place in search.front]
    if population is not None and len(search) and len(population.with_failures):
        found = at_random(search, population)
        best = search.best_so_far[found.k - 1]
        document["random"] = {
            "population": found.n,
            "k": found.k,
            "expected": found.expected,
            "interval": [found.low, found.high],
            "search": None if np.isnan(best) else float(best),
            "as_good": found.as_good,
            "as_bad": found.as_bad,
        }
    else:
        document["random"] = None
    return document


def _network(search: Trajectory, place: int) -> dict[str, Any]:
    return {
        "number": place,
        "model": search.models[place],
        "error": float(search.errors[place]),
        **{name: int(getattr(search, name)[place]) for name in ("flops", "params", "acts")},
    }


def _trajectory(rows: Sequence[Mapping[str, str]]) -> Trajectory:
    first = rows[0]
    numbers = [int(row["number"]) for row in rows]
    whole = next((i for i, number in enumerate(numbers) if i != number), len(rows))
    rows = rows[:whole]  # what a killed search trained beyond a gap is for its next run
    return Trajectory(
        first["space"],
        first["sampler"],
        int(first["search_seed"]),
        int(first["batch"]),
        first["protocol"],
        tuple(map(_model, rows)),
        np.array([float(row["error"]) if row["error"] else np.nan for row in rows]),
        *(np.array([float(row[name]) for row in rows]) for name in ("flops", "params", "acts", "seconds")),
    )


def _model(row: Mapping[str, str]) -> str:
    depths, widths, groups = (
        tuple(map(int, row[name].split())) for name in ("depths", "widths", "group_widths")
    )
    return Config(depths, widths, groups, tuple(map(parse_ratio, row["bottleneck_ratios"].split()))).text
