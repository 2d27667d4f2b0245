"""`comem convert` on the command line."""

from pathlib import Path

import pytest

from comem_hf.commands import main


SOURCE = Path(__file__).parent.parent / "golden" / "qwen2_vl" / "merged_full"
HEADS = ["--resampler-heads", "4", "--resampler-head-dim", "16"]


def run(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["convert", *map(str, arguments)])
    return stop.value.code, *capsys.readouterr()


def test_the_command_needs_a_backbone(capsys, tmp_path):
    code, _, error = run(capsys, SOURCE, tmp_path / "out", *HEADS)
    assert code == 2
    assert "--backbone" in error


def test_the_command_refuses_a_folder_that_is_no_checkpoint_in_one_line(capsys, tmp_path):
    code, _, error = run(capsys, SOURCE, tmp_path / "out", "--backbone", SOURCE.parent / "backbone", *HEADS)
    assert code == 2
    assert error.count("\n") == 1
    assert "has no file model.safetensors" in error
    assert not (tmp_path / "out").exists()


def test_the_command_converts_and_reports_rank_and_error(capsys, tmp_path, make_backbone_folder):
    code, output, _ = run(capsys, SOURCE, tmp_path / "out", "--backbone", make_backbone_folder("qwen2_vl"), *HEADS)
    assert code == 0
    assert f"to {tmp_path / 'out'}" in output
    assert "Adapter of rank 4" in output
    assert "there is no processor" in output
