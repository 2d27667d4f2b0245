"""Folders appear whole or not at all, whatever happens while they are filled."""

import os
import shutil
from pathlib import Path

import pytest
from transformers.utils import logging

from comem_hf.files.whole_folder import whole_folder
from comem_hf.files.work_folder import WorkFolder
from tests.files.conftest import OLD, contents, make_old


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
    assert f"{left} could not be removed; delete it." in caplog.text


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


class Killed(BaseException):
    """A process that ends here; nothing after it is run."""


@pytest.fixture
def kill(monkeypatch):
    """Has `os.replace` end the process at its second call, and whatever would clean up after that do nothing."""

    def make(folder: Path, at: int = 2):
        calls, replace = [], os.replace

        def die(*arguments):
            calls.append(arguments)
            if len(calls) >= at:
                raise Killed
            replace(*arguments)

        with monkeypatch.context() as dying, pytest.raises(Killed):
            dying.setattr(os, "replace", die)
            dying.setattr(WorkFolder, "remove", lambda self: self.release())
            with whole_folder(folder, "output", overwrite=True) as unfinished:
                (unfinished / "config.json").write_text("new")

    return make


def test_an_old_folder_comes_back_and_is_not_replaced_without_being_told_to(tmp_path, kill):
    make_old(tmp_path / "out")
    kill(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=r"is not empty; pass `overwrite=True` to"):
        with whole_folder(tmp_path / "out", "output", overwrite=False):
            pass
    assert contents(tmp_path) == {"out/config.json": OLD}
    kill(tmp_path / "out")
    with pytest.raises(ValueError, match="another kind"):
        with whole_folder(tmp_path / "out", "output", overwrite=True, check_replaceable=refuse_any):
            pass
    assert contents(tmp_path) == {"out/config.json": OLD}


def refuse_any(folder: Path):
    raise ValueError("another kind")


def test_the_only_copy_of_an_old_folder_is_never_removed(tmp_path, kill, monkeypatch):
    make_old(tmp_path / "out")
    kill(tmp_path / "out")

    def fail(*arguments):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as broken, pytest.raises(OSError):
        broken.setattr(os, "replace", fail)
        with whole_folder(tmp_path / "out", "output", overwrite=True):
            pass
    with whole_folder(tmp_path / "out", "output", overwrite=True) as folder:
        assert (tmp_path / "out" / "config.json").read_bytes() == OLD
        (folder / "config.json").write_text("new")
    assert contents(tmp_path) == {"out/config.json": b"new"}


def test_a_folder_that_was_filled_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(ValueError, match="is not empty; choose a new folder"):
        with whole_folder(tmp_path / "out", "output") as folder:
            (folder / "config.json").write_text("new")
            make_old(tmp_path / "out")
    assert contents(tmp_path) == {"out/config.json": OLD}


def test_an_old_folder_whose_place_was_taken_meanwhile_is_neither_lost_nor_brought_back(tmp_path, kill):
    make_old(tmp_path / "out")
    kill(tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other").write_text("mine")
    with pytest.raises(ValueError, match="but another one has its name by now: move one of them away"):
        with whole_folder(tmp_path / "out", "output", overwrite=True):
            pass
    assert contents(tmp_path / "out.unfinished" / "replaced") == {"config.json": OLD}
    assert contents(tmp_path / "out") == {"other": b"mine"}


def test_a_process_that_dies_after_the_swap_leaves_the_new_folder(tmp_path, monkeypatch):
    make_old(tmp_path / "out")
    with monkeypatch.context() as dying:
        dying.setattr(WorkFolder, "remove", lambda self: self.release())
        with whole_folder(tmp_path / "out", "output", overwrite=True) as folder:
            (folder / "config.json").write_text("new")
    assert (tmp_path / "out.unfinished" / "replaced").is_dir()
    with pytest.raises(ValueError, match="is not empty"):
        with whole_folder(tmp_path / "out", "output", overwrite=False):
            pass
    assert contents(tmp_path / "out") == {"config.json": b"new"}
    with whole_folder(tmp_path / "other", "output"):
        pass
    with whole_folder(tmp_path / "out", "output", overwrite=True) as folder:
        (folder / "config.json").write_text("newer")
    assert contents(tmp_path) == {"out/config.json": b"newer"}
