"""Copies of banks: whole and checked, or not there."""

import errno

import pytest

from comem_hf import MemoryBank


def test_a_saved_bank_is_the_same_bank(bank, copy):
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == {
        path.name: path.read_bytes() for path in bank.folder.iterdir()
    }
    MemoryBank.from_pretrained(copy).verify()


def test_a_bank_is_not_saved_over_other_files(bank, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="`save_directory` .* is not empty; choose a new folder"):
        bank.save_pretrained(tmp_path)


def test_saving_a_bank_leaves_folders_beside_it_alone(bank, tmp_path):
    (tmp_path / "copy.unfinished").mkdir()
    (tmp_path / "copy.unfinished" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="copy.unfinished' is in the way: it holds 'thesis.txt', which"):
        bank.save_pretrained(tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["copy.unfinished"]
    assert (tmp_path / "copy.unfinished" / "thesis.txt").read_text() == "precious"


def test_a_saved_bank_may_be_read_by_whom_other_folders_may_be_read(copy, tmp_path):
    (tmp_path / "folder").mkdir()
    assert copy.stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_a_copy_of_a_damaged_bank_is_not_made(copy, tmp_path):
    bank = MemoryBank.from_pretrained(copy)
    (copy / "index.faiss").write_bytes(b"gone")
    with pytest.raises(ValueError, match="index.faiss' is damaged"):
        bank.save_pretrained(tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_copy_for_which_there_is_no_room_leaves_nothing_behind(bank, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="No space left to write .*; free some space and try again"):
        bank.save_pretrained(tmp_path / "second")
    assert not list(tmp_path.iterdir())
