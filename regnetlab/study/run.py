"""Running a study: train what its stages ask for, one after another, and leave its tables behind."""

from regnetlab.files import write_atomically
from regnetlab.models.registry import find_model
from regnetlab.study.baselines import hand_designed
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import provenance_json
from regnetlab.study.results import baselines_frame
from regnetlab.study.session import Options, Session, open_session, prepare
from regnetlab.study.stages import State, settle_next, study_state
from regnetlab.training.devices import find_device
from regnetlab.training.latency import latency
from regnetlab.trials.csv_tables import BASELINES, LATENCY_BATCHES
from regnetlab.trials.table import trials_of


def run_study(plan: Plan, options: Options, observer: Observer) -> State:
    """Train what is missing and leave store and trials.csv behind, however it ends.

    A run that is killed at any moment loses the models in flight and nothing else; run again, it goes on with
    what is missing. A plan without a stated number of images is run with the number that ``prepare`` finds.

    Raises:
        InputError: Before anything is trained: the plan does not fit the data, the device or the executor is
            not there, the study is being run already, or it changed.
    """
    prepared = prepare(plan, options)
    hand_designed(prepared.plan)  # refuses a baseline that is not known or can't be had
    with open_session(prepared, options, observer, test_split=True) as session:
        try:
            state = _train_stages(session)
            _measure_latencies(session, state, options)
        finally:
            state = study_state(session.plan, session.store)
            _write_tables(session, state)
    return state


def _train_stages(session: Session) -> State:
    """Train what is planned, settle what follows from it, train that, until nothing follows any more."""
    while True:
        state = study_state(session.plan, session.store)
        session.observer.on_begin(state.jobs, state.scores)
        session.train(state.jobs)
        state = study_state(session.plan, session.store)
        if session.stop.is_set() or state.missing:
            return state
        if not settle_next(session.plan, session.store, state, session.observer.on_note):
            return state


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
        build = find_model(model).build
        measured = [latency(build, session.plan.template, device, batch) for batch in LATENCY_BATCHES]
        known[model] = {str(each.batch): [each.median, each.low, each.high] for each in measured}
        session.store.keep("latencies", known)


def _write_tables(session: Session, state: State) -> None:
    plan, store = session.plan, session.store
    write_atomically(plan.trials, trials_of(state.jobs, state.scores).to_csv())
    write_atomically(plan.provenance, provenance_json(store))
    if state.baselines.contenders:
        rows = baselines_frame(state, store.fact("latencies"))
        write_atomically(plan.baselines_table, BASELINES.csv(rows))
