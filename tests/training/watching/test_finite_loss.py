"""A run ends before the update that a loss which is no number would spoil."""

import pytest
import torch
from transformers import TrainerCallback

from comem_hf.training import MemoryCollator, MemoryDataset, train_memory_encoder
from comem_hf.training.parts.freezing import trainable_parameters
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
    checkpoint = "the checkpoint before it, '.*checkpoint-1', may hold" if kept else "no checkpoint is before it"
    update = 2 if kept else 1
    rows = rf"rows of the batch \(train.jsonl, row {bad_row}\), or start again in a new `--output-dir`"
    with pytest.raises(ValueError, match=rf"The loss of update {update} is nan, .* {rows}.*{checkpoint}"):
        train_memory_encoder(model, tiny_processor, MemoryDataset.from_file(data_file), args)
    assert (tmp_path / "run" / "checkpoint-1").exists() == kept
    if not kept:
        assert_equal(state_of(model), before)
    assert all(tensor.isfinite().all() for tensor in state_of(model).values())


class Spoil(TrainerCallback):
    """Puts a number into gradients before the update, or into parameters after it."""

    def __init__(self, when: str, value: float):
        self.when, self.value = when, value

    def on_step_end(self, args, state, control, model, **kwargs):
        if self.when == "after":
            for parameter in trainable_parameters(model).values():
                parameter.data.fill_(self.value)

    def on_train_begin(self, args, state, control, model, **kwargs):
        if self.when == "before":
            parameter = next(iter(trainable_parameters(model).values()))
            parameter.register_hook(lambda gradient: gradient * self.value)


@pytest.mark.parametrize(
    ("when", "value", "message"),
    [
        ("before", torch.inf, "The gradient norm of update 1 is (nan|inf), .* rows of the batch .*new `--output-dir`"),
        ("after", torch.nan, "After the last update `memory_encoder.*` holds values that are not finite, so the resu"),
        ("after", 1e38, "After the last update the loss of the last batch is not finite, so the result was not saved"),
    ],
)
def test_gradients_and_a_result_that_are_no_numbers_end_the_run_without_a_result(
    when, value, message, make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    args = make_arguments(max_steps=1, save_strategy="no")
    with pytest.raises(ValueError, match=message):
        train_memory_encoder(make_trainable(), tiny_processor, rows, args, callbacks=[Spoil(when, value)])
    assert not (tmp_path / "run" / "config.json").exists()
