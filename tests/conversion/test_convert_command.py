"""`comem convert` on the command line."""

import os
import signal

import pytest

from comem_hf.commands import main
from comem_hf.conversion.output import shard_writer


HEADS = ["--resampler-heads", "4", "--resampler-head-dim", "16"]


@pytest.fixture
def convert(capsys):
    def run(*arguments) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["convert", *map(str, arguments), *HEADS])
        return stop.value.code, *capsys.readouterr()

    return run


def test_the_command_refuses_a_folder_that_is_no_checkpoint_in_one_line(convert, make_published, tmp_path):
    source, backbone = make_published("qwen2_vl")
    (backbone / "model.safetensors").unlink()
    code, _, error = convert(source, tmp_path / "out", "--backbone", backbone)
    assert code == 2
    assert error.count("\n") == 1
    assert "has no file model.safetensors" in error
    assert not any(tmp_path.iterdir())


def test_the_command_says_that_an_adapter_needs_its_backbone(convert, make_published, tmp_path):
    code, _, error = convert(make_published("qwen2_vl", "lora_adapter")[0], tmp_path / "out")
    assert code == 2
    assert "pass `backbone=` (--backbone)" in error


def test_the_command_recovers_an_adapter_and_reports_rank_and_error(convert, make_published, tmp_path):
    source, backbone = make_published("qwen2_vl")
    code, output, progress = convert(source, tmp_path / "out", "--backbone", backbone)
    assert code == 0
    assert "Source layout: full merged." in output
    assert "Adapter of rank 4, recovered; largest relative error" in output
    assert "Resampler: 4 heads of 16, 8 passes (assumed; --resampler-layers)." in output
    assert "there is no processor" in output
    assert "Recovering the adapter" in progress and "Writing" in progress


def test_the_command_carries_an_adapter_over(convert, make_published, tmp_path):
    source, backbone = make_published("qwen2_vl", "lora_adapter")
    code, output, _ = convert(source, tmp_path / "out", "--backbone", backbone)
    assert code == 0
    assert "Adapter of rank 4, carried over exactly." in output


def test_the_command_takes_rank_and_error_and_overwrites(convert, make_published, tmp_path):
    source, _ = make_published("qwen2_vl")
    (tmp_path / "config.json").write_text('{"model_type": "comem"}')
    code, _, error = convert(source, tmp_path, "--rank", 3, "--max-error", 0.9)
    assert code == 2
    assert "--overwrite" in error
    code, output, _ = convert(source, tmp_path, "--rank", 3, "--max-error", 0.9, "--overwrite")
    assert code == 0
    assert "Adapter of rank 3" in output


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_command_leaves_nothing(convert, make_published, tmp_path, monkeypatch, name):
    number = getattr(signal, name)
    monkeypatch.setattr(shard_writer, "_bytes_of", lambda tensor: os.kill(os.getpid(), number))
    before = signal.signal(number, signal.SIG_DFL)
    try:
        code, _, _ = convert(make_published("qwen2_vl")[0], tmp_path / "new" / "out")
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert code == 128 + number
    assert not any(tmp_path.iterdir())


def test_a_model_without_a_processor_can_be_described(convert, make_published, tmp_path, capsys):
    convert(make_published("qwen2_vl")[0], tmp_path / "out")
    with pytest.raises(SystemExit) as stop:
        main(["info", str(tmp_path / "out")])
    assert stop.value.code == 0
    assert "memory encoder\tadapter" in capsys.readouterr().out
