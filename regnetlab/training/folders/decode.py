"""From one image file to its pixels, as a network sees them.

The order: the first frame is decoded, turned as EXIF says, laid on the background where it is transparent,
made grey or RGB, then brought to size. Colour profiles are not applied (as in torchvision).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.files import open_foreign
from regnetlab.training.folders.groups import check_expression
from regnetlab.training.folders.walk import UNDECODABLE, image_formats

if TYPE_CHECKING:
    from PIL.Image import Image

_OVERSAMPLED = 2
"""A JPEG is decoded at 1/2, 1/4 or 1/8 where that is still this many times what is needed: docs/data.md."""
LONGEST_SIDE = 2**15
"""Of a picture that is kept whole, in pixels."""
_GREY_STEPS = {"L;2": 85, "L;4": 17}
_ANIMATED = {"GIF", "PNG", "WEBP", "AVIF", "TIFF", "FLI"}
_BITS_TAG, _PHOTOMETRIC_TAG, _ORIENTATION_TAG, _SAMPLE_FORMAT_TAG = 258, 262, 274, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2


class UnreadableError(ValueError):
    """This file's pixels can't be read; the message is the reason, without the file's name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a folder's images become input, and which are held out.

    ``fit``: ``crop`` (the short side is brought to size, then the centre cut out), ``pad`` (the long side,
    then the background around) or ``squash`` (both sides, whatever the proportions). Transparent images are
    laid on ``background``, a colour by name or ``#rrggbb``. ``skip_unreadable`` goes on without files that
    can't be read. ``split`` says how splits are held out for which the folder has no folders: at ``random``
    over all images, or ``stratified`` by class. ``group_by`` is a regular expression that finds in an image's
    path the name of its group; a group is never divided, and groups are shared out by class either way.
    ``test_split`` says whether test images are held out too where the folder has none of its own.
    """

    fit: Literal["crop", "pad", "squash"] = "crop"
    background: str = "white"
    skip_unreadable: bool = False
    split: Literal["random", "stratified"] = "random"
    group_by: str | None = None
    test_split: bool = True

    def __post_init__(self) -> None:
        if self.fit not in ("crop", "pad", "squash"):
            raise InputError(f"fit is {self.fit!r}", "it must be crop, pad or squash")
        if self.split not in ("random", "stratified"):
            raise InputError(f"split is {self.split!r}", "it must be random or stratified")
        if self.group_by is not None:
            check_expression(self.group_by)
        _ = self.colour

    @property
    def splitting(self) -> tuple[str, ...]:
        """What decides which images are held out."""
        how = (self.split,) if self.group_by is None else ("grouped", self.group_by)
        return how if self.test_split else (*how, "no test split")

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background as red, green and blue, 0 to 255."""
        from PIL import ImageColor

        try:
            red, green, blue, *alpha = ImageColor.getrgb(self.background)
        except ValueError:
            alpha = [0]
        if alpha:
            raise InputError(
                f"background is {self.background[:40]!r}", "it must be a colour, as in white or #rrggbb"
            )
        return red, green, blue


def is_folder(data: str) -> bool:
    """Whether data of this name are a folder of images, which is read as a ``Reading`` says."""
    return data.partition(":")[0] == "folder"


def folder_of_pack(data: str) -> Path | None:
    """The folder of a pack, of data that are named pack:FOLDER."""
    kind, _, path = data.partition(":")
    return Path(path).expanduser() if kind == "pack" and path else None


def takes_any_input(data: str) -> bool:
    """Whether data of this name are cut to the input's size: folders and packs of images."""
    return data.partition(":")[0] in ("folder", "pack")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself before its pixels are decoded; ``width`` and ``height`` are upright."""

    format: str
    mode: str
    width: int
    height: int
    turned: bool = False
    animated: bool = False
    transparent: bool = False


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that Pillow prints of odd but readable files; not for several threads at once."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def facts(path: Path) -> Facts:
    """What the header says; raises ``UnreadableError``."""
    with _opened(path) as image:
        orientation = _orientation(image)
        swap = orientation >= 5 and image.format != "TIFF"  # whose size Pillow turns by itself
        width, height = image.size[::-1] if swap else image.size
        animated = image.format in _ANIMATED and bool(getattr(image, "is_animated", False))
        transparent = image.has_transparency_data
        return Facts(image.format or "", image.mode, width, height, orientation > 1, animated, transparent)


def pixels(path: Path, channels: int, height: int, width: int, reading: Reading) -> NDArray[np.uint8]:
    """The image as (channels, height, width), for 1 channel (grey) or 3 (RGB); raises ``UnreadableError``."""
    plain, area = _upright(path, channels, height, width, reading)
    return _as_array(_fitted(plain, area, height, width, reading))


def whole_picture(path: Path, channels: int, side: int, background: str) -> NDArray[np.uint8]:
    """The whole picture as (channels, height, width), made smaller until its short side is ``side``; one that
    is smaller stays as it is. Raises ``UnreadableError``."""
    plain, area = _upright(path, channels, side, side, Reading(background=background))
    return _shrunk(plain, area, side)


def levels_of_picture(image: "Image", channels: int | None, side: int) -> NDArray[np.uint8]:
    """The same of a picture in memory; 1 channel or 3 as it has colours, where ``channels`` says nothing."""
    plain = _plain(image, image, Reading())
    if channels is not None:
        plain = plain.convert("L" if channels == 1 else "RGB")
    return _shrunk(plain, _Area(0, 0, *plain.size), side)


def _shrunk(plain: "Image", area: "_Area", side: int) -> NDArray[np.uint8]:
    from PIL import Image

    size = round(area.width), round(area.height)
    if min(size) > side:
        size = _scaled(area.width, area.height, side, side, "crop")
    if max(size) > LONGEST_SIDE:
        raise UnreadableError(f"{size[0]:,} × {size[1]:,} pixels are too long; crop it")
    box = (area.left, area.top, area.left + area.width, area.top + area.height)
    whole = size == plain.size and box == (0, 0, *plain.size)
    return _as_array(plain if whole else plain.resize(size, Image.Resampling.BICUBIC, box))


def _as_array(image: "Image") -> NDArray[np.uint8]:
    """(channels, height, width) of a grey or RGB image."""
    values = np.asarray(image, np.uint8)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _upright(path: Path, channels: int, height: int, width: int, reading: Reading) -> "tuple[Image, _Area]":
    """The decoded image, upright and without transparency, and the part of it that is the picture; decoded at
    a reduced scale where that is enough for this height and width."""
    from PIL import ImageOps

    with _opened(path) as image:
        turned = _orientation(image) > 1
        area = _reduced(image, height, width, reading.fit)
        tiles = getattr(image, "tile", ())  # gone when it is loaded
        image.load()
        _check_kept(image)
        if (key := image.info.get("transparency")) is not None:
            image.info["transparency"] = _scaled_key(key, str(tiles[0][3]) if tiles else "")
        upright = ImageOps.exif_transpose(image) if turned else image
        plain = _plain(upright, image, reading).convert("L" if channels == 1 else "RGB")
    return plain, area or _Area(0, 0, *plain.size)


class _Area(NamedTuple):
    """The part of a decoded image that is the picture, in pixels that need not be whole."""

    left: float
    top: float
    width: float
    height: float


@contextmanager
def _opened(path: Path) -> "Iterator[Image]":
    """The image; whatever goes wrong with a file is an ``UnreadableError``."""
    from PIL import Image, UnidentifiedImageError

    try:
        with open_foreign(path) as file, Image.open(file, formats=image_formats()) as image:
            yield image
    except UnidentifiedImageError:
        ending = path.suffix.lower()
        foreign = f"{ending} files are not decoded; convert it to PNG or JPEG"
        raise UnreadableError(foreign if ending in UNDECODABLE else "no image by its content") from None
    except MemoryError:
        raise UnreadableError("too large for the memory") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise UnreadableError(f"over {most:.0f} million pixels; make it smaller") from None
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise whatever comes up: SyntaxError, struct.error, ValueError, …
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableError(" ".join(str(reason).split())[:120]) from error


def _orientation(image: "Image") -> int:
    """How the picture lies in the file, 1 to 8 as in EXIF; 1 where nothing is said."""
    if image.format in ("TIFF", "MPO") or {"exif", "xmp", "XML:com.adobe.xmp"} & image.info.keys():
        try:
            said = image.getexif().get(_ORIENTATION_TAG, 1)
        except Exception:  # not EXIF after all: the pixels may be good
            return 1
        return said if said in range(1, 9) else 1
    return 1


def _reduced(image: "Image", height: int, width: int, fit: str) -> _Area | None:
    """Have a JPEG decoded at a reduced scale that suffices; the area of the upright picture in it.

    Decoded at a half, 375 rows become 188, of which the last is half empty.
    """
    if image.format not in ("JPEG", "MPO"):
        return None
    orientation = _orientation(image)
    swap = orientation >= 5
    across, down = _scaled(*(image.size[::-1] if swap else image.size), width, height, fit)
    least = tuple(_OVERSAMPLED * side for side in ((down, across) if swap else (across, down)))
    done = image.draft(None, least)  # type: ignore[arg-type]
    if done is None:
        return None
    (real_w, real_h), (full_w, full_h) = done[1][2:], image.size
    blank_x, blank_y = full_w - real_w, full_h - real_h  # at the right and at the bottom, as the file lies
    if swap:
        left, top = blank_y * (orientation in (6, 7)), blank_x * (orientation in (7, 8))
        return _Area(left, top, real_h, real_w)
    return _Area(blank_x * (orientation in (2, 3)), blank_y * (orientation in (3, 4)), real_w, real_h)


def _check_kept(image: "Image") -> None:
    """Raise ``UnreadableError`` for signed bytes, which Pillow reads as if they had no sign."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    if tags is not None and image.mode in ("L", "RGB") and _SIGNED in tags.get(_SAMPLE_FORMAT_TAG, ()):
        raise UnreadableError("signed pixels; convert it to 8 or 16 bits without sign")


def _scaled_key(key: Any, raw: str) -> Any:
    """A PNG's transparent colour in the 8 bits that Pillow decodes to, from the depth that the file has."""
    if isinstance(key, int) and raw in _GREY_STEPS:
        return key * _GREY_STEPS[raw]
    if isinstance(key, tuple) and raw.startswith("RGB;16"):
        return tuple(value >> 8 for value in key)
    return key


def _plain(image: "Image", opened: "Image", reading: Reading) -> "Image":
    """The image without transparency, in 8 bits a channel, grey or RGB."""
    from PIL import Image

    if image.mode == "F":
        raise UnreadableError("floating-point pixels, whose range is not known; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        return _narrowed(image, opened, reading)
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (*reading.colour, 255))
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _narrowed(image: "Image", opened: "Image", reading: Reading) -> "Image":
    """Whole numbers of 16 or 32 bits, scaled linearly from their full range to 0 to 255."""
    from PIL import Image

    values, most = np.asarray(image), 65_535
    if opened.format == "TIFF":
        tags = opened.tag_v2  # type: ignore[attr-defined]
        bits, signed = int(tags.get(_BITS_TAG, (16,))[0]), tags.get(_SAMPLE_FORMAT_TAG, (1,))[0] == _SIGNED
        values = values.view(np.uint32) if values.dtype == np.int32 and bits == 32 and not signed else values
        most = 2 ** (bits - signed) - 1
    elif image.mode == "I" and opened.format not in ("PNG", "PPM"):
        raise UnreadableError(f"32-bit pixels of unknown range ({opened.format}); convert it to 8 or 16 bits")
    low, high = int(values.min()), int(values.max())
    inverted = opened.format == "TIFF" and tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
    if low < 0 or high > most:
        raise UnreadableError(f"pixels from {low:,} to {high:,}; convert it to 8 or 16 bits without sign")
    if most > 65_535 and high * 255 < most:
        raise UnreadableError(
            f"32-bit pixels up to {high:,} of {most:,} would all become black; convert it to 8 or 16 bits"
        )
    levels = np.rint(values * (255 / most)).astype(np.uint8)
    scaled = Image.fromarray(255 - levels if inverted else levels)
    key = opened.info.get("transparency")
    if not isinstance(key, int):
        return scaled
    ground = Image.new("RGB", image.size, reading.colour)
    return Image.composite(ground, scaled.convert("RGB"), Image.fromarray(values == key))


def _from_lab(image: "Image") -> "Image":
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, rgb, "LAB", "RGB"))
    if converted is None:  # only where it was asked to change the image in place
        raise UnreadableError("LAB colours that can't be converted")
    return converted


def _scaled(width: float, height: float, to_width: int, to_height: int, fit: str) -> tuple[int, int]:
    """The size to which the whole picture is brought before it is cropped or padded."""
    if fit == "squash":
        return to_width, to_height
    wider = width * to_height > height * to_width  # than the input
    if wider == (fit == "crop"):
        return max(1, int(width * to_height / height)), to_height
    return to_width, max(1, int(height * to_width / width))


def _fitted(image: "Image", area: _Area, height: int, width: int, reading: Reading) -> "Image":
    """The picture in the input's size; bicubic, and antialiased where it shrinks."""
    from PIL import Image

    across, down = _scaled(area.width, area.height, width, height, reading.fit)
    bicubic = Image.Resampling.BICUBIC
    if reading.fit == "pad":
        whole = (area.left, area.top, area.left + area.width, area.top + area.height)
        ground = Image.new("RGB", (width, height), reading.colour).convert(image.mode)
        ground.paste(
            image.resize((across, down), bicubic, whole), ((width - across) // 2, (height - down) // 2)
        )
        return ground
    # Only the part that stays is made: a panorama of 1 × 60,000 pixels would else need gigabytes.
    x, y = area.width / across, area.height / down
    left = area.left + round((across - width) / 2) * x
    top = area.top + round((down - height) / 2) * y
    right, bottom = min(left + width * x, image.width), min(top + height * y, image.height)
    return image.resize((width, height), bicubic, (left, top, right, bottom))
