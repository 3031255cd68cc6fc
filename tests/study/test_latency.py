"""latency.csv: measured once a network, device and batch size; other machines' rows stay."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.regime import Window
from regnetlab.study.latency import measure, networks_to_time
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.stages import planned_jobs
from regnetlab.training import latency
from regnetlab.trials.csv_tables import LATENCY
from regnetlab.trials.lease import locked
from tests.study.running import ran
from tests.study.test_fidelity import SMALL

MakeStudy = Callable[..., Path]
CPU = torch.device("cpu")
SECTION = '[latency]\nbase = 0.1\nflop = 1e-7\nact = 2e-6\nbatch = 8\nprocessor = "x"\n'


@pytest.fixture
def plan(make_study: MakeStudy) -> Plan:
    return load_plan(make_study(SMALL))


def timed(plan: Plan, most: int, batches: tuple[int, ...] = (1,)) -> list[str]:
    """Measure; returns what was told."""
    told: list[str] = []
    measure(plan, networks_to_time(plan, most), CPU, batches, 0.001, told.append)
    return told


def test_what_is_measured_is_not_measured_again(plan: Plan) -> None:
    assert timed(plan, 1) == ["measuring 2 latencies, about 0.0 min"]
    first = plan.latencies.read_text()
    assert timed(plan, 1) == []
    assert plan.latencies.read_text() == first
    timed(plan, 2, (1, 4))
    rows = LATENCY.read(plan.latencies)
    assert len(rows) == 8
    assert set(first.splitlines()) <= set(plan.latencies.read_text().splitlines())
    assert (rows.low_ms > 0).all()
    assert (rows.low_ms <= rows.median_ms).all()
    assert (rows.median_ms <= rows.high_ms).all()
    assert (rows.runs >= 5).all()
    assert set(rows.device) == {"cpu"}
    assert set(rows.threads) == {1}


def test_another_machines_rows_stay_and_do_not_count_here(plan: Plan) -> None:
    timed(plan, 1)
    other = LATENCY.csv(LATENCY.read(plan.latencies).assign(processor="another", median_ms=1.0))
    plan.latencies.write_text(other)
    assert timed(plan, 1) != []
    assert len(LATENCY.read(plan.latencies)) == 4
    assert set(other.splitlines()) <= set(plan.latencies.read_text().splitlines())


def test_an_interrupted_one_keeps_what_it_has(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = latency.latency, []

    def stopping(*words: object) -> object:
        calls.append(words)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(latency, "latency", stopping)
    with pytest.raises(KeyboardInterrupt):
        timed(plan, 2)
    assert len(LATENCY.read(plan.latencies)) == 2


def test_it_does_not_measure_beside_a_run(plan: Plan) -> None:
    with locked(plan.lock), pytest.raises(InputError, match="being run already"):
        timed(plan, 1)
    assert not plan.latencies.exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("median_ms", "median"),
        (",cpu,", ",cpu"),
        ("AnyNetA,0", "AnyNetA,zero"),
        ("AnyNetA,0", f"AnyNetA,{'9' * 25}"),
        (",1,1,", ",1,0,"),
        ("space,index", "x,y"),
    ],
)
def test_another_table_is_refused(plan: Plan, old: str, new: str) -> None:
    timed(plan, 1)
    text = plan.latencies.read_text()
    assert old in text
    plan.latencies.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=r"latency.csv, line \d: not what `regnetlab latency` writes"):
        LATENCY.read(plan.latencies)


def test_a_studys_regime_may_be_of_predicted_latency(make_study: MakeStudy) -> None:
    text = SMALL.replace("[ranges]", 'latency = "0.15ms:0.2ms"\n' + SECTION + "[ranges]")
    plan = load_plan(make_study(text, name="timed"))
    assert plan.regime.latency == Window(0.15, 0.2, "ms")
    assert plan.regime.model == LatencyModel(0.1, 1e-7, 2e-6, 8, "cpu", "x")
    for job in planned_jobs(plan):
        assert 0.15 <= 0.1 + 1e-7 * job.flops + 2e-6 * job.acts <= 0.2
    again = load_plan(make_study(plan_toml(plan), name="again"))
    assert again.regime == plan.regime


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('latency = ":1ms"\n', 5, "[latency] section"),
        ('latency = ":1"\n' + SECTION, 5, "not a time"),
        (SECTION.replace("flop = 1e-7", "flop = -1e-7"), 7, "flop is -1e-07"),
        (SECTION.replace("act = 2e-6", "act = inf"), 8, "act is inf"),
        (SECTION.replace("act = 2e-6\n", ""), None, "latency.act is missing"),
        (SECTION + "threads = 2\n", 11, "key 'threads' of [latency] is not known"),
        (SECTION.replace("batch = 8", "batch = 0"), 9, "batch is 0"),
        (SECTION.replace("0.1", '"a"'), 6, "latency.base is 'a'"),
    ],
)
def test_mistakes_in_the_sections_are_named(
    make_study: MakeStudy, text: str, line: int | None, part: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_plan(make_study(SMALL.replace("[ranges]", text + "[ranges]")))
    assert part in str(caught.value)
    if line is not None:
        assert f", line {line}:" in str(caught.value)


def test_one_network_alone_and_none_at_all_make_a_page(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    plan = load_plan(make_study(SMALL))
    ran(plan, data_dir)
    page = tmp_path / "page.html"
    timed(plan, 1)
    assert main(["report", str(plan.folder), "-o", str(page)]) == 0
    assert "latency" in page.read_text()
    plan.latencies.write_text(plan.latencies.read_text().splitlines()[0] + "\n")
    assert main(["report", str(plan.folder), "-o", str(page)]) == 0
