"""The language of constraints: ``w[i] <= w[i+1]``, ``b == 1``, ``depth <= 40 and growth >= 2``.

Python's own parser reads the text, and only the nodes named here are understood; nothing is ever
compiled or evaluated by Python. What the words mean is in docs/spaces.md.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.arrays import Floats, Mask
from regnetlab.spaces.complexity import Complexity
from regnetlab.spaces.constraints import Constraint
from regnetlab.spaces.law import log_linear_fit
from regnetlab.spaces.population import Population

MOST = 500
"""Characters of a constraint."""
_EXAMPLE = "write it as in w[i+1] >= w[i] or depth <= 20"
_LARGEST = 1e18
COUNTS = ("flops", "params", "acts")
_VECTORS = ("d", "w", "g", "b")
_SCALARS = ("depth", "w0", "growth", *COUNTS)
_REDUCTIONS: Mapping[str, Callable[..., Floats]] = MappingProxyType(
    {"min": np.min, "max": np.max, "sum": np.sum, "mean": np.mean}
)
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Floats, Floats], Mask]] = MappingProxyType(
    {
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
    }
)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Floats, Floats], Floats]] = MappingProxyType(
    {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
)


@dataclass(frozen=True, slots=True)
class _Networks:
    """What an expression speaks of. ``first`` and ``last`` bound the stages i that a comparison runs over."""

    population: Population
    counts: Complexity | None
    first: int = 0
    last: int = 0


def parse_constraint(text: str, name: str | None = None, own: Collection[str] = ()) -> Constraint:
    """The constraint that this text says; it is its own name unless one is given. ``own`` are the names of a
    block's own parameters, which have stages as d and w do.

    Raises ``InputError`` that points at the column of the first thing that is not understood.
    """
    if len(text) > MOST:
        raise InputError(
            f"constraint {text[:40]!r}… has {len(text):,} characters",
            f"{MOST} are the most: write it as several",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _wrong(
            text, error.offset or 1, InputError(f"it can't be read ({error.msg})", _EXAMPLE)
        ) from None
    except (ValueError, MemoryError, RecursionError):
        raise InputError(f"constraint {text[:40]!r} can't be read", "nest fewer brackets in it") from None
    _check(tree, text.strip(), truth=True, vectors=(*_VECTORS, *own))
    counted = any(isinstance(node, ast.Name) and node.id in COUNTS for node in ast.walk(tree))

    def holds(population: Population, counts: Complexity | None = None) -> Mask:
        with np.errstate(all="ignore"):
            return np.broadcast_to(_truth(tree, _Networks(population, counts)), (len(population),))

    return Constraint(name or text.strip(), text.strip(), holds, counted=counted)


def _check(node: ast.expr, text: str, truth: bool, vectors: Sequence[str], inside: bool = False) -> None:
    """Refuse everything that the language does not have; ``inside`` a reduction there are only numbers."""
    match node:
        case ast.BoolOp() if truth:
            for each in node.values:
                _check(each, text, True, vectors)
        case ast.UnaryOp(op=ast.Not()) if truth:
            _check(node.operand, text, True, vectors)
        case ast.Compare() if truth:
            for op in node.ops:
                if type(op) not in _COMPARISONS:
                    raise _at(node, text, "compare with <, <=, >, >=, == or !=")
            for each in (node.left, *node.comparators):
                _check(each, text, False, vectors)
        case _ if truth:
            raise _at(node, text, "a constraint is a comparison, such as w[i] <= w[i+1]")
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            _check(node.left, text, False, vectors, inside)
            _check(node.right, text, False, vectors, inside)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            _check(node.operand, text, False, vectors, inside)
        case ast.Constant(value=bool()):
            raise _at(node, text, "numbers are written as digits, such as 2 or 800e3")
        case ast.Constant(value=int() | float() as value) if value <= _LARGEST:
            pass
        case ast.Constant(value=int() | float()):
            raise _at(node, text, "a number is at most 1e18")
        case ast.Subscript(value=ast.Name(id=name)):
            if name not in vectors:
                known = f"{', '.join(vectors[:-1])} and {vectors[-1]}"
                raise _at(node.value, text, f"only {known} have stages, {name} has none")
            _index(node, text)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if not inside:
            if name not in _REDUCTIONS:
                raise _at(node, text, unknown("function", name, _REDUCTIONS))
            _check(argument, text, False, vectors, inside=True)
        case ast.Call(func=ast.Name(id=name)) if name in _REDUCTIONS and not inside:
            raise _at(node, text, f"{name} takes one thing with stages, such as {name}(w)")
        case ast.Name(id=name) if name in vectors or name in _SCALARS:
            pass
        case ast.Name(id="i"):
            raise _at(node, text, "i stands in brackets only, as in w[i]")
        case ast.Name(id=name):
            raise _at(node, text, unknown("word", name, (*vectors, *_SCALARS, *_REDUCTIONS)))
        case _:
            raise _at(node, text, "this is not part of the language of constraints (docs/spaces.md)")


def _index(node: ast.Subscript, text: str) -> int | None:
    """The offset k of ``[i+k]``, or ``None`` where the index is a stage's number (see ``_stage``)."""
    match node.slice:
        case ast.Name(id="i"):
            return 0
        case ast.BinOp(
            left=ast.Name(id="i"), op=ast.Add() | ast.Sub() as op, right=ast.Constant(value=int(k))
        ) if not isinstance(k, bool) and k <= 64:
            return k if isinstance(op, ast.Add) else -k
        case ast.Constant(value=int(k)) if not isinstance(k, bool) and 1 <= k <= 64:
            return None
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(k))) if k and k <= 64:
            return None
        case ast.Name(id=name):
            raise _at(node.slice, text, f"stage {name!r} is not known; write i, i+1 or a number")
    raise _at(node.slice, text, "a stage is i, i+1, i-1, a number from 1, or from the end: -1")


def _truth(node: ast.expr, networks: _Networks) -> Mask:
    """Which networks satisfy this, of shape (n,) or ()."""
    match node:
        case ast.BoolOp(op=op, values=operands):
            parts = [_truth(each, networks) for each in operands]
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return np.asarray(join.reduce(np.broadcast_arrays(*parts)))
        case ast.UnaryOp(operand=operand):
            return np.asarray(~_truth(operand, networks))
        case ast.Compare():
            terms = [node.left, *node.comparators]
            ranged = _over_stages(terms, networks)
            values = [_value(each, ranged) for each in terms]
            held = [_COMPARISONS[type(op)](values[k], values[k + 1]) for k, op in enumerate(node.ops)]
            whole = np.asarray(np.logical_and.reduce(np.broadcast_arrays(*held)))
            return np.asarray(whole.all(axis=1)) if whole.ndim == 2 else whole
    raise AssertionError(ast.dump(node))  # _check lets nothing else through


def _value(node: ast.expr, networks: _Networks) -> Floats:
    """Numbers of shape (n, stages of the range), (n, 1) or ()."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return np.asarray(value, np.float64)
        case ast.UnaryOp(op=op, operand=operand):
            inner = _value(operand, networks)
            return np.asarray(-inner if isinstance(op, ast.USub) else inner)
        case ast.BinOp(op=op, left=left, right=right):
            return np.asarray(_ARITHMETIC[type(op)](_value(left, networks), _value(right, networks)))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            over = np.atleast_2d(_value(argument, _over_stages([argument], networks)))
            if not over.shape[1]:
                return np.asarray(np.nan)
            return np.asarray(_REDUCTIONS[name](over, axis=1, keepdims=True))
        case ast.Subscript(value=ast.Name(id=name)):
            column = _column(networks.population, name)
            offset = _index(node, "")
            if offset is not None:
                return column[:, networks.first + offset : networks.last + offset]
            return column[:, [_stage(node.slice, networks.population.stages)]]
        case ast.Name(id=name) if name in _SCALARS:
            return _scalar(name, networks)[:, None]
        case ast.Name(id=name):
            return _column(networks.population, name)[:, networks.first : networks.last]
    raise AssertionError(ast.dump(node))


def _over_stages(terms: list[ast.expr], networks: _Networks) -> _Networks:
    """The same networks, with the stages i for which every ``[i+k]`` of these terms exists.

    What is inside a reduction runs over its own stages.
    """
    offsets = [0]
    waiting = list(terms)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            continue
        if isinstance(node, ast.Subscript):
            offset = _index(node, "")
            offsets += [offset] if offset is not None else []
            continue
        waiting += [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
    first, stages = max(0, -min(offsets)), networks.population.stages
    return _Networks(networks.population, networks.counts, first, max(first, stages - max(offsets)))


def _stage(index: ast.expr, stages: int) -> int:
    match index:
        case ast.UnaryOp(operand=ast.Constant(value=int(k))):
            number = -k
        case ast.Constant(value=int(k)):
            number = k
        case _:
            raise AssertionError(ast.dump(index))  # _index lets nothing else through
    if abs(number) > stages:
        raise InputError(
            f"a constraint speaks of stage {number}, and the networks have {stages} stages",
            "name one of these",
        )
    return number - 1 if number > 0 else stages + number


def _column(population: Population, name: str) -> Floats:
    """The column of that letter, or of a block's own parameter, as numbers of shape (n, stages)."""
    if name not in _VECTORS:
        return np.asarray(population.own[name], np.float64)
    columns = (
        population.depths,
        population.widths,
        population.group_widths,
        population.bottleneck_ratios,
    )
    return np.asarray(columns[_VECTORS.index(name)], np.float64)


def _scalar(name: str, networks: _Networks) -> Floats:
    """One number per network, of shape (n,)."""
    if name == "depth":
        return np.asarray(networks.population.depths.sum(axis=1), np.float64)
    if name in COUNTS:
        assert networks.counts is not None  # the sampler counts where ``counted`` says so
        return np.asarray(getattr(networks.counts, name), np.float64)
    w0, growth = log_linear_fit(networks.population.widths)
    return np.asarray(w0 if name == "w0" else growth)


def _at(node: ast.expr, text: str, problem: str | InputError) -> InputError:
    # The parser counts bytes of UTF-8.
    column = len(text.encode()[: node.col_offset].decode(errors="ignore")) + 1
    return _wrong(text, column, problem if isinstance(problem, InputError) else InputError(problem))


def _wrong(text: str, column: int, problem: InputError) -> InputError:
    shown = text.strip() if len(text) <= 60 else f"{text.strip()[:57]}…"
    return problem.at(f"constraint {shown!r}, column {column}")
