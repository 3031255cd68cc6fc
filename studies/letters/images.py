"""Letters A to Z from the fonts of this machine, a folder a letter: 28 × 28 grey pixels.

    sudo apt-get install fonts-dejavu fonts-firacode fonts-freefont-ttf fonts-hack fonts-inconsolata \
        fonts-lato fonts-liberation fonts-open-sans fonts-roboto fonts-noto-core
    python studies/letters/images.py letters
    regnetlab explore letters --minutes 60 --group-by '/([A-Z][a-z]+)'

A file is named after its font, and the regular expression finds its first word: letters of fonts that share
it look alike, and must not stand on both sides of a split.
"""

import string
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE, DRAWN_AT, MARGIN = 28, 96, 3
_FONTS = Path("/usr/share/fonts")


def letter(font: ImageFont.FreeTypeFont, text: str) -> Image.Image | None:
    """The letter in black on white, as large as the image but for a margin; none without a glyph."""
    left, top, right, bottom = font.getbbox(text)
    if right <= left or bottom <= top or font.getmask(text).getbbox() == font.getmask("\ue0ff").getbbox():
        return None
    size = (int(right - left), int(bottom - top))
    drawn = Image.new("L", size, 255)
    ImageDraw.Draw(drawn).text((-left, -top), text, fill=0, font=font)
    scale = (SIDE - 2 * MARGIN) / max(size)
    small = drawn.resize([max(1, round(each * scale)) for each in size], Image.Resampling.LANCZOS)
    image = Image.new("L", (SIDE, SIDE), 255)
    image.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return image


def main(folder: Path) -> None:
    fonts = sorted({path.stem: path for path in _FONTS.rglob("*.[to]tf")}.items())
    written, met = 0, set[tuple[str, bytes]]()
    for name, path in fonts:
        font = ImageFont.truetype(str(path), DRAWN_AT)
        images = {each: letter(font, each) for each in string.ascii_uppercase}
        pixels = {(each, image.tobytes()) for each, image in images.items() if image is not None}
        if len({each for _, each in pixels}) < len(images) or pixels & met:
            continue  # a font of another script or of symbols, or one that has letters of another font
        met |= pixels
        for each, image in images.items():
            (folder / each).mkdir(parents=True, exist_ok=True)
            if image is not None:
                image.save(folder / each / f"{name}.png")
                written += 1
    print(f"{written:,} images of {len(string.ascii_uppercase)} letters in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
