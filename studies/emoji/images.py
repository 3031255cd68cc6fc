"""Emoji in colour by their category, as four companies draw them: 64 × 64 pixels, a folder a category.

    npm pack emoji-datasource-apple emoji-datasource-google emoji-datasource-twitter emoji-datasource-facebook
    python studies/emoji/images.py emoji emoji-datasource-*.tgz
    regnetlab explore emoji --minutes 16 --input 3x32x32 --name my-emoji --group-by '/([0-9a-f-]+)_'

A file is named after its emoji and its company. The regular expression finds the emoji: four drawings of one
emoji look alike, and must not stand on both sides of a split. Skin tones are left out.
"""

import json
import re
import sys
import tarfile
from pathlib import Path


def main(folder: Path, archives: list[Path]) -> None:
    written = 0
    for archive in archives:
        with tarfile.open(archive) as opened:
            found = opened.extractfile("package/emoji.json")
            emoji = {each["image"]: each for each in json.load(found)} if found else {}
            for member in opened:
                match = re.fullmatch(r"package/img/(\w+)/64/([0-9a-f-]+\.png)", member.name)
                image = opened.extractfile(member) if match else None
                if match is None or image is None or match[2] not in emoji:
                    continue
                category = emoji[match[2]]["category"]
                if category == "Component":
                    continue
                place = folder / category.replace(" & ", " and ")
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{Path(match[2]).stem}_{match[1]}.png").write_bytes(image.read())
                written += 1
    print(f"{written:,} images in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
