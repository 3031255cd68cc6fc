"""Tests with real clusters and databases: minutes long, so that only ``make test-cluster`` runs them."""

import os

import pytest

VARIABLE = "REGNETLAB_TEST_CLUSTER"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get(VARIABLE):
        for item in items:
            if "tests/cluster/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason="long; make test-cluster runs it"))
