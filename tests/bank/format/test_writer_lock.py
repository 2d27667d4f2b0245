"""One process changes a bank at a time."""

import subprocess
import sys

import pytest

from comem_hf import MemoryBank
from comem_hf.bank.changing.writer import BankWriter


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
