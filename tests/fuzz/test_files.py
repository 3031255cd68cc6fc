"""Files of every format that is read, with bytes that were changed: as ``test_inputs`` asks of texts."""

import hashlib
import io
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from regnetlab.models.pycls_config import read_config_file
from regnetlab.models.registry import find_model
from regnetlab.models.weights import trained_network, write_weights
from regnetlab.spaces.template import SMALL
from regnetlab.study.plan_file import load_plan
from regnetlab.study.provenance import readable, written
from regnetlab.training.folders.decode import Reading, UnreadableError, facts, pixels
from regnetlab.training.networks.contents import weights_in
from regnetlab.training.networks.family import write_family
from regnetlab.training.sources.svhn import _read_split as read_svhn
from regnetlab.trials.copy import check_store
from regnetlab.trials.files import read_trials
from regnetlab.trials.store import open_store
from tests.conftest import STUDY
from tests.fuzz.test_inputs import NUMBERS, fuzz, in_file, mutated
from tests.trials.trainings import trial

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "TGA")
CONFIG = Path(__file__).parents[1] / "models" / "pycls" / "sweep_job.yaml"


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes changed, taken out, doubled or cut off."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                found[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                found[at : at + 4] = draw(
                    st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80"])
                )
            case 2:
                del found[at : at + draw(st.integers(1, 50))]
            case 3:
                found[at:at] = found[at : at + draw(st.integers(1, 50))]
            case _:
                del found[at:]
    return bytes(found)


@cache
def picture(kind: str, mode: str) -> bytes:
    size = (24, 17)
    levels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4)).astype(np.uint8)
    image, file = Image.fromarray(levels, "RGBA").convert(mode), io.BytesIO()
    with suppress(OSError, ValueError):  # a mode that the format has not
        image.save(file, kind)
    return file.getvalue()


@fuzz
@given(
    st.tuples(st.sampled_from(FORMATS), st.sampled_from(["RGB", "RGBA", "L", "P", "1", "CMYK"])).flatmap(
        lambda each: damaged(picture(*each) or picture("PNG", "RGB"))
    ),
    st.sampled_from(["crop", "pad", "squash"]),
)
def test_images(content: bytes, fit: str) -> None:
    def look(path: Path) -> None:
        with suppress(UnreadableError):
            facts(path)
            assert pixels(path, 3, 8, 8, Reading(fit=fit)).shape == (3, 8, 8)  # type: ignore[arg-type]

    in_file(content, ".png", look)


@cache
def weights() -> bytes:
    path = Path(tempfile.mkdtemp()) / "net.safetensors"
    model = "anynet:d=1,1,1,1;w=8,8,8,8;g=8;b=1"
    shape = {name: getattr(SMALL, name) for name in SMALL.__dataclass_fields__}
    write_weights(path, find_model(model).build(SMALL), {"model": model, "template": shape})
    return path.read_bytes()


@fuzz
@given(st.deferred(lambda: damaged(weights())))
def test_weights(content: bytes) -> None:
    in_file(content, ".safetensors", trained_network)


@cache
def family() -> Path:
    """A family of one network, its checksums right."""
    folder = Path(tempfile.mkdtemp())
    (folder / "one").mkdir()
    (folder / "one" / "model.safetensors").write_bytes(weights())
    digest = hashlib.sha256(weights()).hexdigest()
    said = {"version": 1, "name": "one", "files": {"model.safetensors": digest}}
    (folder / "one" / "model.json").write_text(json.dumps(said))
    write_family(folder, {"study": "demo", "use": "one", "networks": [{"name": "one", "model": "x"}]})
    return folder


@fuzz
@given(
    st.sampled_from(["family.json", "one/model.json"]).flatmap(
        lambda name: st.tuples(
            st.just(name),
            mutated((family() / name).read_text(), [*NUMBERS, "null", "[1]", "{", "..", "/", "\\u0000"]),
        )
    )
)
def test_families_of_networks(changed: tuple[str, str]) -> None:
    name, text = changed

    def look(path: Path) -> None:
        copy = Path(shutil.copytree(family(), path.with_suffix("")))
        (copy / name).write_text(text, encoding="utf-8", errors="replace")
        assert weights_in(copy).parent == copy / "one"

    in_file(b"", ".json", look)


@fuzz
@given(
    mutated(
        CONFIG.read_text(encoding="utf-8"),
        [*NUMBERS, "- ", ": ", "\n", "&a", "*a", "!!python/name:os.system"],
    )
)
def test_configurations_of_pycls(text: str) -> None:
    in_file(text.encode("utf-8", "replace"), ".yaml", read_config_file)


PROVENANCE = json.dumps(
    {
        "data_checksum": "a" * 64,
        "device": "cpu",
        "images": 128,
        "planned": {"AnyNetA": 4},
        "extended": [{"when": "x", "n": {"AnyNetA": 2}, "planned": {"AnyNetA": 6}}],
        "survey": {"lines": ["a", "b"]},
    }
)


@fuzz
@given(mutated(PROVENANCE, [*NUMBERS, "null", "[1]", "{"]))
def test_provenance(text: str) -> None:
    def look(path: Path) -> None:
        study = path.with_name("study.toml")
        study.write_text(STUDY)
        path.rename(path.with_name("provenance.json"))
        readable(written(load_plan(study)))

    in_file(text.encode("utf-8", "replace"), ".json", look)


@cache
def stores() -> list[bytes]:
    """A store of ours, and Optuna's."""
    folder = Path(tempfile.mkdtemp())
    store = open_store(folder / "ours.db")
    for number in range(4):
        store.add(trial(number))
    store.keep("provenance", json.loads(PROVENANCE))
    with closing(sqlite3.connect(folder / "ours.db")) as connection:
        connection.execute("vacuum into ?", [str(folder / "whole.db")])
    older = Path(__file__).parents[1] / "trials" / "stores" / "schema2.db"
    return [(folder / "whole.db").read_bytes(), older.read_bytes()]


@fuzz
@given(st.integers(0, 1).flatmap(lambda which: damaged(stores()[which])))
def test_stores(content: bytes) -> None:
    def look(path: Path) -> None:
        store = open_store(path, snapshot=True)
        store.facts()
        store.scores("a" * 64)

    in_file(content, ".db", look)
    in_file(content, ".db", check_store)
    in_file(content, ".db", lambda path: read_trials([path]).frame)


@cache
def matlab() -> bytes:
    from scipy.io import savemat

    file = io.BytesIO()
    random = np.random.default_rng(0)
    labels: Any = random.integers(1, 11, (3, 1)).astype(np.uint8)
    savemat(file, {"X": random.integers(0, 256, (32, 32, 3, 3)).astype(np.uint8), "y": labels})
    return file.getvalue()


@settings(fuzz, max_examples=max(3, fuzz.max_examples // 100))  # a process each
@given(st.deferred(lambda: damaged(matlab())))
def test_matlab_files(content: bytes) -> None:
    in_file(content, ".mat", read_svhn)
