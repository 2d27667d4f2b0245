"""Rows that have been removed."""

import pytest
import safetensors.torch
import torch

from comem_hf import MemoryBank
from tests.bank.conftest import replace_file


@pytest.mark.parametrize(
    "rows, message",
    [
        ([1, 1], "it must hold 2 different rows below 7, in ascending order"),
        ([1, 7], "it must hold 2 different rows below 7"),
        ([-1, 2], "it must hold 2 different rows below 7"),
        ([1], "it must hold 2 different rows below 7"),
    ],
)
def test_a_list_of_removed_rows_that_cannot_be_is_refused(copy, rows, message):
    MemoryBank.from_pretrained(copy).remove(["item-0", "item-1"])
    save = safetensors.torch.save_file
    replace_file(copy, "removed-00001.safetensors", lambda path: save({"rows": torch.tensor(rows)}, path))
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy)
