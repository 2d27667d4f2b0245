"""Rows of a bank, and the shards that they lie in."""

from dataclasses import replace

import pytest

from comem_hf.bank import BankConfig


@pytest.fixture
def config(bank) -> BankConfig:
    """Of a bank with shards of three, one and two items."""
    return replace(bank.config, num_items=6, shard_sizes=[3, 1, 2])


def test_rows_are_found_in_their_shards(config):
    assert config.group_by_shard([4, 0, 3, 2]) == {2: [(0, 0)], 0: [(1, 0), (3, 2)], 1: [(2, 0)]}


@pytest.mark.parametrize("row", [-1, 6])
def test_a_row_outside_the_bank_is_refused(config, row):
    with pytest.raises(IndexError, match=f"Row {row} lies outside a bank of 6 items"):
        config.group_by_shard([row])
