import pytest

from regnetlab.errors import InputError
from regnetlab.models.native.build import libraries
from regnetlab.training.devices import check_kernels, kernels_used, trainings_per_gpu

GB = 10**9


def test_a_gpu_takes_as_many_small_networks_as_there_are_cores() -> None:
    assert trainings_per_gpu(80 * GB, acts=40_000, batch_size=64, cores=4) == 4
    assert trainings_per_gpu(80 * GB, acts=40_000, batch_size=64, cores=64) == 8


def test_a_gpu_takes_no_more_than_its_memory_holds_but_always_one() -> None:
    # 6M acts at a batch of 64 are 6.1 GB a training.
    assert trainings_per_gpu(24 * GB, acts=6_000_000, batch_size=64, cores=16) == 2
    assert trainings_per_gpu(4 * GB, acts=6_000_000, batch_size=64, cores=16) == 1


def test_kernels_are_torchs_where_asked_for_or_on_a_gpu() -> None:
    assert kernels_used("torch", "cpu") == kernels_used("auto", "cuda:0") == "torch"
    assert kernels_used("auto", "cpu") == ("native" if libraries() else "torch")


def test_unknown_kernels_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="did you mean 'native'"):
        check_kernels("nativ")
