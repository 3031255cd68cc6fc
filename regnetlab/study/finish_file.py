"""finish.json beside a study's file: the family that ``regnetlab finish`` trained, and how good it is.

A finish.json may come from elsewhere: what is not as it is written here is refused where it is read, and need
not be looked at again. Errors, also of calibration, are in percent; probabilities and accuracies from 0 to 1.
"""

import base64
import binascii
import io
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from regnetlab.errors import InputError
from regnetlab.files import read_foreign, write_atomically
from regnetlab.plain import plural
from regnetlab.study.plan import Plan

MOST_PICTURE_BYTES = 300_000
"""Of all pictures of mistakes together, as they stand in the file."""
_MOST_BYTES = 64 * 2**20
_MOST_PIXELS = 512
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

_Item = TypeVar("_Item")
_Many = Annotated[tuple[_Item, ...], Strict(False)]  # lists are as good
MOST_LETTERS = 300
"""Of the name of a network or a class."""
_Name = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS)]
_Text = Annotated[str, Field(max_length=4_000)]
_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(ge=0)]
_Interval = Annotated[tuple[_Percent, _Percent], Strict(False)]
_Difference = Annotated[tuple[float, float, float], Strict(False)]
_Errors = Annotated[_Many[_Percent], Field(min_length=1, max_length=1_000)]


def _is_png(text: str) -> str:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no base64") from None
    sides = [int.from_bytes(content[start : start + 4], "big") for start in (16, 20)]
    if not content.startswith(_PNG) or not all(0 < side <= _MOST_PIXELS for side in sides):
        raise ValueError(f"it is no PNG of at most {_MOST_PIXELS} × {_MOST_PIXELS} pixels")
    return text


class _Part(BaseModel):
    """A part of the file; further keys are left out."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class OfClass(_Part):
    """The test images of one class; ``error`` is ``None`` where it has none."""

    name: _Name
    images: _Count
    error: _Percent | None
    interval: _Interval


class Calibration(_Part):
    """Calibration errors without and with the temperature, and (confidence, accuracy, images) of bins."""

    before: _Percent
    after: _Percent
    bins: Annotated[
        _Many[Annotated[tuple[_Share, _Share, _Count], Strict(False)]], Field(max_length=100)
    ] = ()


class Tested(_Part):
    """A network on the test split; rows of ``confusion`` are true classes, in the order of ``by_class``."""

    images: _Count
    groups: _Count | None = None
    error: _Percent
    interval: _Interval
    by_class: Annotated[_Many[OfClass], Field(min_length=1, max_length=10_000)]
    confusion: _Many[_Many[_Count]]
    calibration: Calibration

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        classes = len(self.by_class)
        if len({each.name for each in self.by_class}) < classes:
            raise ValueError("two classes have one name")
        if [len(row) for row in self.confusion] != [classes] * classes:
            raise ValueError(f"confusion must have {classes} rows and columns, as by_class has classes")
        return self


class MeasuredLatency(_Part):
    """Milliseconds of one batch on a device: median and interval."""

    batch: Annotated[int, Field(ge=1, le=2**20)]
    ms: Annotated[tuple[_Positive, _Positive, _Positive], Strict(False)]
    device: _Text


class Member(_Part):
    """A network of the family: ``error`` is that of the weights in the folder, ``seeds`` of all trainings."""

    name: _Name
    model: _Text
    flops: _Count
    params: _Count
    acts: _Count
    latency: MeasuredLatency | None = None
    validation_error: _Percent
    error: _Percent
    interval: _Interval
    seeds: _Errors
    lr: _Positive
    epochs: _Count
    augment: _Text
    test: Tested


class Baseline(_Part):
    """A tuned network that was designed by hand."""

    name: _Name
    model: _Text
    flops: _Count
    params: _Count
    error: _Percent
    interval: _Interval
    seeds: _Errors


class Mistake(_Part):
    """A test image that the network in use got wrong: a PNG as the network saw it, and its answer."""

    png: Annotated[str, Field(max_length=MOST_PICTURE_BYTES), AfterValidator(_is_png)]
    label: _Name = Field(alias="class")
    predicted: _Name
    probability: _Share

    model_config = ConfigDict(populate_by_name=True)


class Finished(_Part):
    """What a finished study came to. ``folder`` is as the user named it, ``use`` the network to take, and
    ``why``.

    ``guess`` is the error of always answering the commonest class. ``difference`` is the mean test error of
    the network in use less that of the first baseline, in points, with the ends of its 95% interval over
    seeds and images. ``tries`` are the trainings by which these two were chosen among those of their size,
    ``notes`` what the errors don't say.
    """

    version: Literal[1] = 1
    folder: _Text
    use: _Name
    why: _Text = ""
    target: _Text
    test_images: _Count
    guess: _Percent | None = None
    networks: Annotated[_Many[Member], Field(min_length=1, max_length=20)]
    baselines: Annotated[_Many[Baseline], Field(max_length=100)] = ()
    difference: _Difference | None = None
    tries: tuple[_Count, _Count] | None = None
    notes: Annotated[_Many[_Text], Field(max_length=20)] = ()
    mistakes: Annotated[_Many[Mistake], Field(max_length=100)] = ()
    space: _Name
    law: _Text
    how: _Text
    minutes: _Positive

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.use not in (names := [each.name for each in self.networks]):
            raise ValueError("use must name one of the networks")
        if len(set(names)) < len(names):
            raise ValueError("two networks have one name")
        if sum(len(each.png) for each in self.mistakes) > MOST_PICTURE_BYTES:
            raise ValueError(f"the pictures of mistakes have over {MOST_PICTURE_BYTES:,} bytes")
        return self

    @property
    def used(self) -> Member:
        """The network to take."""
        return next(each for each in self.networks if each.name == self.use)

    @property
    def has_hardly_learned(self) -> bool:
        """Whether the network in use can't be told from guessing."""
        return self.guess is not None and self.used.interval[1] >= self.guess

    @property
    def beside_hand_designed(self) -> str:
        """How the network in use compares with the tuned hand-designed one; empty where that is not known."""
        if not self.baselines:
            return "No network designed by hand was trained beside it"
        if self.difference is None:
            return ""
        other, (points, low, high) = self.baselines[0], self.difference
        claim = f"{other.name} is better" if low > 0 else f"{self.use} is better" if high < 0 else "undecided"
        ends = f"{points:+.2f} points, 95% interval {low:+.2f} to {high:+.2f}".replace("-", "−")
        sizes = f"{self.used.flops / 1e6:.2f} and {other.flops / 1e6:.2f} million multiply-adds"
        tried = ""
        if self.tries is not None:
            a, b = self.tries
            tried = (
                f"; each chosen by {plural(a, 'training')}"
                if a == b
                else f"; chosen by {a} and {b} trainings"
            )
        return (
            f"Beside {other.name}, designed by hand, in mean test error over all seeds: {claim} ({ends};"
            f" {sizes}{tried})"
        )


def finish_path(plan: Plan) -> Path:
    """Where it lies."""
    return plan.folder / "finish.json"


def write_finished(plan: Plan, finished: Finished) -> None:
    """Write it, whole or not at all; raises ``InputError`` where that can't be done."""
    write_atomically(finish_path(plan), finished.model_dump_json(by_alias=True) + "\n")


def read_finished(plan: Plan) -> Finished | None:
    """What the study came to, or ``None`` where it is not finished.

    Raises ``InputError`` where the file is damaged, of another version, or no such file.
    """
    path = finish_path(plan)
    try:
        content = read_foreign(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from None
    try:
        return Finished.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{place}: " for place in [".".join(map(str, first["loc"]))[:200]] if place)
        hint = f"regnetlab finish {plan.name} writes it again; or take it away"
        message = first["msg"].removeprefix("Value error, ")[:200]
        raise InputError(f"{path}: {where}{message}", hint) from None


def picture(image: np.ndarray[Any, Any]) -> str:
    """An image (channels, height, width) of bytes as ``Mistake.png`` has it, at most 96 pixels on a side.

    Of channels other than one or three, the first one is shown, or the first three.
    """
    from PIL import Image

    channels = 3 if len(image) >= 3 else 1
    pixels = np.ascontiguousarray(image[:channels].transpose(1, 2, 0).squeeze(-1 if channels == 1 else ()))
    shown = Image.fromarray(pixels.astype(np.uint8, copy=False))
    shown.thumbnail((96, 96))
    packed = io.BytesIO()
    shown.save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def at_most_pictures(mistakes: list[Mistake]) -> list[Mistake]:
    """The first of these mistakes whose pictures fit into the file."""
    total = np.cumsum([len(each.png) for each in mistakes])
    return [each for each, size in zip(mistakes, total, strict=True) if size <= MOST_PICTURE_BYTES]
