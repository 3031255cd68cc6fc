"""Parts of images of different sizes: torchvision's numbers, and its distribution of random parts."""

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomErasing, RandomResizedCrop
from torchvision.transforms.functional import resized_crop

from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.training.crops import Ragged, centres, draws, holes, inside, random_parts, resized

_SIZES = ((40, 60), (97, 33), (32, 32), (8, 300))


def _ragged(
    sizes: tuple[tuple[int, int], ...] = _SIZES, channels: int = 3
) -> tuple[Ragged, list[torch.Tensor]]:
    random = np.random.default_rng(0)
    images = [
        torch.from_numpy(random.integers(0, 256, (channels, *size)).astype(np.uint8)) for size in _SIZES
    ]
    lengths = torch.tensor([each[0].numel() for each in images])
    broad = torch.tensor([size[1] for size in _SIZES])
    flat = torch.cat([each.permute(1, 2, 0).reshape(-1, channels) for each in images])
    return Ragged(flat, lengths.cumsum(0) - lengths, broad), images


def _numbers(n: int) -> Floats:
    return np.random.default_rng(1).random((n, 24))


@pytest.mark.parametrize("channels", [1, 3])
def test_parts_are_torchvisions_to_rounding(channels: int) -> None:
    ragged, images = _ragged(channels=channels)
    heights, widths = (np.array(each) for each in zip(*_SIZES, strict=True))
    for height, width in ((24, 24), (50, 20)):
        boxes = random_parts(heights, widths, _numbers(len(_SIZES)))
        found = resized(ragged, torch.from_numpy(boxes), height, width)
        for got, image, box in zip(found, images, boxes.tolist(), strict=True):
            expected = resized_crop(image.float(), *box, [height, width], antialias=False)
            torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)


def test_holes_are_spread_as_torchvisions_are() -> None:
    """Share of the images, and the mean area of a hole, within four standard errors; alike each time."""
    n, height, width = 4_000, 32, 48
    theirs = np.array(
        [
            int((erased := RandomErasing(1.0)(torch.ones(1, height, width))).numel() - erased.sum())
            for _ in range(n)
        ]
    )
    boxes = holes(3, 1, np.arange(n), 0.25, height, width)
    masks = inside(torch.from_numpy(boxes), height, width)
    ours = masks.sum((1, 2)).numpy()
    assert np.array_equal(ours, boxes[:, 2] * boxes[:, 3])
    here = ours[ours > 0]
    assert len(here) / n == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / n) ** 0.5)
    error = (theirs.var() / n + here.var() / len(here)) ** 0.5
    assert here.mean() == pytest.approx(theirs.mean(), abs=4 * error)
    assert np.array_equal(boxes[7:9], holes(3, 1, np.arange(7, 9), 0.25, height, width))
    assert not np.array_equal(boxes, holes(3, 2, np.arange(n), 0.25, height, width))


def test_a_part_of_the_inputs_size_is_the_pixels_themselves() -> None:
    ragged, images = _ragged()
    box = torch.tensor([[3, 5, 20, 24]] * 2)
    two = Ragged(ragged.flat, ragged.offsets[:2], ragged.widths[:2])
    for got, image in zip(resized(two, box, 20, 24), images[:2], strict=True):
        assert torch.equal(got, image[:, 3:23, 5:29].float())


def test_random_parts_are_spread_as_torchvisions_are() -> None:
    """Means of area, ratio and place over many draws, within four standard errors."""
    n, height, width = 4_000, 60, 90
    image = torch.zeros(3, height, width)
    theirs = np.array(
        [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(n)], float
    )
    ours = random_parts(np.full(n, height), np.full(n, width), _numbers(n)).astype(float)
    for measure in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: np.log(box[:, 3] / box[:, 2]),
        lambda box: box[:, 0],
        lambda box: box[:, 1],
    ):
        a, b = measure(ours), measure(theirs)
        assert abs(a.mean() - b.mean()) < 4 * np.sqrt((a.var() + b.var()) / n)
        assert 0.9 < a.std() / b.std() < 1.1


def test_random_parts_lie_in_the_image_also_where_no_try_fits() -> None:
    heights, widths = np.array([4, 500, 1, 300]), np.array([700, 3, 1, 300])
    for seed in range(20):
        drawn = np.random.default_rng(seed).random((4, 24))
        top, left, tall, broad = random_parts(heights, widths, drawn).T
        assert (np.minimum(tall, broad) >= 1).all()
        assert (np.minimum(top, left) >= 0).all()
        assert (top + tall <= heights).all()
        assert (left + broad <= widths).all()


def test_the_middle_is_the_whole_short_side_or_seven_eighths_of_a_larger_one() -> None:
    heights, widths = np.array([256, 300]), np.array([340, 256])
    assert centres(heights, widths, 224, 224, 256).tolist() == [[16, 58, 224, 224], [38, 16, 224, 224]]
    assert centres(heights, widths, 256, 256, 256).tolist() == [[0, 42, 256, 256], [22, 0, 256, 256]]


def _drawn(seed: int, epoch: int, images: list[int]) -> Ints:
    return (draws(seed, epoch, np.array(images)) * 2**52).astype(np.int64)


def test_draws_follow_from_seed_epoch_and_image_alone() -> None:
    whole = _drawn(1, 2, [0, 1, 2, 3])
    assert np.array_equal(_drawn(1, 2, [3, 1]), whole[[3, 1]])
    others = np.stack([_drawn(2, 2, [0])[0], _drawn(1, 3, [0])[0], *whole])
    assert len(np.unique(others)) == others.size
