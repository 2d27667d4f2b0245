"""Readers see the bank before a change or after it, never something between."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.changing import writer
from comem_hf.bank.changing.writer import BankWriter
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.opened import state
from comem_hf.files import whole_file
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES
from tests.bank.conftest import change_config, contents
from tests.conftest import make_image


def test_other_readers_see_the_old_state_until_they_reload(mine, items, new_items):
    reader = MemoryBank.from_pretrained(mine.folder, model=mine._model, processor=mine._processor)
    before = reader.search(image=new_items[0].image, k=7)
    mine.add(new_items)
    mine.remove(["item-4"])
    mine.add([MemoryItem(image=make_image(40), text="Last.", id="last")])
    assert not (mine.folder / "index.faiss").exists()  # the reader has it open
    assert reader.search(image=new_items[0].image, k=7) == before
    assert len(reader) == 7 and reader["item-4"].id == reader.search(text="4")[0].item.id == "item-4"
    assert reader.search(text="last") == []
    reader.reload()
    assert reader.ids == mine.ids and reader.config.generation == 3
    assert reader.search(image=new_items[0].image, k=1)[0].item.id == "new-20"


def test_a_state_that_goes_while_it_is_opened_is_opened_anew(mine, new_items, monkeypatch):
    """The writer is done with two changes between the reader's look at the config and at the files."""
    check_files, calls = state.check_files, []

    def late_check(folder, config, **options):
        calls.append(config.generation)
        if len(calls) == 1:
            monkeypatch.setattr(state, "check_files", check_files)
            mine.add(new_items[:2])
            mine.add(new_items[2:])
            monkeypatch.setattr(state, "check_files", late_check)
        check_files(folder, config, **options)

    monkeypatch.setattr(state, "check_files", late_check)
    assert len(MemoryBank.from_pretrained(mine.folder)) == 12
    assert calls == [0, 2]


def test_another_bank_in_the_place_of_this_one_is_refused(mine, build, items, other_model, tiny_processor):
    MemoryBank.build(items, model=other_model, processor=tiny_processor, output_dir=mine.folder, overwrite=True)
    with pytest.raises(ValueError, match="Another bank has replaced this one: `memory_fingerprint` was"):
        mine.reload()
    assert len(mine) == 7


@pytest.mark.parametrize("step", range(4))  # memory, items, index, config
def test_a_full_disk_leaves_the_bank_as_it_was(mine, new_items, monkeypatch, step):
    before, written = contents(mine.folder), []

    def full(descriptor):
        written.append(descriptor)
        if len(written) > step:
            raise OSError(errno.ENOSPC, "No space left on device")

    real, sync_folder = os.fsync, whole_file.sync_folder
    monkeypatch.setattr(whole_file, "sync_folder", lambda folder: None)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left to write .*; free some space and try again") as error:
        mine.add(new_items)
    assert error.value.errno == errno.ENOSPC
    monkeypatch.setattr(os, "fsync", real)
    monkeypatch.setattr(whole_file, "sync_folder", sync_folder)
    assert contents(mine.folder) == before
    MemoryBank.from_pretrained(mine.folder)
    mine.add(new_items)
    assert len(mine) == 12


KILLED = """
import os, sys
from pathlib import Path
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.changing.writer import BankWriter
from tests.bank.changing.test_writer import change_bank

BankConfig.save = lambda self, folder: os._exit(9)
change_bank(Path(sys.argv[1]))
"""


def change_bank(folder):
    """Add an item and remove another."""
    with BankWriter(folder) as bank:
        bank.append([ItemRecord("x", "text", None, None, "{}")], torch.zeros(1, 8, 64), np.ones((1, 128), np.float32))
        bank.remove([0])
        bank.commit()


def check_that_a_dead_writer_has_changed_nothing(bank, before, new_items):
    """The bank is as it was, and the next writer removes what the dead one left, and nothing else."""
    (bank.folder / "items-00009.parquet.unfinished").write_bytes(b"half")
    (bank.folder / "notes.txt").write_text("mine")
    after = contents(bank.folder)
    assert len(after) > len(before) + 2
    assert all(after[name] == before[name] for name in before)
    assert MemoryBank.from_pretrained(bank.folder).ids == bank.ids
    bank.remove(["item-2"])
    new = {"removed-00001.safetensors", "words-00001.safetensors", "notes.txt"}
    assert contents(bank.folder).keys() == before.keys() | new
    bank.add(new_items)
    assert len(bank) == 11 and "x" not in bank.ids


@pytest.mark.parametrize("name", ["memory-00003.safetensors", "index-00001.faiss", "removed-00001.safetensors"])
def test_a_writer_that_dies_leaves_the_bank_as_it_was_and_the_next_one_clears_up(mine, new_items, monkeypatch, name):
    before, write_durably = contents(mine.folder), whole_file.write_durably

    def die(path, write):
        entry = write_durably(path, write)
        if path.name == name:
            raise KeyboardInterrupt
        return entry

    with monkeypatch.context() as dying:
        dying.setattr(writer, "write_durably", die)
        dying.setattr(BankWriter, "__exit__", lambda self, *exception: self._lock.release())
        with pytest.raises(KeyboardInterrupt):
            change_bank(mine.folder)
    check_that_a_dead_writer_has_changed_nothing(mine, before, new_items)


@pytest.mark.slow
def test_a_process_that_is_killed_while_writing_leaves_the_bank_as_it_was(mine, new_items):
    before = contents(mine.folder)
    assert subprocess.run([sys.executable, "-c", KILLED, str(mine.folder)]).returncode == 9
    check_that_a_dead_writer_has_changed_nothing(mine, before, new_items)


def test_an_edited_card_is_left_alone(mine, new_items, tmp_path):
    card = mine.folder / "README.md"
    for text in ("My own words.", card.read_text().replace("unknown", "cc0-1.0"), card.read_text() + "\nThanks.\n"):
        card.write_text(text)
        mine.remove([mine.ids[0]])
        assert card.read_text() == text
    mine.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "README.md").read_text() == text


@pytest.mark.parametrize("death", [KeyboardInterrupt, OSError])
def test_a_card_that_a_writer_did_not_get_to_is_renewed_by_the_next(mine, new_items, monkeypatch, tmp_path, death):
    before, warnings = (mine.folder / "README.md").read_bytes(), []
    monkeypatch.setattr(writer.logger, "warning", warnings.append)

    def die(folder, config):
        assert BankConfig.load(mine.folder) == config  # a card is never ahead of its state
        raise death("No space left")

    with monkeypatch.context() as dying:
        dying.setattr(writer, "write_card", die)
        with pytest.raises(KeyboardInterrupt) if death is KeyboardInterrupt else nullcontext():
            mine.add(new_items)
    assert len(mine.reload()) == 12 and (mine.folder / "README.md").read_bytes() == before
    assert len(warnings) == (death is OSError) and all(
        "The bank is changed, but not its card" in text for text in warnings
    )
    mine.save_pretrained(tmp_path / "saved")
    assert "# Memory bank of 12 items" in (tmp_path / "saved" / "README.md").read_text()
    mine.remove(["item-1"])
    assert "# Memory bank of 11 items" in (mine.folder / "README.md").read_text()


def test_a_copy_of_an_older_state_has_the_card_of_that_state(mine, new_items, tmp_path):
    reader = MemoryBank.from_pretrained(mine.folder)
    card = (mine.folder / "README.md").read_bytes()
    mine.add(new_items)
    assert "# Memory bank of 12 items" in (mine.folder / "README.md").read_text()
    reader.save_pretrained(tmp_path / "old")
    assert (tmp_path / "old" / "README.md").read_bytes() == card


def test_nothing_is_written_into_a_bank_that_was_put_in_the_place_of_the_open_one(mine, build, items, tmp_path):
    """By moving folders, which no lock prevents."""
    build(items[:4], output_dir=tmp_path / "other")
    with pytest.raises(ValueError, match="has been replaced by another bank; open the new one"):
        with BankWriter(mine.folder) as bank:
            os.replace(mine.folder, tmp_path / "away")
            os.replace(tmp_path / "other", mine.folder)
            before = contents(mine.folder)
            bank.append(
                [ItemRecord("x", "text", None, None, "{}")], torch.zeros(1, 8, 64), np.ones((1, 128), np.float32)
            )
    assert contents(mine.folder) == before
    MemoryBank.from_pretrained(mine.folder).verify()


def test_threads_that_search_while_the_bank_changes_see_whole_states(mine, items, new_items):
    """Each answer is that of the bank with the new items or without them."""
    queries = [item.image for item in new_items]
    without = [[hit.item.id for hit in hits] for hits in mine.search(image=queries, k=3)]
    mine.add(new_items)
    within = [[hit.item.id for hit in hits] for hits in mine.search(image=queries, k=3)]
    assert without != within
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append([[hit.item.id for hit in hits] for hits in mine.search(image=queries, k=3)])

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(3):
        mine.remove([item.id for item in new_items])
        mine.add(new_items)
    stop.set()
    thread.join()
    assert seen and all(answer in (without, within) for answer in seen)


def test_a_reader_of_an_old_state_is_told_when_its_files_are_gone(mine, new_items, tmp_path):
    reader = MemoryBank.from_pretrained(mine.folder)
    mine.add(new_items)
    reader.save_pretrained(tmp_path / "old")
    assert len(MemoryBank.from_pretrained(tmp_path / "old")) == 7
    mine.remove(["item-4"])
    with pytest.raises(ValueError, match=r"has been changed since it was opened; `reload\(\)` it"):
        reader.save_pretrained(tmp_path / "new")
    reader.reload().save_pretrained(tmp_path / "new")
    assert MemoryBank.from_pretrained(tmp_path / "new").ids == mine.ids


def test_a_copy_that_a_writer_overtakes_is_told_so(mine, new_items, tmp_path, monkeypatch):
    copyfile = shutil.copyfile
    writer = MemoryBank.from_pretrained(mine.folder, model=mine._model, processor=mine._processor)

    def overtaken(source, target):
        if source.name == "index.faiss":
            writer.add(new_items)
            writer.remove(["item-1"])  # which clears up after the state that is copied
        copyfile(source, target)

    monkeypatch.setattr("shutil.copyfile", overtaken)
    with pytest.raises(ValueError, match=r"has been changed since it was opened; `reload\(\)` it first"):
        mine.save_pretrained(tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_bank_that_has_not_changed_is_not_opened_again(mine, monkeypatch):
    monkeypatch.setattr(state.BankState, "open", lambda *arguments: pytest.fail("opened"))
    mine.reload()


def test_pictures_that_are_added_to_a_bank_of_a_newer_version_lower_its_picture_rules(mine, new_items):
    change_config(mine.folder, picture_rules=PICTURE_RULES + 1)
    mine.reload().remove(["item-4"])
    assert mine.config.picture_rules == PICTURE_RULES + 1
    mine.add(new_items)
    assert mine.config.picture_rules == PICTURE_RULES
    change_config(mine.folder, picture_rules=1)
    mine.reload().add([MemoryItem(image=make_image(40), text="Last.")])
    assert mine.config.picture_rules == 1
