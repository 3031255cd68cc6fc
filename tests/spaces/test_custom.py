"""Constraints in their language, and custom spaces."""

import operator
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces import custom
from regnetlab.spaces.complexity import complexity
from regnetlab.spaces.constraints import RISING_DEPTHS, RISING_WIDTHS, SHARED_BOTTLENECK, Constraint
from regnetlab.spaces.custom import custom_space, named_constraint
from regnetlab.spaces.expression import parse_constraint
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import ANYNET_A, ANYNET_C, SPACES
from regnetlab.spaces.template import PAPER, SMALL

DRAWN = sample(ANYNET_A, 2_000, PAPER)
POPULATION, COUNTS = DRAWN.population, DRAWN.complexity


def held(text: str) -> np.ndarray:
    constraint = parse_constraint(text)
    return constraint.holds(POPULATION, COUNTS) if constraint.counted else constraint.holds(POPULATION)


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("w[i] <= w[i+1]", RISING_WIDTHS),
        ("w[i-1] <= w[i]", RISING_WIDTHS),
        ("d[i + 1] >= d[i]", RISING_DEPTHS),
        ("b == b[1]", SHARED_BOTTLENECK),
        ("min(b) == max(b)", SHARED_BOTTLENECK),
    ],
)
def test_the_papers_constraints_can_be_written(text: str, constraint: Constraint) -> None:
    assert np.array_equal(held(text), constraint.holds(POPULATION))


def test_a_comparison_holds_where_it_holds_at_every_stage() -> None:
    assert np.array_equal(held("b == 1"), (POPULATION.bottleneck_ratios == 1).all(axis=1))
    assert np.array_equal(held("not b == 1"), (POPULATION.bottleneck_ratios != 1).any(axis=1))
    assert np.array_equal(held("b == 1 or g > 2"), held("b == 1") | held("g > 2"))
    assert np.array_equal(held("b == 1 and g > 2"), held("b == 1") & held("g > 2"))
    assert np.array_equal(held("1 < d <= 9"), held("d > 1") & held("d <= 9"))


def test_a_neighbour_is_compared_where_there_is_one_and_a_reduction_with_every_stage() -> None:
    widths = POPULATION.widths
    assert np.array_equal(held("w[i-1] <= 2 * w"), (widths[:, :-1] <= 2 * widths[:, 1:]).all(axis=1))
    before = widths[:, :-1] < widths.max(axis=1, keepdims=True)
    assert np.array_equal(held("w[i-1] < max(w)"), before.all(axis=1))
    assert np.array_equal(
        held("w < 2 * mean(w)"), (widths < 2 * widths.mean(axis=1, keepdims=True)).all(axis=1)
    )
    assert np.array_equal(held("w[4] > w[-4]"), widths[:, 3] > widths[:, 0])


def test_what_speaks_of_no_network_holds_for_all_or_none() -> None:
    assert held("1 < 2").all()
    assert not held("2 < 1").any()
    assert held("-d < 0 and +d > 0").all()
    assert held("1000000000000000000 * 100 > 1").all()  # numbers are floats, and do not wrap around
    assert held("w / (d - d) > 1e18").all()  # and know infinity
    assert held("w < 1e18").all()


def test_words_for_whole_networks_are_their_numbers() -> None:
    depth, widths = POPULATION.depths.sum(axis=1), POPULATION.widths
    assert np.array_equal(held("depth <= 20"), depth <= 20)
    assert np.array_equal(held("flops < 4e8"), COUNTS.flops < 4e8)
    assert np.array_equal(held("params / acts > 1"), COUNTS.params / COUNTS.acts > 1)
    assert np.array_equal(held("w[-1] >= 2 * w[1]"), widths[:, -1] >= 2 * widths[:, 0])
    assert np.array_equal(held("sum(d * w) < 1000"), (POPULATION.depths * widths).sum(axis=1) < 1000)
    assert np.array_equal(held("max(w[i+1] / w[i]) <= 3"), (widths[:, 1:] / widths[:, :-1]).max(axis=1) <= 3)
    growth, w0 = np.exp(np.polyfit(range(4), np.log(widths).T, 1))
    assert np.array_equal(held("growth >= 1.5"), growth >= 1.5)
    assert np.array_equal(held("w0 >= 50"), w0 >= 50)


def test_a_single_stage_has_no_neighbour_and_no_growth() -> None:
    one = Population(*(np.array([[8]]) for _ in range(4)))
    assert parse_constraint("w[i] < w[i+1]").holds(one).tolist() == [True]
    assert parse_constraint("growth > 0").holds(one).tolist() == [False]
    assert parse_constraint("max(w[i+1] / w[i]) <= 3").holds(one).tolist() == [False]


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("w[i] <= w[j]", 11, "stage 'j' is not known"),
        ("b = 1", 3, "can't be read (invalid syntax); write it as in w[i+1] >= w[i] or depth <= 20"),
        ("growht > 1", 1, "word 'growht' is not known; did you mean 'growth'?"),
        ("w[0] > 8", 3, "a number from 1"),
        ("depth[1] > 2", 1, "depth has none"),
        ("sum(max(w)) > 2", 5, "not part of the language"),
        ("sum(max(w) + 1) > 2", 5, "not part of the language"),
        ("sum(1 + max(w)) > 2", 9, "not part of the language"),
        ("sum(-max(w)) < 2", 6, "not part of the language"),
        ("max(w, d) > 1", 1, "max takes one thing with stages, such as max(w)"),
        ("i > 1", 1, "i stands in brackets only"),
        ("größe + 1 > 1", 1, "word 'größe' is not known"),
        ("1 + größe > 1", 5, "word 'größe' is not known"),
        ("-größe > 1", 2, "word 'größe' is not known"),
        ("w[i+True] > 1", 3, "a stage is i, i+1"),
        ("w[i+65] > 1", 3, "a stage is i, i+1"),
        ("w[65] > 1", 3, "a stage is i, i+1"),
        ("w[-65] > 1", 3, "a stage is i, i+1"),
        ("w[-0] > 1", 3, "a stage is i, i+1"),
        ("w.real > 1", 1, "not part of the language"),
        ("(lambda: 1) == 1", 2, "not part of the language"),
        ("9**9**9 > 1", 1, "not part of the language"),
        ("[d for d in w] == 1", 1, "not part of the language"),
        ("f'{w}' == 1", 1, "not part of the language"),
        ("(w := 3) > 1", 2, "not part of the language"),
        ("__import__('os').system('true') == 0", 1, "not part of the language"),
        ("open('x') == 0", 1, "function 'open' is not known"),
        ("w in d", 1, "compare with"),
        ("depth < True", 9, "written as digits"),
        ("w < 1e400", 5, "at most 1e18"),
        ("depth + 1", 1, "a constraint is a comparison"),
        ("größe > 1 and w[i] < q", 1, "word 'größe' is not known"),
    ],
)
def test_an_error_points_at_its_column(text: str, column: int, reason: str) -> None:
    with pytest.raises(InputError, match=f"column {column}: ") as caught:
        parse_constraint(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", " ", "(" * 250, "-" * 498 + "1", "not " * 120 + "b", "\x00", "1 <" * 120, "w" * 501]
)
def test_what_can_not_be_read_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="constraint"):
        parse_constraint(text)


def test_a_constraint_has_at_most_500_characters_and_stages_up_to_64() -> None:
    assert parse_constraint("b == 1" + " " * 494).meaning == "b == 1"
    for text in ("w[64] > 1", "w[-64] > 1", "w[i+64] > w[i-64]"):
        assert parse_constraint(text).meaning == text


def test_a_long_constraint_is_shown_by_its_beginning() -> None:
    for length, shown in ((60, "q" * 60), (61, "q" * 57 + "…")):
        with pytest.raises(InputError, match=f"^constraint '{shown}', column 1: "):
            parse_constraint("q" * length)


@settings(max_examples=300)
@given(st.text(alphabet="dwgb[]i+-*/()<>=!.,:'\"_ 0123456789eknotadrxsumpw\\\n", max_size=40))
def test_any_text_is_a_constraint_or_a_clean_error(text: str) -> None:
    few = POPULATION.take(np.arange(5))
    try:
        constraint = parse_constraint(text)
        mask = constraint.holds(few, complexity(few, PAPER)) if constraint.counted else constraint.holds(few)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert (mask.shape, mask.dtype) == ((5,), np.bool_)


operators = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@given(operators, st.integers(-50, 50), st.integers(1, 9))
def test_arithmetic_is_pythons(op: str, plus: int, times: int) -> None:
    depth = POPULATION.depths.sum(axis=1)
    expected = COMPARE[op](times * depth - 3, plus + depth / 2)
    assert np.array_equal(held(f"{times} * depth - 3 {op} {plus} + depth / 2"), expected)


def test_a_stage_that_the_networks_lack_is_named() -> None:
    with pytest.raises(InputError, match="stage 9, and the networks have 4 stages"):
        held("w[9] > 8")


def test_a_custom_space_is_drawn_by_its_constraints() -> None:
    space = custom_space("falling", "AnyNetC", {"widths fall": "w[i] >= w[i+1]"})
    found = sample(space, 300, SMALL, Regime(flops=parse_window("flops", "0.8M:4M"))).population
    assert (np.diff(found.widths, axis=1) <= 0).all()
    assert (found.group_widths == found.group_widths[:, :1]).all()


def test_a_custom_space_may_narrow_another_and_the_law() -> None:
    slim = custom_space("slim", "RegNet", ["b == 1", "flops < 600e6"])
    thin = custom_space("thin", "slim", ["depth <= 10"], {**SPACES, "slim": slim})
    found = sample(thin, 50, PAPER)
    assert (found.population.bottleneck_ratios == 1).all()
    assert found.complexity.flops.max() < 600e6
    assert found.population.depths.sum(axis=1).max() <= 10
    assert set(found.population.law) == {"w0", "wa", "wm"}


def test_its_draws_do_not_depend_on_its_name_and_are_not_its_parents() -> None:
    one, other = (custom_space(name, "AnyNetC", ["b == 1"]) for name in ("one", "other"))
    rows = [sample(space, 50, PAPER).population.rows for space in (one, other, ANYNET_C)]
    assert np.array_equal(rows[0], rows[1])
    parents = {tuple(row) for row in rows[2].tolist()}
    assert not parents & {tuple(row) for row in rows[0].tolist()}


def test_what_nothing_satisfies_says_which_constraint_to_loosen() -> None:
    space = custom_space("none", "AnyNetA", {"impossible": "w < 0"}).within(
        Ranges(depth=(1, 2), width=(8, 16))
    )
    with pytest.raises(InputError, match="loosen impossible"):
        sample(space, 1, PAPER)


@pytest.mark.parametrize(
    ("name", "parent", "constraints", "reason"),
    [
        ("AnyNetB", "AnyNetA", ["b == 1"], "can't be used"),
        ("derived", "AnyNetA", ["b == 1"], "can't be used"),
        ("../x", "AnyNetA", ["b == 1"], "can't be used"),
        ("<script>", "AnyNetA", ["b == 1"], "can't be used"),
        ("mine", "AnyNetF", ["b == 1"], "parent space 'AnyNetF' is not known"),
        ("mine", "AnyNetA", [], "has no constraints"),
        ("mine", "AnyNetA", ["symmetric"], "no installed package offers it"),
    ],
)
def test_a_space_that_can_not_be_is_refused(
    name: str, parent: str, constraints: list[str], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        custom_space(name, parent, constraints)


def _symmetric(population: Population) -> np.ndarray:
    return (population.widths == population.widths[:, ::-1]).all(axis=1)


SYMMETRIC = Constraint("symmetric widths", "w_i = w_{n+1−i}", _symmetric)


def test_a_package_offers_constraints_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint("symmetric", f"{__name__}:SYMMETRIC", custom.ENTRY_POINTS),
        EntryPoint("broken", "regnetlab.nowhere:thing", custom.ENTRY_POINTS),
        EntryPoint("other", "math:pi", custom.ENTRY_POINTS),
        EntryPoint("called", f"{__name__}:SYMMETRIC", custom.ENTRY_POINTS),
    ]
    monkeypatch.setattr(EntryPoint, "load", _load)
    monkeypatch.setattr(custom, "entry_points", lambda group: entries if group == custom.ENTRY_POINTS else [])
    space = custom_space("mirror", "AnyNetA", ["symmetric"])
    assert (space.name, space.parent) == ("mirror", "AnyNetA")
    assert [(each.name, each.meaning) for each in space.custom] == [("symmetric", "symmetric")]
    found = sample(space.within(Ranges(width=(8, 64))), 20, PAPER).population
    assert _symmetric(found).all()
    for name in ("broken", "other"):
        with pytest.raises(InputError, match=f"constraint '{name}' of"):
            named_constraint(name)
    assert named_constraint("called", "a label").name == "a label"
    assert named_constraint("called").name == SYMMETRIC.name
    with pytest.raises(InputError, match=r"offers it; they offer symmetric, broken, other, called$"):
        named_constraint("missing")


def test_without_packages_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "entry_points", lambda group: [])
    with pytest.raises(InputError, match=r"no installed package offers it; install the one that does$"):
        named_constraint("missing")


def _load(entry: EntryPoint) -> object:
    loaded = {"symmetric": SYMMETRIC, "called": lambda: SYMMETRIC, "other": 3.14}
    if entry.name not in loaded:
        raise ModuleNotFoundError("No module named 'regnetlab.nowhere'")
    return loaded[entry.name]
