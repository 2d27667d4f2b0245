"""A run ends before the update that a loss which is no number would spoil."""

import pytest
import torch

from comem_hf.training import MemoryCollator, MemoryDataset, train_memory_encoder
from tests.training.conftest import assert_equal, state_of


@pytest.mark.parametrize(("bad_row", "kept"), [(4, True), (1, False)])
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_rows(
    bad_row, kept, make_trainable, tiny_processor, data_file, make_arguments, tmp_path, monkeypatch
):
    collate = MemoryCollator.__call__

    def spoil(self, rows):
        batch = collate(self, rows)
        if any(row.name.endswith(f"row {bad_row}") for row in rows):
            batch["pixel_values"] = batch["pixel_values"] * torch.nan
        return batch

    monkeypatch.setattr(MemoryCollator, "__call__", spoil)
    args = make_arguments(
        per_device_train_batch_size=1,
        gradient_accumulation_steps=2,
        save_steps=1,
        train_sampling_strategy="sequential",
    )
    model = make_trainable()
    before = state_of(model)
    checkpoint = "The last checkpoint before it is '.*checkpoint-1'" if kept else "There is no checkpoint before it"
    update = 2 if kept else 1
    rows = rf"rows of the batch \(train.jsonl, row {bad_row}\)"
    with pytest.raises(ValueError, match=rf"The loss of update {update} is nan, .* {rows}, .*{checkpoint}"):
        train_memory_encoder(model, tiny_processor, MemoryDataset.from_file(data_file), args)
    assert (tmp_path / "run" / "checkpoint-1").exists() == kept
    if not kept:
        assert_equal(state_of(model), before)
    assert all(tensor.isfinite().all() for tensor in state_of(model).values())
