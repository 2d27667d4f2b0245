"""A build that is interrupted at any moment is resumed, and ends as if it had not been."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.building.staging import Staging
from comem_hf.files import work_folder
from comem_hf.files.work_folder import WorkFolder


class Interruption(BaseException):
    """Like a Ctrl-C: nothing but `finally` sees it."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def interrupt(monkeypatch):
    """Makes `os.replace`, by which everything gets its final name, fail from the given call on; 0 counts the calls."""

    def at(number: int):
        calls = []
        replace = os.replace

        def counted(*arguments):
            calls.append(arguments)
            if 0 < number <= len(calls):
                raise Interruption
            replace(*arguments)

        monkeypatch.setattr(os, "replace", counted)
        return calls

    return at


@pytest.fixture
def unfinished(build, items, interrupt, monkeypatch, tmp_path):
    """An output folder whose build was interrupted in its third shard."""
    interrupt(12)
    with pytest.raises(Interruption):
        build(items, output_dir=tmp_path / "bank")
    monkeypatch.undo()
    return tmp_path / "bank"


def test_a_build_interrupted_at_any_file_ends_as_an_undisturbed_one(
    build, items, bank, interrupt, monkeypatch, tmp_path
):
    calls = interrupt(-1)
    build(items, output_dir=tmp_path / "counted")
    monkeypatch.undo()
    # The journal's settings; three files and a journal entry of each of three shards; two files of each into the bank;
    # index, words, card, config; the journal's end; the folder; the journal away.
    assert len(calls) == 1 + 3 * 4 + 3 * 2 + 4 + 1 + 1 + 1
    for number in range(1, len(calls) + 1):
        output = tmp_path / f"bank-{number}"
        interrupt(number)
        with pytest.raises(Interruption):
            build(items, output_dir=output)
        monkeypatch.undo()
        assert output.exists() == (number == len(calls))
        build(items, output_dir=output)
        assert contents(output) == contents(bank.folder), number
        assert not output.with_name(f"{output.name}.unfinished").exists()


def test_a_resumed_build_encodes_only_what_is_missing(build, items, model, unfinished, monkeypatch):
    encode, sizes = model.encode_memory, []
    monkeypatch.setattr(
        model, "encode_memory", lambda inputs: sizes.append(len(inputs["input_ids"])) or encode(inputs)
    )
    build(items, output_dir=unfinished)
    assert sum(sizes) == 1


def test_a_killed_build_ends_as_an_undisturbed_one(build, items, bank, model, tiny_processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    program = f"""
import os, signal
from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.bank.building.staging import Staging
from comem_hf.files import work_folder
from comem_hf.files.work_folder import WorkFolder

finish_shard = Staging.finish_shard
def die_after_the_second(self, number, shard):
    finish_shard(self, number, shard)
    if len(self.shards) == 2:
        (self.work / "memory-00002.safetensors.unfinished").write_bytes(b"torn")
        (self.journal / "00002.json.unfinished").write_text('{{"num_it')
        os.kill(os.getpid(), signal.SIGKILL)
Staging.finish_shard = die_after_the_second
folder = {str(tmp_path / "model")!r}
model, processor = CoMemForConditionalGeneration.from_pretrained(folder), CoMemProcessor.from_pretrained(folder)
items = MemoryBank.from_pretrained({str(bank.folder)!r})
items = [items[item_id] for item_id in items.ids]
output = {str(tmp_path / "bank")!r}
MemoryBank.build(items, model=model, processor=processor, output_dir=output, batch_size=2, shard_size=3)
"""
    died = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert not (tmp_path / "bank").exists()
    stored = [bank[item.id] for item in items]
    build(stored, output_dir=tmp_path / "bank")
    assert contents(tmp_path / "bank") == contents(bank.folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "model"]


def test_an_unfinished_build_with_other_settings_is_refused_by_name(build, items, unfinished, other_model):
    with pytest.raises(ValueError, match="unfinished build with `dtype` = 'float32', but this one has 'float16'"):
        build(items, output_dir=unfinished, dtype="float16")
    with pytest.raises(ValueError, match="unfinished build with `shard_size` = 3, but this one has 4"):
        build(items, output_dir=unfinished, shard_size=4)
    with pytest.raises(ValueError, match="unfinished build with `memory_fingerprint` = "):
        build(items, output_dir=unfinished, model=other_model)
    assert len(build(items, output_dir=unfinished)) == 7


def test_an_unfinished_build_of_other_items_is_refused(build, items, unfinished):
    changed = [*items[:4], MemoryItem(image=items[4].image, text="Another text.", id=items[4].id), *items[5:]]
    with pytest.raises(ValueError, match="unfinished build of other items: items 3 to 5 have changed"):
        build(changed, output_dir=unfinished)
    with pytest.raises(ValueError, match="unfinished build of other items: items 3 to 5 have changed"):
        build(items[:3], output_dir=unfinished)
    assert len(build(items, output_dir=unfinished)) == 7


def test_overwrite_starts_an_unfinished_build_again(build, items, unfinished):
    assert len(build(items[:2], output_dir=unfinished, dtype="float16", overwrite=True)) == 2


def test_a_damaged_file_of_an_unfinished_build_is_refused_by_name(build, items, unfinished):
    damaged = unfinished.with_name("bank.unfinished") / "work" / "memory-00000.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="memory-00000.safetensors' of an unfinished build is missing or damaged"):
        build(items, output_dir=unfinished)


def test_a_second_builder_of_the_same_bank_is_refused(build, items, unfinished):
    with FileLock(unfinished.with_name("bank.unfinished") / "lock"):
        with pytest.raises(ValueError, match="Another process is writing"):
            build(items, output_dir=unfinished)


def test_a_foreign_folder_in_the_place_of_the_work_folder_is_left_alone(build, items, tmp_path):
    (tmp_path / "bank.unfinished").mkdir()
    (tmp_path / "bank.unfinished" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="bank.unfinished' is in the way"):
        build(items, output_dir=tmp_path / "bank")
    assert (tmp_path / "bank.unfinished" / "notes.txt").exists()


def test_the_old_bank_stays_until_the_new_one_is_whole(build, items, interrupt, monkeypatch, tmp_path):
    for number in (1, 4, 23, 24, 25):  # the journal, a shard, the config, the journal's end, the old bank away
        output = tmp_path / f"bank-{number}"
        build(items[:2], output_dir=output)
        interrupt(number)
        with pytest.raises(Interruption):
            build(items, output_dir=output, overwrite=True)
        monkeypatch.undo()
        assert len(MemoryBank.from_pretrained(output)) == 2


@pytest.fixture
def between_renames(build, items, interrupt, monkeypatch, tmp_path):
    """An output folder whose old bank has given up its name, and whose new bank has not got it yet."""
    build(items[:2], output_dir=tmp_path / "bank")
    interrupt(26)
    with pytest.raises(Interruption):
        build(items, output_dir=tmp_path / "bank", overwrite=True)
    monkeypatch.undo()
    assert not (tmp_path / "bank").exists()
    return tmp_path / "bank"


def test_opening_a_bank_that_is_between_old_and_new_says_where_the_old_one_is(items, between_renames):
    with pytest.raises(ValueError, match="to finish it, or open the older bank at '.*bank.unfinished/replaced'"):
        MemoryBank.from_pretrained(between_renames)
    assert len(MemoryBank.from_pretrained(between_renames.with_name("bank.unfinished") / "replaced")) == 2


def test_a_build_interrupted_between_old_and_new_bank_is_finished_by_the_next(build, items, between_renames):
    assert len(build(items, output_dir=between_renames, overwrite=True)) == 7
    assert [path.name for path in between_renames.parent.iterdir()] == ["bank"]


@pytest.mark.parametrize("others", [{}, {"dtype": "float16"}])
def test_an_old_bank_comes_back_before_anything_is_refused(build, items, between_renames, monkeypatch, others):
    warnings = []
    monkeypatch.setattr(work_folder.logger, "warning", warnings.append)
    with pytest.raises(ValueError, match="unfinished build with|already holds a memory bank; pass `overwrite=True`"):
        build(items, output_dir=between_renames, **others)
    assert len(MemoryBank.from_pretrained(between_renames)) == 2
    assert len(warnings) == 1 and "bank': an interrupted call was replacing it" in warnings[0]
    assert len(build(items, output_dir=between_renames, overwrite=True)) == 7
    assert [path.name for path in between_renames.parent.iterdir()] == ["bank"] and len(warnings) == 1


def test_an_old_bank_is_not_taken_for_the_new_one_that_somebody_has_moved_away(build, items, monkeypatch, tmp_path):
    build(items[:2], output_dir=tmp_path / "bank")

    def die(self):
        raise Interruption

    monkeypatch.setattr(WorkFolder, "discard_replaced", die)
    with pytest.raises(Interruption):
        build(items, output_dir=tmp_path / "bank", overwrite=True)
    monkeypatch.undo()
    os.replace(tmp_path / "bank", tmp_path / "moved")
    with pytest.raises(ValueError, match="'.*bank.unfinished.*' of an unfinished build is missing or damaged"):
        build(items, output_dir=tmp_path / "bank")
    assert len(MemoryBank.from_pretrained(tmp_path / "bank")) == 2
    assert len(build(items, output_dir=tmp_path / "bank", overwrite=True)) == 7


@pytest.mark.slow
def test_a_process_that_is_killed_between_old_and_new_bank_loses_neither(build, items, tmp_path):
    build(items[:2], output_dir=tmp_path / "bank")
    program = f"""
import os, signal
from pathlib import Path
from comem_hf.bank.building.staging import Staging
from comem_hf.files import work_folder
from comem_hf.files.work_folder import WorkFolder

replace = os.replace
def replace_or_die(source, target):
    if source == output.with_name("bank.unfinished") / "bank":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = replace_or_die
output = Path({str(tmp_path / "bank")!r})
with Staging(output, {{}}, overwrite=True) as staging:
    staging.bank.joinpath("bank_config.json").touch()
    staging.publish()
"""
    died = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert not (tmp_path / "bank").exists()
    with pytest.raises(ValueError, match="There are no items"):
        build([], output_dir=tmp_path / "bank", overwrite=True)
    assert len(MemoryBank.from_pretrained(tmp_path / "bank")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_an_old_bank_comes_back_when_the_new_one_is_given_up(build, items, between_renames):
    with pytest.raises(ValueError, match="There are no items"):
        build([], output_dir=between_renames, dtype="float16", overwrite=True)
    assert len(MemoryBank.from_pretrained(between_renames)) == 2
    assert [path.name for path in between_renames.parent.iterdir()] == ["bank"]


def test_a_build_killed_while_cleaning_up_is_finished_by_the_next(build, items, monkeypatch, tmp_path):
    def die(self):
        assert (tmp_path / "bank").is_dir()
        raise Interruption

    monkeypatch.setattr(Staging, "_discard_journal", die)
    with pytest.raises(Interruption):
        build(items[:6], output_dir=tmp_path / "bank")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="unfinished build of other items: items 3 to 5 have changed"):
        build(items[:5], output_dir=tmp_path / "bank")
    with pytest.raises(ValueError, match="already holds a memory bank with fewer items"):
        build(items, output_dir=tmp_path / "bank")
    assert len(build(items[:6], output_dir=tmp_path / "bank")) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_what_a_killed_copy_or_merge_left_is_no_trouble_for_a_build(build, items, tmp_path):
    (tmp_path / "bank.unfinished" / "work" / "whole").mkdir(parents=True)
    (tmp_path / "bank.unfinished" / "work" / "whole" / "items-00000.parquet").write_text("half")
    assert len(build(items[:2], output_dir=tmp_path / "bank")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_a_copy_says_that_an_unfinished_build_is_in_its_place(bank, unfinished):
    with pytest.raises(ValueError, match="bank.unfinished' is in the way: it holds 'bank', which a call of this kind"):
        bank.save_pretrained(unfinished)
