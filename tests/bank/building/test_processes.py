"""Several processes build a bank together, and it is the bank of one."""

import copy
import os
import subprocess
import sys
import threading

import pytest

from comem_hf import MemoryItem
from comem_hf.bank.building.build_settings import BuildSettings
from comem_hf.bank.building.builder import BankBuilder
from comem_hf.bank.building.processes import Processes
from comem_hf.bank.building.staging import Staging
from comem_hf.bank.encoding.embedder import BackboneEmbedder
from tests.bank.conftest import truncated_image
from tests.conftest import make_image


class Interruption(BaseException):
    """Like a Ctrl-C: nothing but `finally` sees it."""


class Thread(Processes):
    """One of several threads in the place of processes."""

    def __init__(self, rank: int, barrier: threading.Barrier):
        super().__init__(distributed=False)
        self.rank, self.count, self.barrier = rank, barrier.parties, barrier

    def wait(self) -> None:
        self.barrier.wait(timeout=60)


@pytest.fixture
def build_together(model, tiny_processor):
    """Builds a bank with as many threads as `encode` has functions, through which each encodes its records."""

    def build(items, outputs, wraps):
        """`outputs` and `items` may be lists: one for each process."""
        barrier, errors = threading.Barrier(len(wraps)), []

        def run(rank, wrap):
            processor = copy.deepcopy(tiny_processor)  # early tokenizers may be used by one thread only
            settings = BuildSettings(batch_size=2, shard_size=3)
            embedder = BackboneEmbedder(model, processor)
            builder = BankBuilder(model, processor, embedder, settings, Thread(rank, barrier))
            encoder = builder.shards.encoder
            encoder.encode = wrap(encoder.encode)
            try:
                mine = items[rank] if isinstance(items[0], list) else items
                builder.build(mine, outputs[rank] if isinstance(outputs, list) else outputs)
            except (Interruption, Exception) as error:
                barrier.abort()  # as the launcher ends the other processes
                errors.append(error)

        threads = [threading.Thread(target=run, args=arguments) for arguments in enumerate(wraps)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors

    return build


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_processes_that_take_turns_make_the_bank_of_one(build_together, items, bank, count, tmp_path):
    encoded = []

    def counting(encode):
        def wrapped(records, progress):
            encoded.extend(record.id for record in records)
            return encode(records, progress)

        return wrapped

    assert build_together(items, tmp_path / "bank", [counting] * count) == []
    assert contents(tmp_path / "bank") == contents(bank.folder)
    assert sorted(encoded) == bank.ids  # no item by two processes
    assert not (tmp_path / "bank.unfinished").exists()


def test_processes_agree_on_the_first_usable_item_of_an_id(build_together, build, tmp_path):
    """Whether or not they encode the shard in which the damaged one lies."""
    good, other = MemoryItem(image=make_image(0), id="c"), MemoryItem(image=make_image(1), id="d")
    fill = [MemoryItem(image=make_image(seed), id=f"fill-{seed}") for seed in range(2, 10)]
    bad, torn = MemoryItem(image=b"xx", id="c"), MemoryItem(image=truncated_image(), id="d")
    items = [bad, torn, *fill[:3], good, other, torn, *fill[3:], good, bad]
    alone = build(items, output_dir=tmp_path / "alone")
    assert not build_together(items, tmp_path / "together", [lambda encode: encode] * 3)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert "c" in alone.ids and "d" not in alone.ids


def test_a_build_that_several_processes_began_is_finished_by_one(build_together, build, items, bank, tmp_path):
    done = threading.Event()

    def interrupted(encode):  # after the other process has finished its only shard
        def wrapped(records, progress):
            assert done.wait(60)
            raise Interruption

        return wrapped

    def whole(encode):
        def wrapped(records, progress):
            result = encode(records, progress)
            threading.Timer(0.5, done.set).start()
            return result

        return wrapped

    errors = build_together(items, tmp_path / "bank", [interrupted, whole])
    assert any(isinstance(error, Interruption) for error in errors)
    journal = tmp_path / "bank.unfinished" / "journal"
    assert sorted(path.name for path in journal.iterdir()) == ["00001.json", "build.json"]
    build(items, output_dir=tmp_path / "bank")
    assert contents(tmp_path / "bank") == contents(bank.folder)


def as_it_is(encode):
    return encode


def test_processes_with_different_items_are_told_so(build_together, items, tmp_path):
    errors = build_together([items, items[::-1]], tmp_path / "bank", [as_it_is] * 2)
    assert any("The processes got different items" in str(error) for error in errors)
    assert not (tmp_path / "bank").exists()


def test_processes_that_do_not_share_a_disk_are_told_so(build_together, items, monkeypatch, tmp_path):
    monkeypatch.setattr("comem_hf.bank.building.staging._PATIENCE", 0.5)
    errors = build_together(items, [tmp_path / "here" / "bank", tmp_path / "there" / "bank"], [as_it_is] * 2)
    assert any("there/bank.unfinished' lacks files of other processes" in str(error) for error in errors)


def test_shards_that_appear_late_are_waited_for(build_together, items, bank, monkeypatch, tmp_path):
    read_journal, reads = Staging.read_journal, []

    def read_late(self):
        read_journal(self)
        reads.append(len(self.shards))
        if len(self.shards) == 3 and reads.count(3) < 3:  # as a network file system may show them
            self.shards.popitem()

    monkeypatch.setattr(Staging, "read_journal", read_late)
    assert build_together(items, tmp_path / "bank", [as_it_is] * 2) == []
    assert contents(tmp_path / "bank") == contents(bank.folder)


def test_several_processes_without_accelerate_are_refused_by_name(build, items, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ValueError, match="Building a bank with several processes needs accelerate"):
        build(items, output_dir=tmp_path / "bank", distributed=True)


@pytest.mark.slow
def test_the_command_line_under_torchrun_makes_the_bank_of_one_process(model, tiny_processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    (tmp_path / "images").mkdir()
    for seed in range(20):
        make_image(seed).save(tmp_path / "images" / f"{seed:02d}.png")
    (tmp_path / "images" / "07.png").write_bytes(b"")
    build = ["-m", "comem_hf", "build-bank", tmp_path / "images"]
    options = ["--model", tmp_path / "model", "--shard-size", "4"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name, words in (("one", []), ("two", launch)):
        command = [sys.executable, *words, *build, tmp_path / name, *options]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[1:] == ["bank\titems\t19", "bank\tskipped\t1"]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
