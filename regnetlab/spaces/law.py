"""The width law of RegNets in both notations, forwards: parameters to stage widths and depths.

* quantized linear (block index j): u_j = w_0 + w_a · j, k_j = round(log(u_j / w_0) / log w_m), width
  w_0 · w_m^k_j rounded to a multiple of 8 (Radosavovic et al. 2020, section 3.3, equations 2 to 4);
* log-linear (stage index i): w_i = w_0 · growth^i. It is the same law: stage k of the quantized line
  has the width w_0 · w_m^k, so ``growth`` here is ``wm`` there, and w_a decides the depths. Some texts
  call the growth w_a.

Both are written ``regnet:…`` (``parse_law``); the second gives the number of stages instead of w_a.

The way back, from networks to parameters, is ``regnetlab.analysis.log_linear_fit``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints, Mask
from regnetlab.spaces.config import (
    MAX_DEPTH,
    MAX_STAGES,
    MAX_WIDTH,
    Config,
    parse_anynet,
    parse_fields,
    parse_number,
)
from regnetlab.spaces.ranges import WIDTH_STEP
from regnetlab.spaces.ratio import parse_ratio


@dataclass(frozen=True, slots=True)
class RegNetLaw:
    """The six parameters of a RegNet in the quantized-linear law, and its squeeze-and-excitation ratio."""

    w0: float
    wa: float
    wm: float
    depth: int
    group_width: int
    bottleneck_ratio: float = 1
    se_ratio: float = 0.0

    @property
    def config(self) -> Config:
        """The network that the law gives; raises ``InputError`` where it gives none."""
        if not (0 < self.w0 <= 16_384 and 0 <= self.wa <= 16_384 and 1 < self.wm <= 64):
            raise InputError(
                f"law w0={self.w0:g}, wa={self.wa:g}, wm={self.wm:g} gives no widths",
                "it needs w0 > 0, wa ≥ 0 and wm > 1 (w0 and wa at most 16,384, wm at most 64)",
            )
        if not 1 <= self.depth <= MAX_DEPTH:
            raise InputError(
                f"law d={self.depth} gives no network", f"the depth must be between 1 and {MAX_DEPTH:,}"
            )
        blocks = quantized_widths(self.w0, self.wa, self.wm, self.depth)
        widths, depths = np.unique(blocks, return_counts=True)  # blocks of equal width form a stage
        return _network(self, widths, depths.tolist())


@dataclass(frozen=True, slots=True)
class LogLinearLaw:
    """The six parameters of a RegNet in the log-linear law, and its squeeze-and-excitation ratio.

    ``depth`` is of the whole network. Stage depths grow like widths: in the quantized line stage k ends where
    the line reaches w_0 · growth^(k + 1/2), so its length is proportional to growth^k.
    """

    w0: float
    growth: float
    stages: int
    depth: int
    group_width: int
    bottleneck_ratio: float = 1
    se_ratio: float = 0.0

    @property
    def config(self) -> Config:
        """The network that the law gives; raises ``InputError`` where it gives none."""
        for name, value, least, most in (
            ("w0", self.w0, 0, 16_384),
            ("growth", self.growth, 1, 64),
            ("stages", self.stages, 1, MAX_STAGES),
            ("d", self.depth, self.stages, MAX_DEPTH),
        ):
            if not least <= value <= most or not value:
                above = "above 0, at most" if not least else f"between {least} and"
                raise InputError(f"law {name}={value:g} gives no network", f"{name} must be {above} {most:,}")
        line = log_linear_widths(self.w0, self.growth, self.stages)
        if line[-1] > MAX_WIDTH:
            raise InputError(
                f"law w0={self.w0:g}, growth={self.growth:g}: the width of stage {self.stages} is"
                f" {line[-1]:,.0f}",
                f"it must be at most {MAX_WIDTH:,}: take a smaller growth, or fewer stages",
            )
        return _network(self, in_width_steps(line), log_linear_depths(self.depth, self.growth, self.stages))


def _network(law: RegNetLaw | LogLinearLaw, widths: Ints, depths: Sequence[int]) -> Config:
    """The network of these stage widths and depths, with all that the two laws have in common."""
    if widths[0] < 1:
        raise InputError(
            f"law w0={law.w0:g}: the first width rounds to 0", f"use a w0 of {WIDTH_STEP} or more"
        )
    groups, ratios = [law.group_width], [law.bottleneck_ratio]
    return Config.compatible(depths, widths.tolist(), groups, ratios, law.se_ratio)


def quantized_widths(w0: float, wa: float, wm: float, depth: int) -> Ints:
    """The width of each of ``depth`` blocks, shape (depth,), before compatibility with g."""
    line = w0 + wa * np.arange(depth)
    steps = np.rint(np.log(line / w0) / np.log(wm))
    return in_width_steps(w0 * np.power(wm, steps))


def quantized_stages(w0: Floats, wa: Floats, wm: Floats, depth: Ints, stages: int) -> tuple[Ints, Ints, Mask]:
    """Stage widths and depths of n laws at once, each (n, stages), and which rows are whole.

    A row is whole when its line gives exactly ``stages`` stages and skips no step of w_m, as in the
    paper's own sampling; the others hold rubbish. A row whose rounding is so near a tie that the
    last bit of a logarithm would decide it is not whole either: machines may differ there.
    """
    exponents = np.arange(stages)
    raw = w0[:, None] * wm[:, None] ** exponents / WIDTH_STEP
    widths = np.rint(raw).astype(np.int64) * WIDTH_STEP

    # Step k begins at the first block j with log(1 + w_a j / w_0) / log w_m > k − 1/2.
    starts = w0[:, None] * (wm[:, None] ** (exponents[1:] - 0.5) - 1) / wa[:, None]
    after = w0 * (wm ** (stages - 0.5) - 1) / wa
    ends = np.concatenate([np.minimum(np.ceil(starts), depth[:, None]), depth[:, None]], axis=1)
    depths = np.diff(ends, axis=1, prepend=0).astype(np.int64)

    clear = np.all(np.abs(starts - np.rint(starts)) > 1e-6, axis=1)
    clear &= np.all(np.abs(np.abs(raw - np.floor(raw)) - 0.5) > 1e-6, axis=1)
    whole = clear & np.all(depths > 0, axis=1) & (depth - 1 < after - 1e-6)
    whole &= np.all(np.diff(widths, axis=1) > 0, axis=1)
    return widths, depths, whole


def log_linear_widths(w0: float, growth: float, stages: int) -> Floats:
    """w_0 · growth^i for each stage i, shape (stages,), not rounded."""
    return np.asarray(w0 * growth ** np.arange(stages), np.float64)


def in_width_steps(widths: Floats) -> Ints:
    """The nearest multiples of 8."""
    return np.asarray(np.rint(widths / WIDTH_STEP).astype(np.int64) * WIDTH_STEP, np.int64)


def log_linear_fit(widths: Ints) -> tuple[Floats, Floats]:
    """w_0 and growth of the least-squares line of log w_i on i, for widths of shape (n, stages).

    The growth of a single stage is NaN.
    """
    start, slope = fit_line(np.log(np.asarray(widths, np.float64)))
    return np.exp(start), np.exp(slope)


def fit_line(values: Floats) -> tuple[Floats, Floats]:
    """Intercept and slope of least squares over the last axis against 0, 1, 2, …"""
    places = np.arange(values.shape[-1]) - (values.shape[-1] - 1) / 2
    with np.errstate(invalid="ignore"):
        slope = (values * places).sum(-1) / (places**2).sum()
    return values.mean(-1) + slope * places[0], slope


def log_linear_depths(total: int, growth: float, stages: int) -> tuple[int, ...]:
    """Stage depths that follow d_0 · growth^i, never fall, are at least 1 and sum to ``total``."""
    if total < stages:
        raise InputError(f"{total} blocks do not fill {stages} stages", "give each stage a block at least")
    shares = np.maximum(growth, 1.0) ** np.arange(stages)
    wanted = (total - stages) * shares / shares.sum()
    depths = np.floor(wanted + 1e-9).astype(np.int64)
    left = total - stages - int(depths.sum())
    depths[stages - left :] += 1  # the remainder goes to the last stages, so that depths never fall
    return tuple(int(depth) + 1 for depth in depths)


def parse_config(text: str) -> Config:
    """The config written as ``anynet:…`` or, by its law, as ``regnet:…``."""
    return parse_law(text).config if text.startswith("regnet:") else parse_anynet(text)


_QUANTIZED = ("w0", "wa", "wm", "d", "g")
_LOG_LINEAR = ("w0", "growth", "stages", "d", "g")


def parse_law(text: str) -> RegNetLaw | LogLinearLaw:
    """The law written as ``regnet:w0=…,wa=…,wm=…,d=…,g=…[,b=…][,se=…]`` or as
    ``regnet:w0=…,growth=…,stages=…,d=…,g=…[,b=…][,se=…]``.
    """
    names = {part.partition("=")[0].strip() for part in re.split("[,;]", text.removeprefix("regnet:"))}
    log_linear = bool(names & {"growth", "stages"})
    required, other = (_LOG_LINEAR, _QUANTIZED) if log_linear else (_QUANTIZED, _LOG_LINEAR)
    try:
        fields = parse_fields(text, "regnet", required, optional=("b", "se"))
    except InputError as error:
        if names >= set(required):
            raise
        raise InputError(str(error), f"the other notation has {', '.join(other)}") from None
    numbers = {name: parse_number(name, value) for name, value in fields.items() if name != "b"}
    for name in ("stages", "d", "g"):
        if name in fields and not numbers[name].is_integer():
            raise InputError(
                f"regnet: {name}={fields[name]} is not a whole number", f"write it as in {name}=4"
            )
    body = int(numbers["d"]), int(numbers["g"]), parse_ratio(fields.get("b", "1")), numbers.get("se", 0.0)
    if log_linear:
        return LogLinearLaw(numbers["w0"], numbers["growth"], int(numbers["stages"]), *body)
    return RegNetLaw(numbers["w0"], numbers["wa"], numbers["wm"], *body)
