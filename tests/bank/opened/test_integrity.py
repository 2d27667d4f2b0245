"""Folders that are filled beside their place, and what is left of processes that died."""

import os
import signal
import subprocess
import sys

import pytest

from comem_hf import MemoryBank
from comem_hf.bank.building.staging import Staging
from comem_hf.files.whole_folder import whole_folder


KILLED = """
import os, signal, sys
from pathlib import Path
from comem_hf.files.whole_folder import whole_folder

with whole_folder(Path(sys.argv[1]), "output_dir") as folder:
    folder.joinpath("half").write_text("of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_one(bank, tmp_path):
    died = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "bank"], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["bank.unfinished"]
    bank.save_pretrained(tmp_path / "bank")
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]
    assert not (tmp_path / "bank" / "half").exists()
    MemoryBank.from_pretrained(tmp_path / "bank").verify()


def test_two_processes_do_not_fill_one_folder(bank, tmp_path):
    with whole_folder(tmp_path / "bank", "output_dir") as folder:
        (folder / "mine").write_text("whole")
        for write in (bank.save_pretrained, lambda target: MemoryBank.merge([bank], target)):
            with pytest.raises(ValueError, match="Another process is writing .*; wait for it to end"):
                write(tmp_path / "bank")
    assert [path.name for path in (tmp_path / "bank").iterdir()] == ["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_folder_without_a_name_is_refused(bank, build, items, tmp_path, monkeypatch, folder):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ValueError, match="`save_directory` must end in the name of a folder, got"):
        bank.save_pretrained(folder)
    with pytest.raises(ValueError, match="`output_dir` must end in the name of a folder, got"):
        MemoryBank.merge([bank], folder)
    with pytest.raises(ValueError, match="`output_dir` must end in the name of a folder, got"):
        build(items, output_dir=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that has an open file")
def test_a_build_that_ends_does_not_remove_the_work_of_the_next_one(tmp_path):
    first, second = (Staging(tmp_path / "bank", {}) for _ in range(2))
    with first:
        lock = first._unfinished._lock
        release = lock.release

        def release_and_be_overtaken():
            release()
            second.__enter__()

        lock.release = release_and_be_overtaken
    assert second.journal.is_dir()
    second.__exit__()


@pytest.mark.parametrize("name", ["index.faiss", "memory-00001.safetensors", "items-00002.parquet"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"is incomplete: {name} is missing"):
        MemoryBank.from_pretrained(copy)


def test_a_bank_cloned_without_its_large_files_says_how_to_get_them(copy):
    (copy / "memory-00001.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="memory-00001.safetensors' is a pointer to a file in Git LFS: run `git lfs"):
        MemoryBank.from_pretrained(copy)


@pytest.mark.parametrize("name", ["index.faiss", "memory-00001.safetensors", "items-00002.parquet"])
def test_a_flipped_byte_is_found(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}' is damaged: its sha256 is not the one in bank_config.json"):
        MemoryBank.from_pretrained(copy)


@pytest.mark.parametrize("name", ["index.faiss", "memory-00001.safetensors", "items-00002.parquet"])
def test_a_file_cut_short_is_found(copy, name):
    os.truncate(copy / name, 100)
    with pytest.raises(ValueError, match=f"{name}' is damaged: it has 100 bytes, bank_config.json says"):
        MemoryBank.from_pretrained(copy)
