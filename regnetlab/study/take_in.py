"""The tables of a study that came without its store: their rows are finished trainings.

A clone of a study has trials.csv, perhaps baselines.csv and retrained.csv, and no study.db. Each row has to
be a training that the plan asks for; then ``run`` begins with them and trains only what is missing. Curves,
seconds and errors come over as they are, so that trials.csv is written again byte for byte.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.spaces.space import REGNET, SPACES
from regnetlab.study.baselines import (
    UNSETTLED,
    Baselines,
    Basis,
    Contender,
    final_jobs,
    go_on,
    hand_designed,
    tuning_jobs,
)
from regnetlab.study.changes import accepted_changes, facts_of
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import data_facts, device_in, written
from regnetlab.study.stages import State, derive_inputs, derived_facts, derived_jobs, walked_jobs
from regnetlab.training.budget import COMPLETE, WORST, CurvePoint, Score
from regnetlab.trials.csv_tables import BASELINES, FIDELITY, LATENCY_BATCHES, TRIALS, Table
from regnetlab.trials.csv_tables import RETRAINED as RETRAINED_TABLE
from regnetlab.trials.job import DERIVED, FINAL, MOST_AGAIN, RETRAINED, TUNING, Job, Trial, fresh_seeds
from regnetlab.trials.table import model_cell

if TYPE_CHECKING:
    from regnetlab.training.datasets import DataSet
    from regnetlab.trials.store import Store

_COUNTS = ("flops", "params", "acts")
_DERIVED_NAME = re.compile(rf"{REGNET.name} {DERIVED} \d{{1,9}}")


@dataclass(frozen=True, slots=True)
class Tables:
    """Finished trainings by identity, and what the tables show to be decided.

    ``configs`` are the derived RegNets, ``None`` where they are to be derived again: the plan asks for more
    networks than trials.csv has (and they are ``outdated``), or not all of them were trained. ``latencies``
    as the store keeps them.
    """

    plan: Plan
    trainings: Mapping[str, tuple[Job, Score]]
    configs: Sequence[Config] | None
    baselines: Baselines
    latencies: Mapping[str, Mapping[str, Sequence[float]]]
    outdated: Sequence[Config] = ()

    @property
    def state(self) -> State:
        """Where the study stands by its tables. Needs no torch."""
        jobs = [*walked_jobs(self.plan), *derived_jobs(self.plan, self.configs or ())]
        if self.baselines.contenders:
            jobs += tuning_jobs(self.plan, self.baselines.contenders)
            jobs += final_jobs(self.plan, self.baselines)
        asked = {job.identity for job in jobs}
        scores = {key: score for key, (_, score) in self.trainings.items() if key in asked}
        return State(tuple(jobs), scores, self.configs is not None, self.baselines, bool(self.outdated))

    def basis(self, data: "DataSet", device: str | None, accept: bool) -> Basis:
        """On which data and device they count: those that provenance.json records.

        Raises:
            InputError: It is not there, or says something else than this run has, and that is not accepted;
                or the plan is another one than it was.
        """
        plan, facts = self.plan, written(self.plan)
        now = {"protocol": protocol(plan), **data_facts(data, plan.budget)}
        if not _says_where(facts):
            if not accept:
                raise InputError(
                    f"study {plan.name}: {plan.provenance.name} is missing, or doesn't say on which data and"
                    f" device {plan.trials.name} was trained",
                    f"bring that back, move {plan.trials.name} away to train again, or count its rows as"
                    " trained here with --accept-change",
                )
            return Basis(data.checksum, device)
        same = facts["data_checksum"] == data.checksum
        for name in ("protocol", *(("images", "validation_images") if same else ())):
            if facts.get(name, now[name]) != now[name]:
                what = "template, budget, recipe or seed" if name == "protocol" else name.replace("_", " ")
                raise InputError(
                    f"{plan.trials.name} of study {plan.name} was trained with another {what} than"
                    " study.toml states",
                    _hint(plan.trials),
                )
        basis = Basis(str(facts["data_checksum"]), device_in(facts))
        accepted_changes(plan, facts_of(plan, *basis), facts_of(plan, data.checksum, device), accept)
        return basis

    def check_contest(self) -> None:
        """Raise ``InputError`` where the test split was used and the plan names other baselines than then."""
        if self.baselines.chosen is None or self.plan.baselines is None:
            return
        drawn = [each for each in self.baselines.contenders if _is_regnet(each.name)]
        others = [each for each in self.baselines.contenders if each not in drawn]
        regnets = self.plan.baselines.regnets
        if others != hand_designed(self.plan) or (regnets != "equal" and len(drawn) > regnets):
            table = self.plan.baselines_table
            raise InputError(
                f"study {self.plan.name}: {table.name} has final trainings, which used the test split, of"
                " other networks than [baselines] names",
                _hint(table),
            )

    def keep(self, store: "Store", basis: Basis) -> str:
        """Keep everything in a store that has no training; what was done, in words."""
        plan = self.plan
        facts, accepted = written(plan), []
        if facts:
            store.keep("provenance", facts)
        if not _says_where(facts):
            when = datetime.now(UTC).isoformat(timespec="seconds")
            accepted.append({"when": when, "changes": {plan.provenance.name: [None, "as this run"]}})
        store.keep("changes", {"began": facts_of(plan, *basis), "accepted": accepted})
        if self.configs is not None:
            store.keep("derived", derived_facts(plan, walked_jobs(plan), self.configs, basis))
        elif self.outdated:  # which follows from nothing that the plan asks for: they are derived again
            store.keep("derived", {"configs": [config.text for config in self.outdated]})
        if self.baselines.contenders:
            store.keep("contest", self.baselines.as_dict(plan, basis))
            store.keep("latencies", self.latencies)
        trials = (Trial(job, score, basis.data, basis.device or "") for job, score in self.trainings.values())
        store.add_all(trials)  # last: a store with trainings has everything
        tables = (plan.trials, plan.baselines_table, plan.retrained)
        files = [path.name for path in tables if path.exists()]
        count = len(self.trainings)
        return f"{count:,} training{'s' * (count != 1)} taken in from {' and '.join(files)}"


def unread_tables(plan: Plan) -> Tables | None:
    """The tables of a study whose store has no training yet; ``None`` where there is nothing to take in.

    Raises:
        InputError: A row is no training that the plan asks for.
    """
    if not plan.trials.exists():
        return None
    if plan.store.exists():
        from regnetlab.trials.store import open_store  # SQLAlchemy

        if open_store(plan.store).count():
            return None
    tables = read_tables(plan)
    return tables if tables.trainings else None


def read_tables(plan: Plan) -> Tables:
    """The trainings in trials.csv, baselines.csv and retrained.csv; raises as above."""
    found: dict[str, tuple[Job, Score]] = {}
    population = {(job.space, job.index, job.replicate): job for job in walked_jobs(plan)}
    derived: dict[int, Config] = {}
    for line, row in TRIALS.rows(plan.trials):
        where = f"{plan.trials.name}, line {line}"
        if row["space"] == DERIVED:
            job = _derived_job(plan, row, derived, where)
        else:
            job = population.get((row["space"], row["index"], row["replicate"]))
        if job is None:
            raise InputError(
                f"{where}: study.toml asks for no network {row['index']} of {row['space'][:60]!r} with"
                f" replicate {row['replicate']}",
                _hint(plan.trials),
            )
        _check_row(TRIALS, row, _expected(job), where, plan.trials)
        _add(found, job, _score(row, job, where, plan.trials), where, plan.trials)
    whole = all(job.identity in found for job in population.values())
    baselines = UNSETTLED
    latencies: dict[str, dict[str, list[float]]] = {}
    if plan.baselines is not None and plan.baselines_table.exists():
        baselines, latencies = _read_contest(plan, population.values(), found)
    if plan.retrained.exists():
        _read_retrained(plan, found)
    configs = [derived[index] for index in sorted(derived)]
    decided = sorted(derived) == list(range(len(derived))) and all(
        job.identity in found for job in derived_jobs(plan, configs)
    )
    # A law may have fewer RegNets in a regime than were asked for; the contest begins once all are trained.
    decided &= len(configs) == plan.derived or bool(baselines.contenders) or len(configs) == _found(plan)
    known = configs if whole and decided and plan.derived else None
    outdated = configs if known is None and decided else ()
    return Tables(plan, found, known, baselines, latencies, outdated)


def _found(plan: Plan) -> int | None:
    """How many RegNets the law had by provenance.json, where it was asked for what the plan asks for."""
    facts = written(plan)
    derived = facts.get("derived") or {}
    basis = Basis(str(facts.get("data_checksum", "")), device_in(facts))
    asked = derive_inputs(plan, walked_jobs(plan), basis)
    return derived.get("regnets") if derived.get("inputs") == asked else None


def read_ladder(plan: Plan, jobs: Iterable[Job], basis: Basis) -> list[Trial]:
    """The trainings in fidelity.csv among these jobs, where provenance.json says that they were made on the
    same data, by the same device and protocol; otherwise none.

    Raises:
        InputError: A row is of another network or seed than the job of its place.
    """
    facts, path = written(plan), plan.fidelity
    same = facts.get("data_checksum") == basis.data and device_in(facts) == (basis.device or "")
    if not path.exists() or not same or facts.get("protocol", protocol(plan)) != protocol(plan):
        return []
    budget_names = ("images", "epochs", "batch_size", "validation")
    asked = {
        (*(getattr(job.budget, name) for name in budget_names), job.space, job.index, job.replicate): job
        for job in jobs
    }
    found: dict[str, tuple[Job, Score]] = {}
    for line, row in FIDELITY.rows(path):
        where = f"{path.name}, line {line}"
        job = asked.get(tuple(row[name] for name in (*budget_names, "space", "index", "replicate")))
        if job is not None:
            expected = {name: getattr(job, name) for name in ("model", "seed", *_COUNTS)}
            _check_row(FIDELITY, row, expected, where, path)
            curve = _curve(row["curve"], where, path)
            seen = {"images": curve[-1].images if curve else 0}
            _add(found, job, _score(row | seen, job, where, path), where, path)
    return [Trial(job, score, basis.data, basis.device or "") for job, score in found.values()]


def protocol(plan: Plan) -> str:
    """A hash of what all trainings of a plan share: template, data, budget, recipe and seed."""
    return plan.job("", plan.seed).identity


def _derived_job(plan: Plan, row: Mapping[str, Any], derived: dict[int, Config], where: str) -> Job | None:
    """The training of a RegNet, which is added to ``derived``; ``None`` where the plan derives none such."""
    index, replicate = int(row["index"]), int(row["replicate"])
    if not 0 <= index < plan.derived or not 0 <= replicate < plan.seeds:
        return None
    try:
        config = derived.setdefault(index, Config(*(row[name] for name in STAGE_COLUMNS)))
        jobs = derived_jobs(plan, [config])
    except InputError as error:
        raise error.at(where) from None
    return replace(jobs[replicate], index=index)


def _read_contest(
    plan: Plan,
    population: "Iterable[Job]",
    found: dict[str, tuple[Job, Score]],
) -> tuple[Baselines, dict[str, dict[str, list[float]]]]:
    """The trainings of baselines.csv, added to ``found``, and what they show to be settled.

    Contenders are settled once all of them were tuned; what was tuned of fewer is kept as trainings alone.
    """
    table, lines = plan.baselines_table, list(BASELINES.rows(plan.baselines_table))
    drawn = {f"{REGNET.name} {job.index}": job.model for job in population if job.space == REGNET.name}
    contenders: dict[str, Contender] = {}
    latencies: dict[str, dict[str, list[float]]] = {}
    for line, row in lines:
        where = f"{table.name}, line {line}"
        flops, params, acts = (int(row[name]) if math.isfinite(row[name]) else 0 for name in _COUNTS)
        each = Contender(row["contender"], row["model"], row["family"], flops, params, acts, row["group"])
        if each.name not in contenders:
            _check_regnet(plan, each, drawn, where)
        if contenders.setdefault(each.name, each) != each:
            raise _other_network(each, where, table)
        times = {str(batch): [row[f"latency_{batch}_ms"]] for batch in LATENCY_BATCHES}
        if not any(math.isnan(time) for (time,) in times.values()):
            latencies[each.model] = times
    settled = Baselines(tuple(contenders.values()))
    jobs = tuning_jobs(plan, settled.contenders)
    _take(lines, TUNING, jobs, table, found)
    tuned = all(job.identity in found for job in jobs)
    judged = any(row["stage"] == FINAL for _, row in lines)
    if judged and not tuned:
        raise InputError(
            f"{table.name} has final trainings and lacks some of the tuning that study.toml asks for",
            _hint(table),
        )
    if judged:
        settled = Baselines(
            settled.contenders, go_on(settled.contenders, [(job, found[job.identity][1]) for job in jobs])
        )
        _take(lines, FINAL, final_jobs(plan, settled), table, found)
    for line, row in lines:
        if row["stage"] not in (TUNING, FINAL):
            raise InputError(f"{table.name}, line {line}: stage is {row['stage'][:40]!r}", _hint(table))
    return (settled, latencies) if judged else (UNSETTLED, {})


def _check_regnet(plan: Plan, found: Contender, drawn: Mapping[str, str], where: str) -> None:
    """Raise ``InputError`` where a RegNet is not the one of its name, or has other counts.

    RegNets that were derived may be earlier ones: the study may have grown since they competed.
    """
    if not _is_regnet(found.name):
        return
    try:
        counts = config_complexity(parse_config(found.model), plan.template)
    except InputError:
        raise _other_network(found, where, plan.baselines_table) from None
    named = _DERIVED_NAME.fullmatch(found.name) or drawn.get(found.name) == found.model
    if not named or any(counts[name] != getattr(found, name) for name in _COUNTS):
        raise _other_network(found, where, plan.baselines_table)


def _other_network(found: Contender, where: str, table: Path) -> InputError:
    return InputError(f"{where}: {found.name[:60]!r} is not the network that it was", _hint(table))


def _read_retrained(plan: Plan, found: dict[str, tuple[Job, Score]]) -> None:
    """The trainings of retrained.csv, added to ``found``."""
    table = plan.retrained
    for line, row in RETRAINED_TABLE.rows(table):
        where, model = f"{table.name}, line {line}", row["model"]
        try:
            config = parse_config(model)
            counts: Mapping[str, Any] = config_complexity(config, plan.template)
        except InputError as error:
            raise error.at(where) from None
        if not (0 <= row["first"] <= WORST and 1 <= row["rank"] <= row["of"]):
            raise InputError(
                f"{where}: number {row['rank']} of {row['of']} with error {row['first']:g} can't be",
                _hint(table),
            )
        if row["space"].partition(", ")[0] not in {
            DERIVED,
            *SPACES,
            *(draw.space.name for draw in plan.draws),
        }:
            raise InputError(f"{where}: the study has no space {row['space'][:60]!r}", _hint(table))
        if row["seed"] not in islice(fresh_seeds(plan.seed, model), 2 * MOST_AGAIN):
            raise InputError(
                f"{where}: {row['seed']} is no seed to train that network again with", _hint(table)
            )
        job = plan.job(model, row["seed"], space=RETRAINED, index=row["index"], config=config, **counts)
        _add(found, job, _score(row, job, where, table), where, table)


def _take(
    lines: Sequence[tuple[int, Mapping[str, Any]]],
    stage: str,
    jobs: Sequence[Job],
    table: Path,
    found: dict[str, tuple[Job, Score]],
) -> None:
    rate = BASELINES.columns["lr"]
    asked = {(job.model, rate.read(rate.write(job.recipe.lr)), job.seed): job for job in jobs}
    for line, row in lines:
        if row["stage"] == stage:
            where = f"{table.name}, line {line}"
            job = asked.get((row["model"], row["lr"], row["seed"]))
            if job is None:
                raise InputError(
                    f"{where}: study.toml asks for no {stage} training of {row['contender'][:60]!r} at lr"
                    f" {row['lr']:g} with seed {row['seed']}",
                    _hint(table),
                )
            _add(found, job, _score(row, job, where, table), where, table)


def _expected(job: Job) -> dict[str, Any]:
    """The cells of a row of trials.csv that the plan decides."""
    law = dict(job.law)
    config = (
        {"id": job.config.id} | {name: getattr(job.config, name) for name in STAGE_COLUMNS}
        if job.config
        else {}
    )
    counts = {name: getattr(job, name) for name in _COUNTS}
    budget = {"epochs": job.budget.epochs, "batch_size": job.budget.batch_size}
    return {
        **config,
        **counts,
        **{name: law.get(name) for name in ("w0", "wa", "wm")},
        "model": model_cell(job),
        "seed": job.seed,
        **budget,
    }


def _check_row(
    table: Table, row: Mapping[str, Any], expected: Mapping[str, Any], where: str, path: Path
) -> None:
    for name, value in expected.items():
        column = table.columns[name]
        text = column.write(value)
        if row[name] != column.read(text) and not (text == "" and math.isnan(row[name])):
            try:
                is_text = column.write(row[name])
            except (ValueError, OverflowError):  # a number that is none
                is_text = "" if math.isnan(row[name]) else str(row[name])
            raise InputError(
                f"{where}: {name} is {is_text[:40] or 'empty'!r}, study.toml asks for {text or 'none'!r}",
                _hint(path),
            )


def _score(row: Mapping[str, Any], job: Job, where: str, path: Path) -> Score:
    """What a row says that its training earned."""
    budget = job.budget
    error, test_error = _or_none(row["error"]), _or_none(row.get("test_error", math.nan))
    complete = row["ended"] == COMPLETE
    seen = budget.epochs * (budget.complete_steps * budget.images_per_step + budget.incomplete)
    errors = [each for each in (error, test_error) if each is not None]
    if complete and row["images"] != seen:
        wrong = f"images is {row['images']:g}, study.toml asks for {seen}"
    elif complete != (error is not None) or (complete and job.final) != (test_error is not None):
        wrong = f"ended is {row['ended'][:40]!r}, which does not go with its errors"
    elif not all(0 <= each <= WORST for each in errors):
        wrong = f"error is {next(each for each in errors if not 0 <= each <= WORST):g}"
    elif not (0 <= row["seconds"] < math.inf and 0 <= row["images"] < math.inf):
        wrong = "seconds and images are not all there"
    else:
        curve = _curve(row.get("curve", "[]"), where, path)
        correct = row.get("correct") or None
        return Score(error, curve, row["seconds"], int(row["images"]), row["ended"], test_error, correct)
    raise InputError(f"{where}: {wrong}", _hint(path))


def _curve(text: str, where: str, path: Path) -> tuple[CurvePoint, ...]:
    try:
        return tuple(
            CurvePoint(int(images), float(loss), float(error), None if judged is None else float(judged))
            for images, loss, error, judged in json.loads(text)
        )
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InputError(f"{where}: curve is {text[:40]!r}", _hint(path)) from None


def _add(found: dict[str, tuple[Job, Score]], job: Job, score: Score, where: str, path: Path) -> None:
    """Add a training; one that two rows tell of, such as of a derived RegNet that was drawn too, is one."""
    _, known = found.setdefault(job.identity, (job, score))
    if (known.error, known.test_error, known.ended) != (score.error, score.test_error, score.ended):
        raise InputError(f"{where}: another row has the same training with another error", _hint(path))


def _says_where(facts: Mapping[str, Any]) -> bool:
    return bool(facts.get("data_checksum") and device_in(facts))


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _is_regnet(name: str) -> bool:
    return name.startswith(f"{REGNET.name} ")


def _hint(path: Path) -> str:
    return f"put study.toml and {path.name} back as they were, or move {path.name} away to train again"
