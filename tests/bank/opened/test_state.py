"""Opening, copying and checking banks; what is damaged or foreign is refused by name."""

import errno
import json
import os
from pathlib import Path

import faiss
import numpy as np
import pytest
import safetensors.torch
import torch

from comem_hf import MemoryBank
from comem_hf.bank.format import vectors
from comem_hf.bank.format.config import FORMAT_VERSION, BankConfig
from comem_hf.bank.opened.integrity import check_files
from comem_hf.files.whole_file import file_entry


def change_config(folder, **values):
    path = folder / "bank_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def replace_file(folder, name, write):
    """Replace a file and make the config agree, so that only the content is wrong."""
    write(folder / name)
    files = json.loads((folder / "bank_config.json").read_text())["files"]
    change_config(folder, files={**files, name: file_entry(folder / name)})


def test_a_bank_says_what_it_is(bank):
    assert repr(bank).startswith("MemoryBank(7 items of 8 x 64 float32, embedder='backbone', folder=")
    assert len(bank) == 7
    assert bank.ids == [f"item-{number}" for number in range(7)]


def test_a_bank_is_read_like_a_mapping_of_ids(bank, items):
    assert list(bank) == bank.ids == [item.id for item in items]
    assert "item-3" in bank and "item-7" not in bank


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
    with pytest.raises(ValueError, match="copy.unfinished' is in the way: it is not what an interrupted call"):
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
    with pytest.raises(OSError, match="No space left to write .*; free some and do the same again"):
        bank.save_pretrained(tmp_path / "second")
    assert not list(tmp_path.iterdir())


def test_the_card_describes_the_bank_and_may_be_edited(bank, copy):
    card = (copy / "README.md").read_text()
    assert "# Memory bank of 7 items" in card and bank.config.memory_fingerprint in card
    (copy / "README.md").write_text(card + "\nMore about these items.\n")
    MemoryBank.from_pretrained(copy).verify()


def test_items_can_be_read_by_the_datasets_library(copy):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset("parquet", data_files=str(copy / "items-*.parquet"), split="train", cache_dir=copy)
    assert isinstance(rows.features["image"], datasets.Image)
    assert rows[4]["id"] == "item-4"
    assert rows[4]["image"].size == (56, 56)


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


def test_a_large_bank_is_hashed_only_by_verify(copy):
    content = bytearray((copy / "items-00002.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "items-00002.parquet").write_bytes(content)
    config = BankConfig.load(copy)
    size = sum(config.files[name]["size"] for name in config.data_files())
    check_files(copy, config, hash_up_to=size - 1)
    with pytest.raises(ValueError, match="items-00002.parquet' is damaged: its sha256"):
        check_files(copy, config, hash_up_to=size)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the open files of Linux")
def test_reading_items_leaves_no_file_open(copy):
    bank = MemoryBank.from_pretrained(copy)
    before = len(list(Path("/proc/self/fd").iterdir()))
    items = [bank[item_id] for item_id in bank.ids]
    assert len(items) == 7 and len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_only_so_many_shards_are_kept_mapped(copy, bank, monkeypatch):
    monkeypatch.setattr(vectors, "_KEPT_SHARDS", 1)
    opened = MemoryBank.from_pretrained(copy)
    memory = [opened.memory_inputs([[item_id]])["memory_embeds"] for item_id in (*bank.ids, *bank.ids)]
    assert torch.equal(torch.cat(memory[:7]), bank.memory_inputs([bank.ids])["memory_embeds"][0][:, None])
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(copy / "memory-") in line]
    assert len(mapped) == 1


def test_a_folder_that_is_no_bank_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no memory bank: it has no bank_config.json"):
        MemoryBank.from_pretrained(tmp_path)


def test_a_name_that_is_neither_folder_nor_repository_is_refused(tmp_path):
    for name in (tmp_path / "nothing", "./nothing", "a/b/c", ""):
        with pytest.raises(ValueError, match="neither a folder nor the id of a Hub repository|is no memory bank"):
            MemoryBank.from_pretrained(name)


def test_a_repository_that_cannot_be_reached_is_named(tmp_path):
    with pytest.raises(OSError, match="repository 'someone/some-bank' is not in the cache, and"):
        MemoryBank.from_pretrained("someone/some-bank", cache_dir=tmp_path, local_files_only=True)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format_version": "1"}'])
def test_a_config_that_is_none_is_refused(copy, content):
    (copy / "bank_config.json").write_text(content)
    with pytest.raises(ValueError, match="is not valid JSON|is no bank configuration"):
        MemoryBank.from_pretrained(copy)


def test_a_newer_format_is_refused_with_both_versions(copy):
    change_config(copy, format_version=FORMAT_VERSION + 1, something_new=1)
    with pytest.raises(ValueError, match=f"bank format {FORMAT_VERSION + 1}; .* formats up to {FORMAT_VERSION}"):
        MemoryBank.from_pretrained(copy)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"num_items": 8}, "`shard_sizes` add up to 7 items, but `num_items` is 8"),
        ({"num_items": 6, "shard_sizes": [3, 3]}, "index.faiss' must hold 6 vectors of 128 numbers, got 7 of 128"),
        ({"embedding_size": 32}, "must hold 7 vectors of 32 numbers, got 7 of 128"),
        ({"shard_sizes": [3, 3, 0, 1]}, "`shard_sizes` must be positive integers"),
        ({"shard_sizes": [2, 2, 2, 1]}, "`files` lacks 'memory-00003.safetensors'"),
        ({"hidden_size": -1}, "`hidden_size` must be a positive integer, got -1"),
        ({"memory_dtype": "int3"}, "`memory_dtype` must be one of float32, bfloat16, float16, int8, int4, got 'int3'"),
        ({"metric": "l1"}, "`metric` must be one of cosine, l2, got 'l1'"),
        ({"metric": "l2"}, "index.faiss' is damaged: IndexFlatIP does not compare by 'l2'"),
        ({"index": {}}, "`index` must name its 'file', 'index.faiss' or 'index-00001.faiss', got {}"),
        ({"index": {"file": "../index.faiss", "factory": "Flat"}}, "`index` must name its 'file', .*'../index.faiss'"),
        ({"index": {"file": "index.faiss"}}, "`index` must have a 'factory', a FAISS factory string, got {"),
        ({"index": {"file": "index.faiss", "factory": "Flat", "nprobe": 0}}, "integer or null as 'nprobe', got 0"),
        ({"files": {}}, "`files` lacks 'index.faiss'"),
        (
            {"files": {"index.faiss": {"sha256": "", "size": "1"}}},
            "`files` must give 'sha256' and 'size' of 'index.fa",
        ),
        ({"files": {"index.faiss": 3}}, "`files` must give 'sha256' and 'size' of 'index.faiss', got 3"),
        ({"embedder": {}}, "`embedder` must have a 'type', got {}"),
        ({"memory_fingerprint": None}, "`memory_fingerprint` must be a non-empty string, got None"),
    ],
)
def test_a_config_that_contradicts_itself_or_the_files_is_refused(copy, values, message):
    change_config(copy, **values)
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "memory-00000.safetensors/../../x", "run.py"])
def test_a_file_name_that_leaves_the_folder_is_refused(copy, name):
    files = json.loads((copy / "bank_config.json").read_text())["files"]
    change_config(copy, files={**files, name: {"sha256": "0", "size": 1}})
    with pytest.raises(ValueError, match="which is not a file of a memory bank"):
        MemoryBank.from_pretrained(copy)


def test_an_index_of_another_kind_or_none_at_all_is_refused(copy):
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(faiss.IndexFlatL2(64), str(path)))
    with pytest.raises(ValueError, match="index.faiss' is damaged: IndexFlatL2 does not compare by 'cosine'"):
        MemoryBank.from_pretrained(copy)
    replace_file(copy, "index.faiss", lambda path: path.write_bytes(b"no index at all"))
    with pytest.raises(ValueError, match="is not a readable FAISS index"):
        MemoryBank.from_pretrained(copy)


def test_an_index_that_refers_to_another_file_is_refused(copy, tmp_path):
    index = faiss.index_factory(128, "IVF1,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(np.ones((64, 128), dtype=np.float32))
    elsewhere = faiss.OnDiskInvertedLists(1, index.code_size, str(tmp_path / "lists"))
    index.replace_invlists(elsewhere, False)
    index.add(np.ones((7, 128), dtype=np.float32))
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(index, str(path)))
    with pytest.raises(ValueError, match="index.faiss' is damaged: it refers to the file '.*lists'"):
        MemoryBank.from_pretrained(copy)


def test_a_bank_of_the_first_layout_opens_as_an_exact_one(bank, copy):
    config = json.loads((copy / "bank_config.json").read_text())
    del config["index"]
    (copy / "bank_config.json").write_text(json.dumps(config))
    assert MemoryBank.from_pretrained(copy).config.index == bank.config.index


def test_an_index_of_another_length_is_refused(copy):
    index = faiss.IndexFlatIP(128)
    index.add(np.zeros((6, 128), dtype=np.float32))
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(index, str(path)))
    with pytest.raises(ValueError, match="must hold 7 vectors of 128 numbers, got 6 of 128"):
        MemoryBank.from_pretrained(copy)


@pytest.mark.parametrize(
    "tensor, message",
    [
        (torch.zeros(2, 8, 64), r"must hold memory \(float32 \[3, 8, 64\]\) .* got memory \(float32 \[2, 8, 64\]\)"),
        (torch.zeros(3, 8, 64).half(), r"must hold memory \(float32 \[3, 8, 64\]\) .* got memory \(float16 \[3"),
    ],
)
def test_vectors_of_another_shape_or_dtype_are_refused(copy, tensor, message):
    replace_file(copy, "memory-00000.safetensors", lambda path: safetensors.torch.save_file({"memory": tensor}, path))
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy).memory_inputs([["item-0"]])


def test_files_that_are_not_of_their_kind_are_refused(copy):
    replace_file(copy, "memory-00000.safetensors", lambda path: path.write_bytes(b"?" * 100))
    with pytest.raises(ValueError, match="memory-00000.safetensors' is damaged"):
        MemoryBank.from_pretrained(copy).memory_inputs([["item-0"]])
    replace_file(copy, "items-00000.parquet", lambda path: path.write_bytes(b"?" * 100))
    with pytest.raises(ValueError, match="items-00000.parquet' is damaged"):
        MemoryBank.from_pretrained(copy)["item-0"]


def test_items_of_another_number_are_refused(copy):
    replace_file(
        copy, "items-00000.parquet", lambda path: path.write_bytes((copy / "items-00002.parquet").read_bytes())
    )
    with pytest.raises(ValueError, match="must hold 3 rows of id, text, image and metadata, got 1 rows"):
        MemoryBank.from_pretrained(copy)["item-0"]
