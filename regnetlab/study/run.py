"""Running a study: train what its stages ask for, one after another, and leave its tables behind."""

from collections import Counter
from contextlib import suppress

from regnetlab.analysis.statistics.verdicts import UNDECIDED
from regnetlab.files import write_atomically
from regnetlab.models.registry import find_model
from regnetlab.study.baselines import hand_designed
from regnetlab.study.changes import record_planned
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import provenance_json
from regnetlab.study.results import baselines_frame, study_trials
from regnetlab.study.session import Options, Session, open_session, prepare
from regnetlab.study.stages import (
    State,
    keep_ended,
    planned_jobs,
    population_jobs,
    settle_next,
    study_state,
    up_to,
)
from regnetlab.study.status import pending
from regnetlab.study.walk import OutOfTime, train_walk
from regnetlab.training.devices import find_device
from regnetlab.training.latency import latency
from regnetlab.trials.csv_tables import BASELINES, LATENCY_BATCHES, TRIALS
from regnetlab.trials.table import trials_of
from regnetlab.trials.terms import LOOKS


def run_study(
    plan: Plan, options: Options, observer: Observer, out_of_time: OutOfTime = lambda space, share: False
) -> State:
    """Train what is missing and leave store and trials.csv behind, however it ends.

    A run that is killed at any moment loses the models in flight and nothing else; run again, it goes on with
    what is missing. A plan without a stated number of images is run with the number that ``prepare`` finds.
    Of a walk, ``out_of_time`` may end steps.

    Raises:
        InputError: Before anything is trained: the plan does not fit the data, the device or the executor is
            not there, the study is being run already, or it changed.
    """
    prepared = prepare(plan, options)
    hand_designed(prepared.plan)  # refuses a baseline that is not known or can't be had
    with open_session(prepared, options, observer, test_split=True) as session:
        try:
            _record_planned(session)
            state = _train_stages(session, out_of_time)
            _measure_latencies(session, state, options)
        except BaseException:
            with suppress(Exception):  # what happened first is told
                _write_tables(session, study_state(session.plan, session.store))
            raise
        state = study_state(session.plan, session.store)
        _write_tables(session, state)
    return state


def _record_planned(session: Session) -> None:
    state = study_state(session.plan, session.store)
    spaces = {draw.space.name for draw in session.plan.draws}
    networks = {(j.space, j.index) for j in state.jobs if j.space in spaces and j.identity in state.scores}
    if record_planned(session.plan, session.store, Counter(space for space, _ in sorted(networks))):
        session.observer.on_note(
            "the number of networks was changed after errors were known: from now on intervals hold at any"
            " number of networks, and are wider"
        )


def _train_stages(session: Session, out_of_time: OutOfTime) -> State:
    """Train what is planned, settle what follows from it, train that, until nothing follows any more."""
    while True:
        state = study_state(session.plan, session.store)
        session.observer.on_begin(state.jobs, state.scores, sum(pending(session.plan, state).values()))
        if session.plan.terms.walk:
            train_walk(session, out_of_time)
            state = study_state(session.plan, session.store)
        elif session.plan.terms.sequential and _train_looks(session):
            continue
        session.train(state.jobs)
        state = study_state(session.plan, session.store)
        if session.stop.is_set() or state.missing:
            return state
        if not settle_next(session.plan, session.store, state, session.observer.on_note):
            return state


def _train_looks(session: Session) -> bool:
    """Train the populations from one planned look to the next; whether one of them ends them early.

    They end where every step has a verdict, which then is final.
    """
    from regnetlab.analysis.compare import compare  # pandas, SciPy

    plan, store = session.plan, session.store
    if len(population_jobs(plan, store)) < len(planned_jobs(plan)):
        return False
    for share in LOOKS[:-1]:
        session.train(up_to(plan, share))
        if session.stop.is_set():
            return False
        trials = study_trials(plan)
        found = compare(trials, plan.terms)
        if len(found.steps) == len(trials.steps) and all(s.verdict != UNDECIDED for s in found.steps):
            keep_ended(plan, store, share)
            session.observer.on_note(
                f"every step has a verdict after {share:.0%} of the networks: the others are not trained"
            )
            return True
    return False


def _measure_latencies(session: Session, state: State, options: Options) -> None:
    """Latencies of the contenders, once everything is trained and the machine is quiet."""
    if state.missing or state.baselines.chosen is None:
        return
    known = session.store.fact("latencies")
    missing = [
        each.model
        for each in state.baselines.contenders
        if each.model in state.baselines.chosen and each.model not in known
    ]
    if missing:
        session.observer.on_note("measuring the contenders' inference latency")
    device = find_device("cpu" if options.executor == "dask" else options.device)
    for model in missing:
        if session.stop.is_set():
            return
        build = find_model(model).build
        measured = [latency(build, session.plan.template, device, batch) for batch in LATENCY_BATCHES]
        known[model] = {str(each.batch): [each.median, each.low, each.high] for each in measured}
        session.store.keep("latencies", known)


def _write_tables(session: Session, state: State) -> None:
    plan, store = session.plan, session.store
    texts = {plan.trials: (TRIALS, trials_of(state.jobs, state.scores).to_csv())}
    if state.baselines.contenders:
        rows = BASELINES.csv(baselines_frame(state, store.fact("latencies")))
        texts[plan.baselines_table] = BASELINES, rows
    for path, (table, text) in texts.items():
        if kept := table.write(path, text):
            session.observer.on_note(kept)
    write_atomically(plan.provenance, provenance_json(store))
