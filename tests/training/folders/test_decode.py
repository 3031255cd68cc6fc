"""From a file to pixels: transparency, orientation, depth, proportions, and files that can't be read."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torchvision.transforms import v2

from regnetlab.errors import InputError
from regnetlab.training.folders.decode import Reading, UnreadableError, facts, pixels, quiet
from tests.training.folders.pictures import picture

WHITE = (255, 255, 255)


def read(
    path: Path, channels: int = 3, height: int = 8, width: int = 12, **reading: str
) -> NDArray[np.uint8]:
    """The image with channels last, as Pillow has it."""
    with quiet():
        found = pixels(path, channels, height, width, Reading(**reading))  # type: ignore[arg-type]
    assert found.dtype == np.uint8
    assert found.shape == (channels, height, width)
    return found.transpose(1, 2, 0) if channels == 3 else found[0]


def reason(path: Path) -> str:
    with pytest.raises(UnreadableError) as caught, quiet():
        pixels(path, 3, 8, 12, Reading())
    return str(caught.value)


MODES = {
    "png": "1 L P RGB RGBA LA",
    "tif": "1 L P RGB RGBA LA CMYK YCbCr",
    "gif": "1 L P RGB RGBA LA",
    "jpg": "1 L RGB CMYK YCbCr",
    "webp": "1 L P RGB RGBA LA CMYK YCbCr",
    "bmp": "1 L P RGB RGBA",
    "jp2": "L RGB RGBA LA YCbCr",
    "avif": "1 L P RGB RGBA LA CMYK YCbCr",
    "tga": "1 L P RGB RGBA LA",
}
"""Which modes can be saved in a format."""


@pytest.mark.parametrize(
    ("mode", "ending"), [(mode, ending) for ending, modes in MODES.items() for mode in modes.split()]
)
def test_every_mode_of_every_format_is_what_pillow_makes_of_it(
    tmp_path: Path, mode: str, ending: str
) -> None:
    path = tmp_path / f"x.{ending}"
    picture(1, mode=mode).save(path)
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("RGB").resize((12, 8), Image.Resampling.BICUBIC))
    assert (read(path) == expected).all()


def test_a_black_drawing_on_a_transparent_ground_stays_a_drawing(tmp_path: Path) -> None:
    drawing = np.zeros((8, 12, 4), np.uint8)
    drawing[2:5, 3:9, 3] = 255
    Image.fromarray(drawing).save(tmp_path / "x.png")
    for channels in (1, 3):
        expected = np.full((8, 12), 255)
        expected[2:5, 3:9] = 0
        found = read(tmp_path / "x.png", channels)
        assert ((found if channels == 1 else found[..., 1]) == expected).all()
    assert (read(tmp_path / "x.png", background="#ff0000")[0, 0] == (255, 0, 0)).all()


def _palette(image: Image.Image) -> Image.Image:
    return image.quantize(16)


def _grey_alpha(image: Image.Image) -> Image.Image:
    return image.convert("LA")


def _colours(image: Image.Image) -> Image.Image:
    return image


@pytest.mark.parametrize(
    ("ending", "change"),
    [
        *((ending, _colours) for ending in ("png", "webp", "tif", "gif")),
        *((ending, _grey_alpha) for ending in ("png", "webp", "tif")),
        *((ending, _palette) for ending in ("png", "webp")),
    ],
)
def test_colours_under_full_transparency_leave_no_trace(
    tmp_path: Path, ending: str, change: Callable[[Image.Image], Image.Image]
) -> None:
    for name, hidden in (("a", 0), ("b", 255)):
        image = np.full((8, 12, 4), hidden, np.uint8)
        image[..., 3] = 0
        image[2:5, 3:9] = (200, 200, 200, 255)
        options = {"exact": True, "lossless": True} if ending == "webp" else {}
        changed = change(Image.fromarray(image))
        changed.save(tmp_path / f"{name}.{ending}", **options)
        with Image.open(tmp_path / f"{name}.{ending}") as opened:
            assert opened.has_transparency_data
    first, second = (read(tmp_path / f"{name}.{ending}").astype(int) for name in "ab")
    assert (first[0, 0] >= 250).all()
    assert np.abs(first - second).max() <= 8  # what quantising to 16 colours may change


def test_a_colour_that_a_png_declares_transparent_is_background(tmp_path: Path) -> None:
    Image.new("RGB", (12, 8), (1, 2, 3)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    Image.new("L", (12, 8), 7).save(tmp_path / "l.png", transparency=7)
    sixteen = np.full((8, 12), 500, np.uint16)
    Image.fromarray(sixteen).save(tmp_path / "wide.png", transparency=500)
    for name in ("rgb", "l", "wide"):
        assert (read(tmp_path / f"{name}.png") == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_a_photo_stands_as_exif_says(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{ending}"
    picture(2, 60, 40).resize((601, 399)).save(path, exif=exif)
    with Image.open(path) as opened:
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        expected = np.asarray(upright.resize((12, 8), Image.Resampling.BICUBIC)).astype(int)
    found = read(path, fit="squash").astype(int)
    assert np.abs(found - expected).mean() < 1.5  # a JPEG is decoded at a reduced scale
    assert (facts(path).width, facts(path).height) == upright.size


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bits_are_scaled_linearly_from_their_full_range(tmp_path: Path, ending: str) -> None:
    values = np.array([[0, 128, 257, 1_000], [32_768, 40_000, 65_000, 65_535]], np.uint16)
    path = tmp_path / f"x.{ending}"
    Image.fromarray(values).save(path)
    assert read(path, 1, 2, 4).tolist() == np.rint(values / 257).astype(int).tolist()
    assert facts(path).mode.startswith("I")


def test_32_bits_are_scaled_too_unless_that_leaves_nothing(tmp_path: Path) -> None:
    full = np.array([[0, 2**30], [2**31 - 1, 2**29]], np.int32)
    Image.fromarray(full).save(tmp_path / "full.tif")
    assert read(tmp_path / "full.tif", 1, 2, 2).tolist() == [[0, 128], [255, 64]]
    Image.fromarray(full // 2**22).save(tmp_path / "dark.tif")
    assert "up to 511 of 2,147,483,647 would all become black" in reason(tmp_path / "dark.tif")
    Image.fromarray(-full).save(tmp_path / "signed.tif")
    assert "pixels from -2,147,483,647 to 0" in reason(tmp_path / "signed.tif")


def test_a_scan_of_16_bits_in_which_0_is_white_is_turned_light(tmp_path: Path) -> None:
    values = np.array([[0, 10_000], [30_000, 65_535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "x.tif", tiffinfo={262: 0})  # written as they are
    assert read(tmp_path / "x.tif", 1, 2, 2).tolist() == (255 - np.rint(values / 257)).tolist()


def test_signed_bytes_are_refused(tmp_path: Path) -> None:
    picture(9, mode="L").save(tmp_path / "x.tif", tiffinfo={339: 2})
    assert reason(tmp_path / "x.tif").startswith("signed pixels")


def png(bits: int, colours: int, rows: list[bytes], width: int, clear: bytes) -> bytes:
    """A PNG with a transparent colour (tRNS) of a depth that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, colours, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = chunk(b"IHDR", header) + chunk(b"tRNS", clear) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("bits", "row", "clear", "opaque"), [(1, 0x80, 0, 255), (2, 0x60, 1, 170), (4, 0x15, 1, 85)]
)
def test_a_transparent_grey_of_few_bits_is_background(
    tmp_path: Path, bits: int, row: int, clear: int, opaque: int
) -> None:
    width = 8 // bits
    data = png(bits, 0, [bytes([row])], width, struct.pack(">H", clear))
    (tmp_path / "x.png").write_bytes(data)
    found = read(tmp_path / "x.png", 1, 1, width, background="#010101")[0]
    levels = [(row >> (8 - bits * (i + 1))) & (2**bits - 1) for i in range(width)]
    step = 255 // (2**bits - 1)
    assert found.tolist() == [1 if level == clear else level * step for level in levels]
    assert opaque in found


def test_a_transparent_colour_of_16_bits_is_background(tmp_path: Path) -> None:
    clear, opaque = struct.pack(">HHH", 5, 0x1234, 0xFF80), struct.pack(">HHH", 0x8000, 0, 0)
    (tmp_path / "x.png").write_bytes(png(16, 2, [clear + opaque], 2, clear))
    assert read(tmp_path / "x.png", 3, 1, 2)[0].tolist() == [[255, 255, 255], [128, 0, 0]]


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_exif_that_can_not_be_read_is_no_fault_of_the_pixels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    picture(10, 48, 32).save(path, exif=b"Exif\0\0garbage")
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(read(path, 3, 32, 48) - expected).max() <= 1
    assert not facts(path).turned


def test_an_image_of_too_many_pixels_says_how_many_would_do(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "x.png")
    assert reason(tmp_path / "x.png") == "over 179 million pixels; make it smaller"


def test_floats_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).random((8, 12)).astype(np.float32)).save(tmp_path / "x.tif")
    assert reason(tmp_path / "x.tif").startswith("floating-point pixels")


def test_lab_becomes_the_colours_that_it_means(tmp_path: Path) -> None:
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    red = Image.new("RGB", (12, 8), (200, 30, 40))
    ImageCms.applyTransform(red, ImageCms.buildTransform(rgb, lab, "RGB", "LAB")).save(tmp_path / "x.tif")
    assert np.abs(read(tmp_path / "x.tif").astype(int) - (200, 30, 40)).max() <= 3
    assert 80 <= read(tmp_path / "x.tif", 1)[0, 0] <= 85  # its luma


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_read(tmp_path: Path, ending: str) -> None:
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"x.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert (read(path) == (255, 0, 0)).all()
    assert facts(path).animated


@pytest.mark.parametrize(("width", "height"), [(12, 8), (50, 37), (37, 50), (500, 375), (9, 200), (300, 4)])
@pytest.mark.parametrize("side", [8, 24, 64])
def test_crop_is_torchvisions_short_side_and_centre(
    tmp_path: Path, width: int, height: int, side: int
) -> None:
    image = picture(3, width, height)
    image.save(tmp_path / "x.png")
    bicubic = v2.InterpolationMode.BICUBIC
    known = v2.Compose([v2.Resize(side, bicubic, antialias=True), v2.CenterCrop(side)])
    found = read(tmp_path / "x.png", 3, side, side).astype(int)
    # On noise: Pillow may resize columns before rows, and what overshoots between them is cut off.
    assert np.abs(found - np.asarray(known(image)).astype(int)).mean() < 0.5


def test_crop_covers_an_input_that_is_no_square(tmp_path: Path) -> None:
    image = picture(4, 40, 40)
    image.save(tmp_path / "x.png")
    whole = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(read(tmp_path / "x.png", 3, 16, 32) - whole[8:24]).mean() < 0.5
    assert np.abs(read(tmp_path / "x.png", 3, 32, 16) - whole[:, 8:24]).mean() < 0.5


def test_pad_keeps_the_whole_image_on_the_background(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "red").save(tmp_path / "x.png")
    found = read(tmp_path / "x.png", 3, 16, 16, fit="pad", background="blue")
    assert (found[4:12] == (255, 0, 0)).all()
    assert (found[:4] == (0, 0, 255)).all()
    assert (found[12:] == (0, 0, 255)).all()


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.png")
    assert np.abs(read(tmp_path / "x.png", 1, 8, 8).astype(int) - 128).max() <= 12


def test_a_jpeg_decoded_at_reduced_scale_is_nearly_the_same(tmp_path: Path) -> None:
    picture(5, 25, 19).resize((500, 375), Image.Resampling.BICUBIC).save(tmp_path / "x.jpg", quality=90)
    with Image.open(tmp_path / "x.jpg") as opened:
        whole = opened.resize((85, 64), Image.Resampling.BICUBIC).crop((10, 0, 74, 64))
    difference = np.abs(read(tmp_path / "x.jpg", 3, 64, 64) - np.asarray(whole).astype(int))
    assert 0 < difference.mean() < 1.5


def test_a_panorama_of_one_pixels_height_needs_no_memory(tmp_path: Path) -> None:
    Image.new("RGB", (60_000, 1), "red").save(tmp_path / "x.png")
    assert (read(tmp_path / "x.png", 3, 64, 64) == (255, 0, 0)).all()


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "tif", "bmp", "ppm"])
@pytest.mark.parametrize(
    "spoil", [_cut, lambda data: b"", lambda data: b"no picture", lambda data: data[:20]]
)
def test_a_damaged_file_is_unreadable_with_a_reason_of_one_line(
    tmp_path: Path, ending: str, spoil: Callable[[bytes], bytes]
) -> None:
    file = io.BytesIO()
    picture(6, 90, 60).save(file, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper()))
    (tmp_path / f"x.{ending}").write_bytes(spoil(file.getvalue()))
    said = reason(tmp_path / f"x.{ending}")
    assert said
    assert "\n" not in said


def test_a_file_of_another_format_than_its_name_says_is_read(tmp_path: Path) -> None:
    picture(7).save(tmp_path / "x.jpg", "PNG")
    assert (read(tmp_path / "x.jpg") == np.asarray(picture(7))).all()


def test_postscript_under_another_name_is_not_run(tmp_path: Path) -> None:
    picture(8).save(tmp_path / "x.png", "EPS")
    assert reason(tmp_path / "x.png") == "no image by its content"


@pytest.mark.parametrize(
    ("reading", "part"),
    [
        ({"fit": "stretch"}, "fit is 'stretch'; it must be crop, pad or squash"),
        ({"background": "whitish"}, "background is 'whitish'"),
        ({"background": "#ffffff00"}, "background is '#ffffff00'"),
        ({"background": ""}, "background is ''"),
    ],
)
def test_a_reading_that_can_not_be_is_refused(reading: dict[str, str], part: str) -> None:
    with pytest.raises(InputError, match=part):
        Reading(**reading)  # type: ignore[arg-type]
