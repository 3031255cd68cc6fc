"""A block of your own: a module that maps (n, w_in, H, W) to (n, width, ⌈H/s⌉, ⌈W/s⌉), tried first.

``custom_block`` makes a ``Block`` of it, which a package offers as an entry point ``regnetlab.blocks``
(docs/extending.md). A block that gives other shapes, loses gradients, mixes the images of a batch or costs
something else than it says is refused, with the sizes at which it does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.summary import acts_of, multiply_adds
from regnetlab.spaces.blocks import BLOCKS, Block, Cost, Counts, Own, Sizes

_REMEMBERED = 2**18


def custom_block(
    name: str,
    module: type[nn.Module],
    *,
    paper: str,
    uses: Iterable[str] = "gb",
    groups_of: str = "inner",
    bottleneck_ratio: Sequence[float] = (1, 2, 4),
    activation: str = "relu",
    squeezes: bool = False,
    se_ratio: float = 0.0,
    own: Mapping[str, Own | Sequence[int]] | None = None,
    counts: Counts | None = None,
) -> Block:
    """A block of your own, after it was tried on a few dozen sizes.

    Args:
        name: As in ``block=tokens``: a-z, 0-9 and _.
        module: Called as ``module(w_in, width, inner, group_width, stride, squeezed, activation, **own)``.
            ``inner`` is width / b; ``group_width`` divides what ``groups_of`` says; ``squeezed`` are the
            channels of squeeze-and-excitation, 0 for none; ``activation`` is ``relu``, ``silu`` or ``gelu``.
            It maps (n, w_in, H, W) to (n, width, ⌈H / stride⌉, ⌈W / stride⌉). With a method
            ``reset_parameters`` it says how its weights start; else convolutions, norms and linear layers
            start as the paper's do.
        paper: Where the block comes from.
        uses: Which of ``g`` and ``b`` it has; without g, ``group_width`` is ``inner``.
        groups_of: What g divides: the ``inner`` width, or the ``width``, as attention heads do.
        bottleneck_ratio: The values of b that spaces draw from where a study does not say.
        activation: What stands between its layers unless the template says otherwise.
        squeezes: Whether it can have squeeze-and-excitation.
        se_ratio: The ratio of that which its networks have unless they say otherwise.
        own: Its own parameters: the values that spaces draw from, the first of them the usual one; or an
            ``Own``, which may allow more.
        counts: What one block costs, in closed form over arrays (``spaces.blocks`` has examples). Without it
            every size is counted on the module, by torch, and remembered: drawing then takes seconds or
            minutes where it took none.

    Raises:
        InputError: What it is can't be, and at which sizes.
    """
    if name in BLOCKS or name == "y":
        raise InputError(f"block {name!r} is one of the package's own", "give it another name")
    block = Block(
        name,
        paper,
        module,
        counts or Counted(module, activation),
        frozenset(uses),
        groups_of,
        tuple(bottleneck_ratio),
        activation,
        squeezes,
        se_ratio,
        {each: _own(each, values) for each, values in (own or {}).items()},
        slow=counts is None,
    )
    trials, threads = _trials(block), torch.get_num_threads()
    torch.set_num_threads(1)  # maps are tiny, and threads that wait for each other take many times as long
    try:
        for trial in trials[:_COMPUTED]:
            _try(block, trial)
        if counts is not None:
            _try_counts(block, trials)
    finally:
        torch.set_num_threads(threads)
    return block


def _own(name: str, values: Own | Sequence[int]) -> Own:
    if isinstance(values, Own):
        return values
    if not isinstance(values, tuple | list) or not values or not all(type(each) is int for each in values):
        raise InputError(f"own parameter {name} is {values!r}", "give whole numbers, as in (3, 5, 7)")
    return Own(tuple(values), tuple(sorted(values)), values[0])


class Counted:
    """What a block costs where nobody wrote it down: counted on torch's ``meta`` device, each size once."""

    def __init__(self, module: type[nn.Module], activation: str) -> None:
        self._module, self._activation = module, activation
        self._one = lru_cache(maxsize=_REMEMBERED)(self._count)

    def __call__(self, sizes: Sizes) -> Cost:
        names = tuple(sizes.own)
        columns = (sizes.w_in, sizes.width, sizes.inner, sizes.group_width, sizes.squeezed)
        own = [sizes.own[name] for name in names]
        rows = np.stack([np.asarray(each, np.int64) for each in np.broadcast_arrays(*columns, *own)], -1)
        different, which = np.unique(rows.reshape(-1, rows.shape[-1]), axis=0, return_inverse=True)
        place = sizes.stride, sizes.rows, sizes.columns
        found = np.array(
            [self._one(*row[:5], *place, *zip(names, row[5:], strict=True)) for row in different.tolist()],
            np.int64,
        ).reshape(-1, 3)[which.reshape(rows.shape[:-1])]
        return Cost(found[..., 0], found[..., 1], found[..., 2])

    def _count(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        squeezed: int,
        stride: int,
        rows: int,
        columns: int,
        *own: tuple[str, int],
    ) -> tuple[int, int, int]:
        with torch.device("meta"):
            made = self._module(
                w_in, width, inner, group_width, stride, squeezed, self._activation, **dict(own)
            ).eval()
            image = torch.empty(1, w_in, rows, columns)
            params = sum(each.numel() for each in made.parameters())
            return multiply_adds(made, image), params, acts_of(made, image)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A block at these sizes, in words."""

    sizes: Sizes
    text: str


_SHAPES = ((16, 16, 1), (16, 32, 1), (32, 32, 2), (16, 48, 2), (24, 96, 3))
"""Width before, width, stride."""
_SIDES = ((8, 8), (7, 5), (1, 1))
_COUNTED, _COMPUTED = 120, 24
"""How many sizes are counted, and how many of them computed, at most."""


def _trials(block: Block) -> list[_Trial]:
    """Sizes in random order: width and resolution kept or not, odd sides, every value of every parameter."""
    ratios = block.bottleneck_ratio if "b" in block.uses else (1,)
    groups = (8, 16) if "g" in block.uses else (0,)
    squeezes = sorted({0.0, block.se_ratio or 0.25}) if block.squeezes else [0.0]
    every = [dict(zip(block.own, row, strict=True)) for row in _each_value(block)]
    found = []
    for own, shape, side, ratio, group, squeeze in product(every, _SHAPES, _SIDES, ratios, groups, squeezes):
        (w_in, width, stride), (rows, columns) = shape, side
        inner = round(width / ratio)
        if group and block.groups_of == "inner" and inner % group:
            inner = -(-inner // group) * group
        squeezed = round(w_in * squeeze)
        sizes = Sizes(w_in, width, inner, group or inner, stride, rows, columns, squeezed, own)
        words = "".join(f", {name}={value}" for name, value in own.items())
        found.append(
            _Trial(
                sizes,
                f"w_in={w_in}, width={width}, inner={inner}, group_width={sizes.group_width},"
                f" stride={stride}, squeezed={squeezed}{words} on {rows}×{columns} px",
            )
        )
    order = np.random.default_rng(0).permutation(len(found))
    return [found[i] for i in order[:_COUNTED]]


def _each_value(block: Block) -> list[tuple[int, ...]]:
    """Rows of own parameters in which every value to draw from is there once."""
    most = max((len(each.values) for each in block.own.values()), default=1)
    return [tuple(own.values[i % len(own.values)] for own in block.own.values()) for i in range(most)]


def _try(block: Block, trial: _Trial) -> None:
    s = trial.sizes
    name = f"block {block.name} ({trial.text})"
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(0)
        images = torch.randn(3, s.w_in, s.rows, s.columns, requires_grad=True)
        try:
            module = block.module(  # type: ignore[operator]
                s.w_in, s.width, s.inner, s.group_width, s.stride, s.squeezed, block.activation, **s.own
            )
            found = module(images)
        except Exception as error:
            raise InputError(f"{name} can't be computed: {type(error).__name__}: {error}") from None
        expected = (3, s.width, -(-s.rows // s.stride), -(-s.columns // s.stride))
        if not isinstance(found, torch.Tensor) or tuple(found.shape) != expected:
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise InputError(f"{name} gives {shape}", f"it must give {expected}")
        if not torch.isfinite(found).all():
            raise InputError(f"{name} gives numbers that are not finite")
        _try_gradients(name, module, images, found)
        module.eval()
        with torch.no_grad():
            together, alone = module(images), module(images[:1])
        if not torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-4):
            raise InputError(
                f"{name} mixes the images of a batch", "an image's output is of that image alone"
            )


def _try_gradients(name: str, module: nn.Module, images: torch.Tensor, found: torch.Tensor) -> None:
    if not found.requires_grad:
        raise InputError(f"{name} has no gradients", "nothing of it may be detached")
    (found * torch.linspace(0.5, 1.5, found.numel()).reshape(found.shape)).sum().backward()  # type: ignore[no-untyped-call]
    lost = [each for each, value in module.named_parameters() if value.requires_grad and value.grad is None]
    if lost:
        raise InputError(f"{name} has no gradient of {', '.join(lost[:3])}", "leave out what it does not use")
    if images.grad is None or not torch.isfinite(images.grad).all():
        raise InputError(f"{name} passes no gradient on to what stands before it")


def _try_counts(block: Block, trials: Sequence[_Trial]) -> None:
    """The closed form, over arrays of many networks as the sampler calls it, against the module."""
    counted = Counted(block.module, block.activation)  # type: ignore[arg-type]
    places = {(each.sizes.stride, each.sizes.rows, each.sizes.columns) for each in trials}
    for stride, rows, columns in sorted(places):
        alike = [
            each
            for each in trials
            if (each.sizes.stride, each.sizes.rows, each.sizes.columns) == (stride, rows, columns)
        ]
        w_in, width, inner, group_width, squeezed = (
            np.array([getattr(each.sizes, name) for each in alike], np.int64)
            for name in ("w_in", "width", "inner", "group_width", "squeezed")
        )
        own = {name: np.array([each.sizes.own[name] for each in alike], np.int64) for name in block.own}
        sizes = Sizes(w_in, width, inner, group_width, stride, rows, columns, squeezed, own)
        real = counted(sizes)
        try:
            said = block.counts(sizes)
            pairs = [
                (each, np.broadcast_to(getattr(said, each), len(alike)), getattr(real, each))
                for each in ("flops", "params", "acts")
            ]
        except Exception as error:
            raise InputError(
                f"block {block.name} ({alike[0].text}) can't be counted: {type(error).__name__}: {error}"
            ) from None
        for each, given, true in pairs:
            for trial, a, b in zip(alike, given.tolist(), true.tolist(), strict=True):
                if a != b:
                    raise InputError(
                        f"block {block.name} ({trial.text}) says that it has {a:,} {each}, and torch counts"
                        f" {b:,}",
                        "correct its counts, or leave them out",
                    )
