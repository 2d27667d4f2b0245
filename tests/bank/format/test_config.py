"""Rows of a bank, and the shards that they lie in."""

import json
from dataclasses import replace

import pytest

from comem_hf import MemoryBank
from comem_hf.bank.format.config import NEWEST_FORMAT, BankConfig
from tests.bank.conftest import change_config


@pytest.fixture
def config(bank) -> BankConfig:
    """Of a bank with shards of three, one and two items."""
    return replace(bank.config, num_items=6, shard_sizes=[3, 1, 2])


def test_rows_are_found_in_their_shards(config):
    assert config.group_by_shard([4, 0, 3, 2]) == {2: [(0, 0)], 0: [(1, 0), (3, 2)], 1: [(2, 0)]}


@pytest.mark.parametrize("row", [-1, 6])
def test_a_row_outside_the_bank_is_refused(config, row):
    with pytest.raises(IndexError, match=f"Row {row} lies outside a bank of 6 items"):
        config.group_by_shard([row])


@pytest.mark.parametrize(
    "values, message",
    [
        ({"removed": "../removed-00001.safetensors"}, "`removed` must be a name such as 'removed-00001.safetensors'"),
        ({"removed": "removed-00001.safetensors"}, "but `num_items` is 7 and `removed` 'removed-00001.safetensors'"),
        (
            {"removed": "removed-00001.safetensors", "num_items": 6, "generation": 1},
            "`files` lacks 'removed-00001.safetensors'",
        ),
        (
            {"removed": "removed-00002.safetensors", "num_items": 6, "generation": 1},
            "'removed-.*' belongs to a later generation",
        ),
        (
            {"index": {"file": "index-00001.faiss", "factory": "Flat"}},
            "but 'index-00001.faiss' belongs to a later generation",
        ),
        ({"format_version": 0}, "is no bank configuration: `format_version` is 0"),
        ({"num_items": 6}, "`shard_sizes` add up to 7 items, but `num_items` is 6"),
        ({"generation": -1}, "`generation` must be an integer from 0, got -1"),
        ({"generation": "1"}, "`generation` must be an integer from 0, got '1'"),
    ],
)
def test_a_state_that_cannot_be_is_refused(copy, values, message):
    change_config(copy, **values)
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(copy)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format_version": "1"}'])
def test_a_config_that_is_none_is_refused(copy, content):
    (copy / "bank_config.json").write_text(content)
    with pytest.raises(ValueError, match="is not valid JSON|is no bank configuration"):
        MemoryBank.from_pretrained(copy)


def test_a_newer_format_is_refused_with_both_versions(copy):
    change_config(copy, format_version=NEWEST_FORMAT + 1, something_new=1)
    with pytest.raises(ValueError, match=f"bank format {NEWEST_FORMAT + 1}; .* formats up to {NEWEST_FORMAT}"):
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


def test_a_bank_of_the_first_layout_opens_as_an_exact_one(bank, copy):
    config = json.loads((copy / "bank_config.json").read_text())
    del config["index"]
    (copy / "bank_config.json").write_text(json.dumps(config))
    assert MemoryBank.from_pretrained(copy).config.index == bank.config.index


def test_a_precision_that_does_not_exist_is_refused(copy):
    change_config(copy, precision="3 bit")
    with pytest.raises(ValueError, match="`precision` must be one of float32, float16, 8 bit, .*, got '3 bit'"):
        MemoryBank.from_pretrained(copy)
