"""Packing JPEGs of many sizes into each store, and reading them: images a second, and memory by their number.

    python tests/benchmarks/packing.py --images 50000 --folder /tmp/jpegs

Makes the images once (smooth noise, 300 to 600 px a side, quality 90, up to 1,000 classes). Then packs them,
and reads parts of them as a training does, in processes of its own: ``whole`` are pictures as they come to
the device, of which parts and middles are made there; ``own`` is the memory that a process has for itself,
``PSS`` its part of all it maps. At last, how far the pixels of the two stores are apart.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from regnetlab.spaces.template import SMALL
from regnetlab.training.cores import on_all_cores, usable_cores
from regnetlab.training.datasets import load_data
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.listener import Listener
from regnetlab.training.packs.folders import pack_folder
from regnetlab.training.packs.stores import STORES

_READ = """
import json, sys, time
import numpy as np, torch
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import on_device
from regnetlab.training.crops import draws, random_parts
from regnetlab.training.datasets import load_data, outline

pack, side, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)

def memory(name):
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(name + ":")) / 1024

data = load_data(pack, SMALL.changed(f"3x{side}x{side}", len(outline(pack).classes)))
images = on_device(data, torch.device("cpu")).train
count = min(count, len(images))
order = torch.from_numpy(np.random.default_rng(0).permutation(len(images))[:count])
took = {}
began = time.perf_counter()
for at in range(0, count, 64):
    images.pixels.collected(order[at : at + 64].numpy())
took["whole"] = count / (time.perf_counter() - began)
for way in ("random_parts", "centres"):
    began = time.perf_counter()
    for at in range(0, count, 64):
        which = order[at : at + 64]
        if way == "centres":
            images.normalised(which)
        else:
            boxes = random_parts(*images.sizes(which.numpy()), draws(0, 1, which.numpy()))
            images.parts(which, torch.from_numpy(boxes))
    took[way] = count / (time.perf_counter() - began)
print(json.dumps({"images": count, "own": memory("Anonymous"), "RSS": memory("Rss"), **took}), flush=True)
if len(sys.argv) > 4:
    sys.stdin.readline()
    print(json.dumps({"PSS": memory("Pss"), "RSS": memory("Rss")}), flush=True)
"""


def made(folder: Path, images: int) -> None:
    """The images, those that are not there yet."""
    classes = min(1_000, images // 50)

    def make(at: int) -> None:
        path = folder / f"{at % classes:04d}" / f"{at}.jpg"
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(at)
        width, height = random.integers(300, 601, 2).tolist()
        noise = Image.fromarray(random.integers(0, 256, (24, 24, 3)).astype(np.uint8))
        noise.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)

    for _ in on_all_cores(make, range(images)):
        pass


def read(pack: Path, side: int, count: int, waits: bool = False) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", _READ, f"pack:{pack}", str(side), str(count)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words + ["wait"] * waits, stdin=pipe, stdout=pipe, text=True)


def answer(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None
    found: dict[str, float] = json.loads(process.stdout.readline())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--input", type=int, default=224)
    chosen = parser.parse_args()
    made(chosen.folder / "photos", chosen.images)
    packs = {store: packed(chosen.folder, store, chosen.size) for store in STORES}
    for store, pack in packs.items():
        for count in (1_000, chosen.images):
            seen = answer(read(pack, chosen.input, count))
            print(
                f"{store}, read {seen['images']:,.0f}: {seen['whole']:,.0f} whole pictures,"
                f" {seen['random_parts']:,.0f} random parts, {seen['centres']:,.0f} middles a second on one"
                f" core; own {seen['own']:,.0f} MB, RSS {seen['RSS']:,.0f} MB"
            )
        two = [read(pack, chosen.input, chosen.images, waits=True) for _ in range(2)]
        for each in two:
            answer(each)
        for each in two:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
            seen = answer(each)
            print(f"{store}, one of two: RSS {seen['RSS']:,.0f} MB, PSS {seen['PSS']:,.0f} MB")
    print(f"JPEGs differ from the pixels by {difference(*packs.values()):.2f} of 255 levels on average")


def packed(folder: Path, store: str, size: int) -> Path:
    """The photos as a pack of this store."""
    pack = folder / f"pack-{store}"
    shutil.rmtree(pack, ignore_errors=True)
    began = time.perf_counter()
    found = pack_folder("photos", folder / "photos", pack, size, 3, Reading(), store, Listener())
    took = time.perf_counter() - began
    total = sum(each.bytes for each in found.shards)
    print(
        f"{store}: packed {found.images:,} images in {took:.0f} s: {found.images / took:,.0f} a second on"
        f" {usable_cores()} cores, {total / found.images / 1e3:.0f} kB each, {len(found.shards)} files"
    )
    return pack


def difference(a: Path, b: Path) -> float:
    """Of the pixels of up to 200 images in two packs."""
    shape = SMALL.changed("3x224x224")
    images = (load_data(f"pack:{pack}", shape).train.images[:200].astype(int) for pack in (a, b))
    first, second = images
    return float(np.abs(first - second).mean())


if __name__ == "__main__":
    main()
