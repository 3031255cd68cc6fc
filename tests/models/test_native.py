"""The kernels compute what torch's modules compute, as near to exact arithmetic as those."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import update_bn

from regnetlab.models.anynet import AnyNet
from regnetlab.models.flat import FlatParameters, flatten
from regnetlab.models.native import build as native_build
from regnetlab.models.native.engine import NativeAnyNet, native
from regnetlab.models.registry import find_model
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.template import SMALL, Template

needs_a_compiler = pytest.mark.skipif(not native_build.libraries(), reason="no C compiler here")
GROUP_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 32)
RATIOS = (1, 2, 4, 1 / 2, 1 / 4)


def pair(config: Config, template: Template, batch: int) -> tuple[NativeAnyNet, FlatParameters, AnyNet]:
    """A network on the kernels, its parameters, and its twin in torch in float64."""
    torch.manual_seed(1)
    model = AnyNet(config, template)
    with torch.no_grad():  # norms that do something
        for each in model.modules():
            if isinstance(each, nn.BatchNorm2d):
                each.weight.uniform_(0.5, 1.5)
                each.bias.uniform_(-0.5, 0.5)
    exact = copy.deepcopy(model).double()
    flat = flatten(model)
    fast = native(model, flat, batch)
    assert fast is not None
    return fast, flat, exact


def pictures(template: Template, n: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(2)
    return torch.randn(n, template.channels, template.height, template.width, generator=random)


def flat_gradient(model: nn.Module) -> torch.Tensor:
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    grads = [p.grad for p in (*weights, *others)]
    return torch.cat([each.reshape(-1) for each in grads if each is not None])


def check_equal(config: Config, template: Template, batch: int) -> None:
    fast, flat, exact = pair(config, template, batch)
    images = pictures(template, batch)
    labels = torch.arange(batch) % template.classes
    logits, expected = fast(images), exact(images.double())
    assert torch.allclose(logits.double(), expected, rtol=1e-4, atol=1e-4)
    cross_entropy(logits, labels).backward()
    cross_entropy(expected, labels).backward()
    wanted = flat_gradient(exact)
    assert (flat.grads.double() - wanted).norm() <= 2e-3 * wanted.norm()

    # Whoever looks at the network's own parameters and statistics sees the same.
    for (name, value), (_, other) in zip(fast.net.named_buffers(), exact.named_buffers(), strict=True):
        assert torch.allclose(value.double(), other.double(), rtol=1e-4, atol=1e-5), name
    fast.eval(), exact.eval()
    more = pictures(template, batch + 5)
    with torch.inference_mode():
        assert torch.allclose(fast(more).double(), exact(more.double()), rtol=1e-3, atol=1e-4)


@needs_a_compiler
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("group_width", GROUP_WIDTHS)
def test_every_group_width_and_bottleneck_ratio_equals_exact_arithmetic(
    group_width: int, ratio: float
) -> None:
    config = Config.compatible((1, 2), (24, 40), (group_width,), (ratio,))
    template = Template("test", 1, 12, 12, 10, stem_width=8, stem_stride=2, strides=(1, 2))
    check_equal(config, template, 64)


@needs_a_compiler
@given(
    st.lists(
        st.tuples(
            st.integers(1, 2),
            st.integers(1, 9).map(lambda k: 8 * k),
            st.sampled_from(GROUP_WIDTHS),
            st.sampled_from(RATIOS),
        ),
        min_size=1,
        max_size=3,
    ),
    st.tuples(st.integers(1, 3), st.integers(3, 15), st.integers(3, 15), st.integers(2, 12)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([16, 48, 64, 128]),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_network_on_any_template_equals_exact_arithmetic(
    stages: list[tuple[int, int, int, float]],
    shape: tuple[int, int, int, int],
    strides: tuple[int, int, int],
    batch: int,
) -> None:
    config = Config.compatible(*(list(column) for column in zip(*stages, strict=True)))
    stem, *others = strides
    check_equal(
        config, Template("test", *shape, stem_width=8, stem_stride=stem, strides=tuple(others)), batch
    )


CONFIG = parse_config("anynet:d=1,2,1;w=16,24,48;g=4;b=2")


@needs_a_compiler
@pytest.mark.parametrize("mean", [0, 3, 30, -30])
@pytest.mark.parametrize("size", [28, 96])
def test_inputs_far_from_zero_cost_no_more_digits_than_in_torch(mean: int, size: int) -> None:
    """Sums of x² that don't start near the mean fail this at ±30: variances lose their digits."""
    template = Template("test", 3, size, size, 10, stem_width=8, stem_stride=2, strides=(1, 2, 2))
    fast, flat, exact = pair(CONFIG, template, 32)
    torchs = copy.deepcopy(exact).float()  # NCHW: its norms sum in float64
    images, labels = pictures(template, 32) + mean, torch.arange(32) % 10
    expected = exact(images.double())
    cross_entropy(expected, labels).backward()
    wanted, variances = flat_gradient(exact), running_variances(exact)

    def errors(logits: torch.Tensor, gradient: torch.Tensor, model: nn.Module) -> tuple[float, float, float]:
        return (
            (logits.double() - expected).abs().max().item(),
            ((running_variances(model) - variances) / variances).abs().max().item(),
            (gradient - wanted).norm().item(),
        )

    logits = fast(images)
    cross_entropy(logits, labels).backward()
    ours = errors(logits, flat.grads, fast.net)
    logits = torchs(images)
    cross_entropy(logits, labels).backward()
    theirs = errors(logits, flat_gradient(torchs), torchs)
    assert ours[0] <= 3 * theirs[0]
    assert ours[1] <= max(3 * theirs[1], 3e-6)
    assert ours[2] <= max(3 * theirs[2], 2e-3 * wanted.norm())  # a ReLU's input near 0 may change its sign


def running_variances(model: nn.Module) -> torch.Tensor:
    return torch.cat([each.double() for name, each in model.named_buffers() if name.endswith("running_var")])


@needs_a_compiler
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_gradients_without_autograd_are_those_of_torchs_loss(label_smoothing: float) -> None:
    fast, flat, exact = pair(CONFIG, SMALL, 32)
    images, labels = pictures(SMALL, 32), torch.arange(32) % 10
    loss, wrong = fast.gradients(images, labels, label_smoothing)
    logits = exact(images.double())
    expected = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert wrong.item() == (logits.argmax(1) != labels).sum()
    wanted = flat_gradient(exact)
    assert (flat.grads.double() - wanted).norm() <= 2e-3 * wanted.norm()
    assert not fast.gradients(images * float("nan"), labels)[0].isfinite()


@needs_a_compiler
def test_two_trainings_are_equal_bit_by_bit() -> None:
    ends = []
    for _ in range(2):
        fast, flat, _ = pair(CONFIG, SMALL, 32)
        optimizer = torch.optim.SGD([flat.weights, flat.others], lr=0.1)
        for _ in range(3):
            cross_entropy(fast(pictures(SMALL, 32)), torch.arange(32) % 10).backward()
            optimizer.step()
        ends.append(flat.values.clone())
    assert torch.equal(*ends)


@needs_a_compiler
def test_a_training_stays_beside_torchs_own_for_many_steps() -> None:
    fast, flat, exact = pair(CONFIG, SMALL, 64)
    optimizers = [
        torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        for parameters in ([flat.weights, flat.others], list(exact.parameters()))
    ]
    labels = torch.arange(64) % 10
    for step in range(20):
        images = pictures(SMALL, 64) + step / 10
        losses = [cross_entropy(fast(images), labels), cross_entropy(exact(images.double()), labels)]
        for loss, optimizer in zip(losses, optimizers, strict=True):
            loss.backward()
            optimizer.step()
        exact.zero_grad()
        assert losses[0].item() == pytest.approx(losses[1].item(), rel=2e-2)
    assert losses[0].item() < 2  # it learned something


@needs_a_compiler
def test_precise_statistics_are_those_of_torchs_update_bn() -> None:
    fast, _, exact = pair(CONFIG, SMALL, 16)
    batches = [pictures(SMALL, 16) * k for k in (1.0, 2.0, 0.5)]
    update_bn(batches, fast)
    update_bn([each.double() for each in batches], exact)
    for (name, value), (_, other) in zip(fast.net.named_buffers(), exact.named_buffers(), strict=True):
        assert torch.allclose(value.double(), other.double(), rtol=1e-4, atol=1e-5), name


@needs_a_compiler
def test_what_is_no_number_stays_none() -> None:
    fast, _, _ = pair(CONFIG, SMALL, 16)
    images = pictures(SMALL, 16)
    images[0] = float("nan")
    assert fast(images).isnan().all()


@needs_a_compiler
def test_other_networks_and_batches_stay_with_torch() -> None:
    for text, batch in (
        ("regnety_200mf", 64),
        ("vgg11_slim@0.25x", 64),
        (CONFIG.text, 50),
        (CONFIG.text, 24),
    ):
        known = find_model(text)
        with torch.device("meta" if "regnety" in text else "cpu"):
            model = known.build(known.template if "regnety" in text else SMALL)
        assert native(model, flatten(model), batch) is None


def test_without_a_compiler_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert native_build.libraries.__wrapped__() == {}


def compiler_of(folder: Path, script: str) -> str:
    """A compiler that does this; ``$output`` is what it shall make."""
    path = folder / "compiler"
    path.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exec echo 1\n'
        'for word; do [ "$last" = -o ] && output=$word; last=$word; done\n' + script
    )
    path.chmod(0o755)
    return str(path)


@needs_a_compiler
@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        ': > "$output"',
        'echo no library > "$output"',
        'case "$*" in *LANES=32*) exit 1;; esac; exec cc "$@"',
        'echo "int net_new;" > other.c; exec cc -shared -o "$output" other.c',
    ],
    ids=["fails", "makes an empty file", "makes no library", "fails for one width", "makes another library"],
)
def test_a_compiler_that_makes_no_kernels_leaves_nothing_in_the_cache_and_none_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    monkeypatch.setenv("CC", compiler_of(tmp_path, script))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert native_build.libraries.__wrapped__() == {}
    assert not list((tmp_path / "cache" / "regnetlab").iterdir())


@needs_a_compiler
def test_a_cache_that_others_can_write_to_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shared = tmp_path / "regnetlab"
    shared.mkdir()
    shared.chmod(0o777)  # someone else could put a library there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert set(native_build.libraries.__wrapped__()) == set(native_build.LANES)
    assert not list(shared.iterdir())


@needs_a_compiler
def test_damaged_libraries_in_the_cache_are_compiled_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert set(native_build.libraries.__wrapped__()) == set(native_build.LANES)
    kept = {path: path.read_bytes() for path in (tmp_path / "regnetlab").iterdir()}
    assert len(kept) == 3
    half = next(iter(kept.values()))
    damages = (b"", b"no library", half[: len(half) // 2])
    for broken, damage in zip(kept, damages, strict=True):
        broken.unlink()  # what is in use stays as it was
        broken.write_bytes(damage)
    assert set(native_build.libraries.__wrapped__()) == set(native_build.LANES)
    found = {path.read_bytes() for path in (tmp_path / "regnetlab").iterdir()}
    assert len(found - {*damages}) == 3


@needs_a_compiler
@pytest.mark.parametrize(("batch", "incomplete"), [(128, 96), (64, 16), (32, 0)])
def test_the_last_batch_of_an_epoch_may_be_smaller(batch: int, incomplete: int) -> None:
    torch.manual_seed(1)
    model = AnyNet(CONFIG, SMALL)
    exact, flat = copy.deepcopy(model).double(), flatten(model)
    fast = native(model, flat, batch, incomplete)
    assert fast is not None
    for n in (batch, incomplete or batch, batch):
        images, labels = pictures(SMALL, n), torch.arange(n) % 10
        logits, expected = fast(images), exact(images.double())
        assert torch.allclose(logits.double(), expected, rtol=1e-3, atol=1e-4)
        exact.zero_grad()
        cross_entropy(logits, labels).backward()
        cross_entropy(expected, labels).backward()
        wanted = flat_gradient(exact)
        assert (flat.grads.double() - wanted).norm() <= 2e-3 * wanted.norm()
    for (name, value), (_, other) in zip(fast.net.named_buffers(), exact.named_buffers(), strict=True):
        assert torch.allclose(value.double(), other.double(), rtol=1e-4, atol=1e-5), name
    with pytest.raises(ValueError, match="this network takes"):
        fast(pictures(SMALL, batch + 16))


@needs_a_compiler
def test_a_last_batch_that_does_not_fill_lanes_is_left_to_torch() -> None:
    model = AnyNet(CONFIG, SMALL)
    assert native(model, flatten(model), 64, 40) is None
