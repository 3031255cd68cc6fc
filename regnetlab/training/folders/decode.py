"""From one image file to its pixels, as a network sees them.

The order: the first frame is decoded, turned as EXIF says, laid on the background where it is transparent,
made grey or RGB, then brought to size. Colour profiles are not applied (as in torchvision).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.training.folders.walk import image_formats

if TYPE_CHECKING:
    from PIL.Image import Image

_OVERSAMPLED = 2
"""A JPEG is decoded at 1/2, 1/4 or 1/8 where that is still this many times what is needed: docs/data.md."""
_ANIMATED = {"GIF", "PNG", "WEBP", "AVIF", "TIFF", "FLI"}
_BITS_TAG, _SAMPLE_FORMAT_TAG, _ORIENTATION_TAG = 258, 339, 274
_SIGNED = 2


class UnreadableError(ValueError):
    """This file's pixels can't be read; the message is the reason, without the file's name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a folder's images become input.

    ``fit``: ``crop`` (the short side is brought to size, then the centre cut out), ``pad`` (the long side,
    then the background around) or ``squash`` (both sides, whatever the proportions). Transparent images are
    laid on ``background``, a colour by name or ``#rrggbb``. ``skip_unreadable`` goes on without files that
    can't be read.
    """

    fit: Literal["crop", "pad", "squash"] = "crop"
    background: str = "white"
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if self.fit not in ("crop", "pad", "squash"):
            raise InputError(f"fit is {self.fit!r}; it must be crop, pad or squash")
        _ = self.colour

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
                f"background is {self.background[:40]!r}; it must be a colour, as in white or #rrggbb"
            )
        return red, green, blue


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
        turned = _says_orientation(image) and image.getexif().get(_ORIENTATION_TAG, 1) in range(2, 9)
        swap = turned and image.format != "TIFF" and image.getexif()[_ORIENTATION_TAG] >= 5
        width, height = image.size[::-1] if swap else image.size
        animated = image.format in _ANIMATED and bool(getattr(image, "is_animated", False))
        return Facts(
            image.format or "", image.mode, width, height, turned, animated, image.has_transparency_data
        )


def pixels(path: Path, channels: int, height: int, width: int, reading: Reading) -> NDArray[np.uint8]:
    """The image as (channels, height, width), for 1 channel (grey) or 3 (RGB); raises ``UnreadableError``."""
    from PIL import ImageOps

    with _opened(path) as image:
        if _says_orientation(image) and image.getexif().get(_ORIENTATION_TAG, 1) >= 5:
            _reduce(image, width, height, reading.fit)
        else:
            _reduce(image, height, width, reading.fit)
        image.load()
        upright = ImageOps.exif_transpose(image)
        plain = _plain(upright, image, reading).convert("L" if channels == 1 else "RGB")
    fitted = np.asarray(_fitted(plain, height, width, reading), np.uint8)
    return fitted[None] if channels == 1 else fitted.transpose(2, 0, 1)


@contextmanager
def _opened(path: Path) -> "Iterator[Image]":
    """The image; whatever goes wrong with a file is an ``UnreadableError``."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=image_formats()) as image:
            yield image
    except UnidentifiedImageError:
        raise UnreadableError("no image by its content") from None
    except MemoryError:
        raise UnreadableError("too large for the memory") from None
    except UnreadableError:
        raise
    except Exception as error:  # decoders raise whatever comes up: SyntaxError, struct.error, ValueError, …
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableError(" ".join(str(reason).split())[:120]) from error


def _says_orientation(image: "Image") -> bool:
    return bool({"exif", "xmp", "XML:com.adobe.xmp"} & image.info.keys()) or image.format in ("TIFF", "MPO")


def _reduce(image: "Image", height: int, width: int, fit: str) -> None:
    """Have a JPEG decoded at a reduced scale that suffices; others stay as they are."""
    if image.format in ("JPEG", "MPO"):
        across, down = _scaled(image.width, image.height, width, height, fit)
        image.draft(None, (_OVERSAMPLED * max(1, round(across)), _OVERSAMPLED * max(1, round(down))))


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
    if low < 0 or high > most:
        raise UnreadableError(f"pixels from {low:,} to {high:,}; convert it to 8 or 16 bits without sign")
    if most > 65_535 and high * 255 < most:
        raise UnreadableError(
            f"32-bit pixels up to {high:,} of {most:,} would all become black; convert it to 8 or 16 bits"
        )
    scaled = Image.fromarray(np.rint(values * (255 / most)).astype(np.uint8))
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


def _scaled(width: int, height: int, to_width: int, to_height: int, fit: str) -> tuple[int, int]:
    """The size to which the whole image is brought before it is cropped or padded."""
    if fit == "squash":
        return to_width, to_height
    wider = width * to_height > height * to_width  # than the input
    if wider == (fit == "crop"):
        return max(1, width * to_height // height), to_height
    return to_width, max(1, height * to_width // width)


def _fitted(image: "Image", height: int, width: int, reading: Reading) -> "Image":
    """The image in the input's size; bicubic, and antialiased where it shrinks."""
    from PIL import Image

    across, down = _scaled(image.width, image.height, width, height, reading.fit)
    if reading.fit == "pad":
        ground = Image.new("RGB", (width, height), reading.colour).convert(image.mode)
        resized = image.resize((across, down), Image.Resampling.BICUBIC)
        ground.paste(resized, ((width - across) // 2, (height - down) // 2))
        return ground
    # Only the part that stays is made: a panorama of 1 × 60,000 pixels would else need gigabytes.
    left, top = round((across - width) / 2), round((down - height) / 2)
    x, y = image.width / across, image.height / down
    box = (left * x, top * y, min((left + width) * x, image.width), min((top + height) * y, image.height))
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
