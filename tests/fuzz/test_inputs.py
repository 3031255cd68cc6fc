"""Input that nobody meant: it is understood or refused in one line, soon and in little memory.

Property-based (Hypothesis); ``REGNETLAB_FUZZ=N`` tries N examples of each instead of the few of every
``make test``. Examples that once failed stand in the ``@example``s.
"""

import gzip
import json
import os
import resource
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.models.registry import find_model
from regnetlab.spaces.expression import parse_constraint
from regnetlab.study.plan_file import load_plan
from regnetlab.training.sources.mnists import read_idx
from regnetlab.trials.files import parse_trials, read_trials
from regnetlab.trials.location import location_of
from tests.conftest import STUDY

fuzz = settings(
    max_examples=int(os.environ.get("REGNETLAB_FUZZ", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
_MOST_GROWTH = 400_000  # KiB that the largest resident size may grow by: none of these inputs is large


def clean(call: Callable[[], Any]) -> None:
    """The call works or is refused in one line, and takes little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        call()
    except InputError as error:
        lines = str(error).splitlines()
        assert len(lines) == 1, lines
        assert len(lines[0]) < 5_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_GROWTH


def in_file(content: bytes, ending: str, read: Callable[[Path], Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{ending}"
        path.write_bytes(content)
        clean(lambda: read(path))


@st.composite
def mutated(draw: st.DrawFn, text: str, inserts: list[str]) -> str:
    """A valid text with pieces taken out, doubled, swapped or put in."""
    for _ in range(draw(st.integers(1, 4))):
        a, b = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        b = min(b, a + 40)
        piece = draw(st.sampled_from([*inserts, text[a:b] * 2, text[a:b][::-1], ""]) | st.text(max_size=8))
        text = text[:a] + piece + text[b:]
    return text


NUMBERS = [
    "-1",
    "0",
    "1e999",
    "nan",
    "1" * 30,
    "1" * 5_000,
    "²",
    "٣",
    "true",
    "[]",
    "{}",
    '""',
    "\x00",
    "\ud7ff",
]
TOML = [
    "[",
    "]]",
    "=",
    "[[spaces]]",
    "a.b.c = 1",
    "[" * 3_000,
    "{a=" * 500,
    "'''",
    "#",
    "n = 10000000000",
    *NUMBERS,
]


@fuzz
@given(mutated(STUDY, TOML))
@example("a = " + "[" * 50_000)
@example("a" + ".a" * 20_000 + " = 1")
@example(
    STUDY
    + '[[spaces]]\nspace = "x"\nparent = "AnyNetA"\nn = 1\n[spaces.constraints]\nc = "'
    + "(" * 9_000
    + '"'
)
def test_study_files(text: str) -> None:
    in_file(text.encode("utf-8", "replace"), ".toml", load_plan)


@fuzz
@given(st.binary(max_size=300))
def test_study_files_of_any_bytes(content: bytes) -> None:
    in_file(content, ".toml", load_plan)


MODELS = [
    "anynet:d=1,2,7,12;w=32,64,160,384;g=16;b=1",
    "regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16,b=1",
    "resnet18@1MF",
]


@fuzz
@given(
    st.sampled_from(MODELS).flatmap(
        lambda text: mutated(text, [*NUMBERS, ",", ";", "=", "@", "d=", "1/0", "x"])
    )
)
@example("anynet:d=1,1,1,1;w=8,8,8,8;g=8;b=" + "1" * 5_000)
@example("regnet:w0=8,wa=1e308,wm=1e308,d=16,g=1,b=1")
@example("resnet18@" + "9" * 400 + "MF")
@example("r" + "1" * 5_000 + "esnet18")
@example("r" + "1" * 400 + "esnet18")
def test_model_strings(text: str) -> None:
    clean(lambda: find_model(text))


TERMS = [
    "w",
    "d",
    "[i]",
    "(",
    ")",
    "+",
    "**",
    "<=",
    " and ",
    "not ",
    "__import__('os')",
    "lambda: 0",
    "9" * 400,
    "if",
]


@fuzz
@given(st.lists(st.sampled_from(TERMS) | st.text(max_size=5), max_size=30).map("".join))
@example("(" * 20_000 + "w")
@example("9**9**9**9 <= w[0]")
@example("w" + "[0]" * 5_000)
def test_constraints(text: str) -> None:
    clean(lambda: parse_constraint(text))


CSV = "name,depths,widths,group_width,error,index\na,1 1 2 2,8 16 24 32,8,12.5,0\nb,1 2 2 2,8 8 8 8,4,30,1\n"


@fuzz
@given(mutated(CSV, [*NUMBERS, ",", "\n", '"', "=cmd()", " " * 50, "1 " * 5_000]))
@example("depths,widths,error,index\n1,8,3,²\n")
@example("depths,widths,error,index\n1,8,3," + "1" * 5_000 + "\n")
@example('depths,widths\n"' + "1 " * 200_000)
def test_tables_of_networks(text: str) -> None:
    clean(lambda: parse_trials(text, "input.csv").frame)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["cfg", "net", "ANYNET", "REGNET", "DEPTHS", "WIDTHS", "GROUP_WS", "ds", "ws", "error", "top"]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@fuzz
@given(
    json_values.map(json.dumps)
    | mutated('[{"net": {"ds": [1, 2], "ws": [8, 16]}, "min_test_top1": 5}]', NUMBERS)
)
@example("[" * 100_000)
@example('[{"cfg": ' + '{"a":' * 50_000)
def test_json_of_others(text: str) -> None:
    in_file(text.encode("utf-8", "replace"), ".json", lambda path: read_trials([path]).frame)


@fuzz
@given(
    st.tuples(st.integers(0, 255), st.integers(0, 4)),
    st.lists(st.sampled_from([0, 1, 2, 28, 1_000_000_000, 2**32 - 1]), max_size=4),
    st.binary(max_size=200),
    st.sampled_from([".gz", ""]),
)
@example((8, 3), [1_000_000_000, 28, 28], b"", ".gz")
@example((8, 1), [2**31], b"x", "")
def test_idx_files(head: tuple[int, int], shape: list[int], body: bytes, ending: str) -> None:
    content = bytes((0, 0, *head)) + b"".join(struct.pack(">I", each) for each in shape) + body
    packed = gzip.compress(content) if ending else content
    in_file(packed, ending, lambda path: read_idx(path, head[1] or 1))
    in_file(packed[: len(packed) // 2], ending, lambda path: read_idx(path, head[1] or 1))


def test_a_gzip_bomb_is_read_no_further_than_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    header = bytes((0, 0, 8, 1)) + struct.pack(">I", 1_000)
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(header)
        for _ in range(600):
            file.write(bytes(1_000_000))
    with pytest.raises(InputError, match="has more"):
        read_idx(path, 1)
    clean(lambda: read_idx(path, 1))


@fuzz
@given(st.text(max_size=40) | mutated("postgresql://me:pw@host:5432/db", ["@", ":", "//", "\x00", "%"]))
@example("~\x00")
def test_storages(text: str) -> None:
    clean(lambda: location_of(text, Path(), "s"))
