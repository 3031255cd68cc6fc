"""The bits of test images, as text and back."""

import numpy as np
import pytest

from regnetlab.training.correctness import pack, unpack


@pytest.mark.parametrize("count", [1, 7, 8, 9, 10_000])
def test_bits_come_back_as_they_were(count: int) -> None:
    correct = np.random.default_rng(count).random(count) < 0.88
    text = pack(correct)
    assert unpack(text).tolist() == correct.tolist()
    assert len(text) < 1_100


@pytest.mark.parametrize(
    "text", ["", "8", "8:", "9:" + pack(np.ones(8, bool))[2:], "0:" + pack(np.ones(8, bool))[2:], "8:!!"]
)
def test_text_that_holds_other_bits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        unpack(text)
