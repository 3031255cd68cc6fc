"""ONNX files: valid, for any batch size, with the logits of the module of the same seed."""

import importlib.util
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
import torch

from regnetlab.errors import InputError
from regnetlab.models.export.onnx import OPSET
from regnetlab.models.export.onnx import onnx as exported
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import STEMS, Template
from tests.models.export.test_pytorch import BLOCKS

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs onnx, onnxscript and onnxruntime: pip install 'regnetlab[export]' onnxruntime",
)
TEMPLATE = Template("tiny", 2, 17, 24, 5, stem_width=8, stem_stride=2, strides=(2, 1))
MODEL = find_model("anynet:d=1,2;w=16,24;g=8;b=0.5,1;se=0.25")


@pytest.fixture(scope="module")
def file() -> bytes:
    return exported(MODEL, TEMPLATE, params=10_000, seed=3)


@needs_onnx
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_logits_are_those_of_the_module_of_that_seed(file: bytes, batch: int) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(batch).normal(size=(batch, 2, 17, 24)).astype(np.float32)
    torch.manual_seed(3)
    module = MODEL.build(TEMPLATE).eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    (logits,) = session.run(["logits"], {"images": images})
    assert logits.shape == (batch, 5)
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


@needs_onnx
@pytest.mark.parametrize(("text", "stem"), list(zip(BLOCKS, cycle(STEMS), strict=False)))
def test_every_block_and_stem_is_exported(text: str, stem: str) -> None:
    import onnxruntime

    model, template = find_model(text), replace(TEMPLATE, stem=stem)
    file = exported(model, template, params=10_000, seed=3)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(2).normal(size=(3, 2, 17, 24)).astype(np.float32)
    torch.manual_seed(3)
    with torch.no_grad():
        expected = model.build(template).eval()(torch.from_numpy(images)).numpy()
    (logits,) = session.run(["logits"], {"images": images})
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


@needs_onnx
def test_the_file_is_valid_and_says_nothing_of_the_machine(file: bytes) -> None:
    import onnx

    model = onnx.load_model_from_string(file)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    assert not any(each.data_location for each in model.graph.initializer)
    assert b"regnetlab" not in file
    assert b".py" not in file


@needs_onnx
def test_global_random_state_is_left_as_it_was_and_the_seed_decides(file: bytes) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    assert exported(MODEL, TEMPLATE, params=10_000, seed=3) == file
    assert torch.equal(torch.get_rng_state(), before)


def test_missing_packages_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "regnetlab.models.export.onnx.find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(InputError, match=r"needs onnxscript; pip install 'regnetlab\[export\]'"):
        exported(MODEL, TEMPLATE, params=10_000)


@needs_onnx
def test_more_than_a_file_holds_is_refused_before_it_is_built() -> None:
    with pytest.raises(InputError, match="more than an ONNX file holds"):
        exported(MODEL, TEMPLATE, params=600_000_000)
