"""One process changes a bank at a time."""

import multiprocessing
import subprocess
import sys
import threading
import time

import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.changing.writer import BankWriter
from comem_hf.bank.format.writer_lock import lock_bank
from tests.conftest import make_image


def test_only_one_process_changes_a_bank_at_a_time(mine, new_items):
    with (
        BankWriter(mine.folder),
        pytest.raises(ValueError, match="Another process is changing .*; wait for it to end"),
    ):
        mine.remove(["item-1"])
    mine.remove(["item-1"])


HOLDS = """
import sys
from filelock import FileLock

with FileLock(sys.argv[1] + "/.writer.lock"):  # as a BankWriter does
    print("holds it", flush=True)
    sys.stdin.readline()
"""


def test_a_bank_is_not_replaced_while_another_process_adds_to_it(mine, build, items):
    command = [sys.executable, "-c", HOLDS, str(mine.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holds it\n"
        with pytest.raises(ValueError, match="Another process is changing the bank .*; wait for it to end"):
            build(items[:2], output_dir=mine.folder, overwrite=True)
        assert len(MemoryBank.from_pretrained(mine.folder)) == 7
        other.communicate("go on\n")
    assert other.returncode == 0
    assert len(build(items[:2], output_dir=mine.folder, overwrite=True)) == 2
    assert not mine.folder.with_name("copy.unfinished").exists()


def test_a_bank_is_not_replaced_while_this_process_adds_to_it(mine, build, items, new_items):
    def unfold():
        yield new_items[0]
        build(items[:2], output_dir=mine.folder, overwrite=True)

    with pytest.raises(ValueError, match="Another process is changing the bank"):
        mine.add(unfold())
    assert MemoryBank.from_pretrained(mine.folder).ids == mine.ids


def add_some(bank, name, start):
    start.wait()
    for number in range(3):
        item = MemoryItem(image=make_image(200 + number), text=f"Of {name}.", id=f"{name}-{number}")
        bank.add([item, MemoryItem(image=make_image(300), text="Of both.", id="both")], wait=120)
        bank.update_metadata({f"{name}-{number}": {"by": name}}, wait=120)


def test_two_processes_that_add_at_once_lose_nothing(mine):
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(2)
    processes = [fork.Process(target=add_some, args=(mine, name, start)) for name in ("a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]
    mine.reload()
    assert sorted(mine.ids[7:]) == ["a-0", "a-1", "a-2", "b-0", "b-1", "b-2", "both"] and mine.config.generation == 12
    assert [item.text for item in mine.items({"by": "b"})] == ["Of b."] * 3
    assert mine.search(image=make_image(300), k=1)[0].item.id == "both"
    assert mine.verify()["items"] == 14


def test_a_writer_waits_as_long_as_it_is_told(mine):
    with BankWriter(mine.folder), pytest.raises(ValueError, match=r"wait for it to end, or give `wait=600`, seconds"):
        mine.remove(["item-1"], wait=0.1)
    held = threading.Event()

    def hold():
        lock = lock_bank(mine.folder)
        held.set()
        time.sleep(0.3)
        lock.release()

    threading.Thread(target=hold).start()
    held.wait()
    mine.remove(["item-1"], wait=60)
    assert "item-1" not in mine
    for wait in (-1, "long", float("nan"), True):
        with pytest.raises(ValueError, match="`wait=` must be a number of seconds, 0 or more"):
            mine.remove(["item-2"], wait=wait)
