"""Folders appear whole or not at all, whatever happens while they are filled."""

import os
import shutil
from pathlib import Path

import pytest
from transformers.utils import logging

from comem_hf.files.whole_folder import whole_folder


OLD = b'{"model_type": "comem"}'


def make_old(folder: Path):
    """What passes for a checkpoint of this package."""
    folder.mkdir()
    (folder / "config.json").write_bytes(OLD)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(5, "Input/output error"), "Nothing was written to .*out: Input/output error"),
        (KeyboardInterrupt(), "^$"),
    ],
)
def test_a_failed_rename_brings_the_old_folder_back(tmp_path, monkeypatch, error, message):
    make_old(tmp_path / "out")
    replace, calls = os.replace, []

    def fail_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        replace(*arguments)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(type(error), match=message):
        with whole_folder(tmp_path / "out", "output", overwrite=True) as folder:
            (folder / "config.json").write_text("new")
    assert contents(tmp_path) == {"out/config.json": OLD}


def test_a_replaced_folder_that_cannot_be_removed_does_not_undo_the_new_one(tmp_path, monkeypatch, caplog):
    make_old(tmp_path / "out")
    monkeypatch.setattr(shutil, "rmtree", lambda path, **arguments: None)
    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    with whole_folder(tmp_path / "out", "output", overwrite=True) as folder:
        (folder / "config.json").write_text("new")
    assert (tmp_path / "out" / "config.json").read_text() == "new"
    left = next(path for path in tmp_path.iterdir() if path.name != "out")
    assert f"The folder that {tmp_path / 'out'} replaced could not be removed; delete {left}." in caplog.text


def test_a_name_of_the_greatest_length_is_no_trouble(tmp_path):
    with whole_folder(tmp_path / ("x" * 255), "output") as folder:
        (folder / "config.json").touch()
    assert contents(tmp_path) == {"x" * 255 + "/config.json": b""}


def test_a_name_that_is_too_long_is_told(tmp_path):
    with pytest.raises(OSError, match=r"^Cannot write to .*xxx \(File name too long\); choose another folder\.$"):
        with whole_folder(tmp_path / ("x" * 256), "output"):
            pass


def test_a_disk_that_fills_up_while_copying_is_not_said_to_be_unreadable(tmp_path):
    with pytest.raises(OSError, match="^Nothing was written to .*out: No space left on device.$"):
        with whole_folder(tmp_path / "out", "output") as folder:
            # as shutil.copy tells it
            raise OSError(28, "No space left on device", str(tmp_path / "source.py"), None, str(folder / "source.py"))


def test_parents_made_for_nothing_are_removed(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="stop"):
        with whole_folder(tmp_path / "mine" / "deep" / "deeper" / "out", "output"):
            raise ValueError("stop")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_what_cannot_be_read_is_not_said_to_be_unwritten(tmp_path):
    with pytest.raises(OSError, match=rf"^Cannot read {tmp_path}/gone \(No such file or directory\)\.$"):
        with whole_folder(tmp_path / "out", "output"):
            open(tmp_path / "gone")
