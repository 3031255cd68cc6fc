"""Claim: a folder of images is surveyed at 5,000 files a second and more, decoded at 800 photos a second and
more on two cores, read from the cache in under a second, in the images' own memory and 300 MB.

Evidence: the table in docs/data.md, which `make bench-data` prints. The photos are 500×375 JPEGs, made here:
smooth noise of 300 kinds, every file with bytes of its own. ``--images`` scales it down.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

KINDS, CLASSES, SIZE, INPUT = 300, 20, (500, 375), "3x64x64"
CHILD = """
import resource, sys, time
from pathlib import Path
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data, outline
what, root, size = sys.argv[1:]
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
if what == "survey":
    outline(f"folder:{root}")
    images = 0
else:
    data = load_data(f"folder:{root}", SMALL.changed(size))
    images = sum(part.images.nbytes for part in (data.train, data.validation, data.test))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, images / 1e6, peak / 1e3)
"""


def make_photos(root: Path, n: int) -> None:
    """``n`` JPEGs in folders of classes, no two alike to the byte."""
    random = np.random.default_rng(0)
    kinds = []
    for _ in range(KINDS):
        noise = Image.fromarray(random.integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8))
        path = root / "kind.jpg"
        noise.filter(ImageFilter.GaussianBlur(4)).save(path, quality=90)
        kinds.append(path.read_bytes())
        path.unlink()
    for i in range(n):
        folder = root / f"class {i % CLASSES:02}"
        folder.mkdir(exist_ok=True)
        (folder / f"{i:06}.jpg").write_bytes(kinds[i % KINDS] + i.to_bytes(4, "big"))


def measured(what: str, root: Path, cache: Path) -> tuple[float, float, float]:
    """Seconds, megabytes of images, and peak memory in megabytes, of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, what, str(root), INPUT],
        env={**os.environ, "REGNETLAB_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, images, peak = map(float, done.stdout.split())
    return seconds, images, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="files to survey; half of them to decode")
    n = parser.parse_args().images
    folder = Path(tempfile.mkdtemp(prefix="regnetlab-bench-"))
    try:
        photos, few = folder / "photos", folder / "few"
        photos.mkdir()
        few.mkdir()
        make_photos(photos, n)
        make_photos(few, n // 2)
        print(f"{'':34}{'files':>9}{'seconds':>9}{'a second':>10}{'images MB':>11}{'peak MB':>9}")
        for name, what, root, count in (
            ("survey", "survey", photos, n),
            (f"survey, decode to {INPUT}, cache", "load", few, n // 2),
            ("start from the cache", "load", few, n // 2),
        ):
            start = time.perf_counter()
            seconds, images, peak = measured(what, root, folder / "cache")
            whole = time.perf_counter() - start
            print(f"{name:34}{count:9,}{seconds:9.2f}{count / seconds:10,.0f}{images:11,.0f}{peak:9,.0f}")
            print(f"{'  with the start of Python':34}{'':9}{whole:9.2f}")
        print(f"\n{len(os.sched_getaffinity(0))} cores; {resource.getpagesize()} bytes a page")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
