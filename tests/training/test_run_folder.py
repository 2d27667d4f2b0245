"""The folder of a training run: gone on with, or refused by name."""

import re

import pytest

from comem_hf.training import train_memory_encoder
from comem_hf.training.run_folder import RunFolder, decisive_settings
from tests.training.conftest import Interrupt


def test_half_written_checkpoint_is_passed_over(make_trainable, tiny_processor, rows, make_arguments, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(), callbacks=[Interrupt(3)])
    half = tmp_path / "run" / "checkpoint-3"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments()).global_step == 4


def test_run_with_other_settings_is_refused_by_name(make_trainable, tiny_processor, rows, make_arguments):
    with pytest.raises(KeyboardInterrupt):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(), callbacks=[Interrupt(3)])
    with pytest.raises(ValueError, match=r"other settings \(learning_rate was 0.01 and is 0.02\)"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments(learning_rate=2e-2))
    with pytest.raises(ValueError, match=r"other settings \(data was '4 rows' and is '3 rows'\)"):
        train_memory_encoder(make_trainable(), tiny_processor, rows[:3], make_arguments())
    with pytest.raises(ValueError, match=r"memory_encoder_at_start is not what the run began with"):
        train_memory_encoder(make_trainable(num_memory_tokens=2), tiny_processor, rows, make_arguments())


@pytest.mark.parametrize(
    "settings",
    [
        {"lr_scheduler_kwargs": {"num_cycles": 2}},
        {"optim_args": "eps=0.1"},
        {"label_smoothing_factor": 0.1},
        {"dataloader_drop_last": True},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_run_with_other_details_is_refused_by_name(settings, make_arguments, tmp_path):
    RunFolder(tmp_path / "run", decisive_settings(make_arguments())).open()
    assert RunFolder(tmp_path / "run", decisive_settings(make_arguments())).open() is None
    other = RunFolder(tmp_path / "run", decisive_settings(make_arguments(**settings)))
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=rf"other settings \({name} was .* and is {re.escape(repr(value))}\)"):
        other.open()


def test_run_whose_record_lacks_a_setting_goes_on(make_arguments, tmp_path):
    settings = decisive_settings(make_arguments())
    older = {name: value for name, value in settings.items() if name != "dataloader_drop_last"}
    RunFolder(tmp_path / "run", older).open()
    assert RunFolder(tmp_path / "run", settings).open() is None


def test_finished_run_is_refused(make_trainable, tiny_processor, rows, make_arguments):
    train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments())
    with pytest.raises(ValueError, match="holds a finished training run; choose a new one"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments())


def test_folder_with_other_things_is_refused_and_left_alone(
    make_trainable, tiny_processor, rows, make_arguments, tmp_path
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"'.*run' exists and holds no training run"):
        train_memory_encoder(make_trainable(), tiny_processor, rows, make_arguments())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]
