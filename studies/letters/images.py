"""Letters A to Z from the fonts of Debian packages, a folder a letter: 28 × 28 grey pixels.

    python studies/letters/images.py --packages | xargs sudo apt-get install
    python studies/letters/images.py letters
    regnetlab explore letters --minutes 20 --name my-letters --group-by '/([^_]+)_'

A file is named after its font and the first four letters of the font's family, such as
deja_DejaVuSans-Bold.png, and the regular expression finds these: letters of one family look alike, and must
not stand on both sides of a split. Other fonts of the machine are left out, so that the images are the same
elsewhere.
"""

import string
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE, DRAWN_AT, MARGIN = 28, 96, 3
PACKAGES = """
3270 adf-accanthis adf-baskervald adf-berenis adf-gillius adf-ikarius adf-irianis adf-libris
adf-mekanus adf-oldania adf-romande adf-solothurn adf-switzera adf-tribun adf-universalis adf-verana
allerta arapey arkpandora averia-gwf averia-sans-gwf averia-serif-gwf b612 bajaderka bebas-neue
beteckna bwht cabin cabinsketch cantarell cardo century-catalogue cherrybomb clear-sans comfortaa
comic-neue courier-prime croscore crosextra-caladea crosextra-carlito dancingscript dejavu-core
dejavu-extra dosis dustin ebgaramond ebgaramond-extra essays1743 eurofurence f500 fanwood
ferrite-core firacode freefont-ttf gemunu-libre georgewilliams gfs-artemisia gfs-didot
gfs-neohellenic go goudybookletter gotico-antiqua hack havana hermit hosny-amiri humor-sans
inconsolata isabella jetbrains-mono johnsmith-induni joscelyn junction junicode jura karla karmilla
kaushanscript klaudia-berenika kristi lato le-murmure league-mono league-spartan leckerli-one
lemonada levien-museum levien-typoscript liberation liberation2 lindenhill linuxlibertine lobstertwo
manrope monofur monoid mononoki national-park noto-core noto-mono ocr-a ocr-b okolaks oldstandard
open-sans opendin opendyslexic osifont oxygen paratype play prociono quattrocento quicksand
radisnoir roadgeek roboto-slab roboto-unhinted routed-gothic rufscript senamirmir-washra sil-andika
sil-charis sil-doulos sil-galatia sil-gentium sil-gentium-basic sil-lateef sil-scheherazade sjfonts
smiley-sans sora spleen staypuft stix summersby teluguvijayam tiresias tlwg-garuda-ttf
tlwg-kinnari-ttf tlwg-laksaman-ttf tlwg-loma-ttf tlwg-norasi-ttf tlwg-purisa-ttf tlwg-sawasdee-ttf
tlwg-typewriter-ttf tlwg-umpush-ttf tlwg-waree-ttf tomsontalks tuffy ubuntu-title vollkorn
yanone-kaffeesatz yrsa-rasa
"""


def fonts() -> list[Path]:
    """The font files of the packages, by name."""
    packages = [f"fonts-{name}" for name in PACKAGES.split()]
    listed = subprocess.run(["dpkg", "--listfiles", *packages], capture_output=True, text=True, check=True)
    paths = {Path(line) for line in listed.stdout.splitlines() if line.endswith((".otf", ".ttf"))}
    return sorted({path.stem: path for path in sorted(paths)}.values(), key=lambda path: path.stem)


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
    written, used, met = 0, 0, set[tuple[str, bytes]]()
    for path in fonts():
        font = ImageFont.truetype(str(path), DRAWN_AT)
        images = {each: letter(font, each) for each in string.ascii_uppercase}
        pixels = {(each, image.tobytes()) for each, image in images.items() if image is not None}
        if len({each for _, each in pixels}) < len(images) or pixels & met:
            continue  # a font of another script or of symbols, or one that has letters of another font
        met |= pixels
        used += 1
        family = "".join(filter(str.isalnum, font.getname()[0] or path.stem)).lower()[:4]
        for each, image in images.items():
            (folder / each).mkdir(parents=True, exist_ok=True)
            if image is not None:
                image.save(folder / each / f"{family}_{path.stem}.png")
                written += 1
    print(f"{written:,} images of {len(string.ascii_uppercase)} letters of {used} fonts in {folder}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--packages"]:
        print(*(f"fonts-{name}" for name in PACKAGES.split()))
    else:
        main(Path(sys.argv[1]))
