"""Readers of a bank that is being changed: `benchmarks/bank/readers.py` for five seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from comem_hf import MemoryItem


@pytest.mark.slow
def test_readers_get_no_wrong_answer_while_a_writer_changes_the_bank_and_is_killed():
    script = Path(__file__).parents[3] / "benchmarks" / "bank" / "readers.py"
    done = subprocess.run(
        [sys.executable, script, "--seconds", "5", "--readers", "3"], capture_output=True, text=True, timeout=200
    )
    counts = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines()[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts["wrong answers"] == "0"
    assert all(int(counts[name]) > 0 for name in ("generations written", "searches", "reloads", "generations"))


def test_a_new_bank_that_begins_with_the_same_items_is_not_mixed_with_the_open_one(build, items, tmp_path):
    opened = build(items, output_dir=tmp_path / "bank")
    last = MemoryItem(image=items[-1].image, text="Another fact.", id=items[-1].id)
    build([*items[:-1], last], output_dir=tmp_path / "bank", overwrite=True)
    for item_id in ("item-0", items[-1].id):  # of the first shard, which is the same, then of the last
        with pytest.raises(ValueError, match="Another bank has been put in the place of"):
            opened.memory_inputs([[item_id]])


def test_a_bank_that_is_replaced_while_it_is_open_is_never_mixed_with_the_new_one(build, items, tmp_path, other_model):
    opened = build(items, output_dir=tmp_path / "bank")
    others = [MemoryItem(image=item.image, text=f"Other {item.text}", id=item.id) for item in items]
    build(others, output_dir=tmp_path / "bank", model=other_model, overwrite=True)
    for read in (
        lambda: opened.search(image=items[3].image, k=2),
        lambda: opened.memory_inputs([["item-3"]]),
        lambda: opened["item-3"],
    ):
        with pytest.raises(ValueError, match="Another bank has been put in the place of .*; open it again"):
            read()


@pytest.mark.parametrize("item_id", ["item-0", "item-6"])
def test_a_shorter_bank_in_the_place_of_the_open_one_is_noticed(build, items, tmp_path, item_id):
    opened = build(items, output_dir=tmp_path / "bank")
    row = opened.ids.index(item_id)  # of a shard that is another now, and of one that is gone
    build(items[:2], output_dir=tmp_path / "bank", overwrite=True)
    for read in (opened._state.vectors.read, opened._state.items.read):
        with pytest.raises(ValueError, match="Another bank has been put in the place of .*; open it again"):
            read([row])
