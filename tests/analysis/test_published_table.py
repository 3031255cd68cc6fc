"""The committed table and page of the published RegNets are what the package computes."""

import csv

from tests.benchmarks.published import PAGE, TABLE, networks, page


def test_the_table_and_the_page_of_published_networks_are_as_computed() -> None:
    rows = networks()
    assert len(rows) == 24
    with TABLE.open() as file:
        kept = list(csv.DictReader(file))
    assert kept == [{name: str(value) for name, value in row.items()} for row in rows]
    assert PAGE.read_text() == page(rows)
